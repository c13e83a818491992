/** @file The bar that plays, pauses, steps and starts anew, and the line that says where the training stands. */

import { short } from "./chart.js";
import { make, set } from "./dom.js";

/** @type {[number, string][]} */
const PACES = [
  [1, "1 step a second"],
  [10, "10 steps a second"],
  [50, "50 steps a second"],
  [200, "200 steps a second"],
  [0, "full speed"],
];
const WATCHED = 200; // steps a second, unless a person chooses

/**
 * Make the bar.
 * @param {import("./lab.js").Lab} lab
 * @param {HTMLElement} trouble where troubles are shown
 */
export function transport(lab, trouble) {
  let failed = ""; // the error of the last command
  const complain = () => {
    const lost = lab.connected ? "" : "the lab does not answer; trying again";
    const text = lost || lab.status?.trouble || failed;
    if (trouble.textContent !== text) trouble.textContent = text;
  };
  const tell = async (/** @type {Record<string, any>} */ message) => {
    try {
      await lab.send(message);
      failed = "";
    } catch (error) {
      failed = /** @type {Error} */ (error).message;
    }
    complain();
  };
  const button = (/** @type {string} */ text, /** @type {string} */ title, /** @type {() => void} */ onclick) =>
    make("button", { type: "button", title, onclick }, text);

  const turn = () => tell({ do: lab.status?.ended ? "restart" : lab.status?.playing ? "pause" : "play" });
  const play = button("Play", "Play or pause (space bar)", turn);
  const step = button("Step", "Make one step (key s)", () => tell({ do: "step" }));
  const anew = button("Start anew", "Start anew with the same settings", () => tell({ do: "restart" }));
  const other = make("option", { value: "", hidden: true }); // a speed from an address
  const pace = make(
    "select",
    { "aria-label": "Speed" },
    ...PACES.map(([n, text]) => make("option", { value: n }, text)),
    other,
  );
  pace.addEventListener("change", () => setPace(Number(pace.value)));
  let waiting = false; // for the answer to a change of the speed
  async function setPace(/** @type {number} */ steps) {
    waiting = true;
    show(steps);
    await tell({ do: "pace", steps });
    waiting = false;
  }

  /** @param {number} steps a second */
  function show(steps) {
    if (!PACES.some(([each]) => each === steps)) {
      other.value = String(steps);
      other.textContent = `${short(steps)} steps a second`;
    }
    pace.value = String(steps);
    lab.state.set("pace", steps);
  }
  play.className = "primary";
  set(play, { "aria-keyshortcuts": "Space" });
  set(step, { "aria-keyshortcuts": "s" });
  const line = make("p", { class: "state" }, "connecting");
  const end = make("p", { class: "hidden", role: "status" });

  let begun = false;
  lab.on("status", (/** @type {import("./lab.js").Status} */ status) => {
    play.textContent = status.ended ? "Train again" : status.playing ? "Pause" : "Play";
    step.disabled = status.ended;
    if (!begun) begin(status);
    else if (!waiting) show(status.pace);
    line.textContent = describe(status);
    const announced = status.ended && status.losses ? `The training has ended: ${told(status.losses)}` : "";
    if (end.textContent !== announced) end.textContent = announced;
    complain();
  });
  lab.on("connected", () => {
    failed = "";
    complain();
  });
  lab.on("state", () => begin(lab.status));

  /** Take the speed of the address; without one, a speed at which a new training can be watched. */
  function begin(/** @type {import("./lab.js").Status | null} */ status) {
    if (!status) return;
    const isNew = !begun && !status.pace && !status.step && !status.playing;
    begun = true;
    const wanted = Number(lab.state.get("pace", String(isNew ? WATCHED : status.pace)));
    if (wanted !== status.pace && wanted >= 0) setPace(wanted);
    else show(status.pace);
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest("input, select, textarea, button, summary, a, [contenteditable]")) return;
    if (event.key === " ") turn();
    else if (event.key === "s") tell({ do: "step" });
    else return;
    event.preventDefault();
  });
  return [make("div", { class: "buttons" }, play, step, anew, pace), line, end];
}

/** @param {Record<string, number>} losses of the three parts */
const told = (losses) =>
  Object.entries(losses)
    .map(([part, loss]) => `${part} ${loss.toFixed(4)}`)
    .join(", ");

/**
 * Where a training stands, in one line.
 * @param {import("./lab.js").Status} status
 */
export function describe(status) {
  if (!status.training) return status.waiting || "the training is being prepared";
  const parts = [status.steps ? `step ${short(status.step, 9)} of ${short(status.steps, 9)}` : "counted at once"];
  if (status.losses) parts.push(`loss: ${told(status.losses)}`);
  else {
    if (status.train !== null) parts.push(`train ${status.train.toFixed(4)}`);
    if (status.val !== null) parts.push(`val ${status.val.toFixed(4)}`);
    if (status.lr !== null) parts.push(`lr ${short(status.lr, 3)}`);
  }
  parts.push(`${status.seconds.toFixed(1)} s`);
  if (status.rate !== null && status.playing)
    parts.push(`${short(Math.round(Math.min(status.rate, status.pace || Infinity)), 3)} steps a second`);
  if (status.waiting) parts.push(status.waiting);
  return parts.join(" · ");
}
