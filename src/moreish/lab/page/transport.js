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
const FASTEST = 1e6; // steps a second
const WATCHED = 200; // steps a second, unless a person chooses

/**
 * Make the bar.
 * @param {import("./lab.js").Lab} lab
 * @param {HTMLElement} trouble where troubles are shown
 */
export function transport(lab, trouble) {
  let failed = ""; // the error of the last command
  const complain = () => {
    const lost = lab.connected
      ? ""
      : "the lab does not answer; trying again. If it was started anew, open the address that it prints now";
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
  play.className = "primary";
  set(play, { "aria-keyshortcuts": "Space" });
  set(step, { "aria-keyshortcuts": "s" });
  const line = make("p", { class: "state" }, "connecting");
  const end = make("p", { class: "hidden", role: "status" });

  lab.on("status", (/** @type {import("./lab.js").Status} */ status) => {
    play.textContent = status.ended ? "Train again" : status.playing ? "Pause" : "Play";
    step.disabled = status.ended;
    line.textContent = describe(status);
    const announced = status.ended && status.losses ? `The training has ended: ${told(status.losses)}` : "";
    if (end.textContent !== announced) end.textContent = announced;
    complain();
  });
  lab.on("connected", () => {
    failed = "";
    complain();
  });
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest("input, select, textarea, button, summary, a, [contenteditable]")) return;
    if (event.key === " ") turn();
    else if (event.key === "s") tell({ do: "step" });
    else return;
    event.preventDefault();
  });
  return [make("div", { class: "buttons" }, play, step, anew, speed(lab, tell)), line, end];
}

/**
 * Make the choice of the speed. It follows the address, then the server; a new training begins at a speed at which it
 * can be watched.
 * @param {import("./lab.js").Lab} lab
 * @param {(message: Record<string, any>) => Promise<void>} tell
 */
function speed(lab, tell) {
  const other = make("option", { value: "", hidden: true }); // a speed from an address
  const known = PACES.map(([steps, text]) => make("option", { value: steps }, text));
  const select = make("select", { "aria-label": "Speed" }, ...known, other);
  let [begun, waiting] = [false, false];

  /** @param {number} steps a second */
  function show(steps) {
    if (!PACES.some(([each]) => each === steps)) {
      other.value = String(steps);
      other.textContent = `${short(steps)} steps a second`;
    }
    select.value = String(steps);
    lab.state.set("pace", steps);
  }

  /** @param {number} steps a second */
  async function choose(steps) {
    waiting = true;
    show(steps);
    await tell({ do: "pace", steps });
    waiting = false;
  }

  function recall() {
    const { status, state } = lab;
    if (!status) return;
    const isNew = !begun && !status.pace && !status.step && !status.playing;
    begun = true;
    const wanted = Number(state.get("pace", String(isNew ? WATCHED : status.pace)));
    if (wanted !== status.pace && wanted >= 0 && wanted <= FASTEST) choose(wanted);
    else show(status.pace);
  }

  select.addEventListener("change", () => choose(Number(select.value)));
  lab.on("state", recall);
  lab.on("status", ({ pace }) => {
    if (!begun) recall();
    else if (!waiting) show(pace);
  });
  return select;
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
