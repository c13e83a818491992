/** @file The bar that plays, pauses, steps and starts anew, and the line that says where the training stands. */

import { short } from "./chart.js";
import { make } from "./dom.js";

/** @type {[number, string][]} */
const PACES = [
  [1, "1 step a second"],
  [10, "10 steps a second"],
  [50, "50 steps a second"],
  [200, "200 steps a second"],
  [0, "full speed"],
];

/**
 * Make the bar.
 * @param {import("./lab.js").Lab} lab
 * @param {HTMLElement} trouble where troubles are shown
 */
export function transport(lab, trouble) {
  const tell = async (/** @type {Record<string, any>} */ message) => {
    try {
      await lab.send(message);
      trouble.textContent = lab.status?.trouble ?? "";
    } catch (error) {
      trouble.textContent = /** @type {Error} */ (error).message;
    }
  };
  const button = (/** @type {string} */ text, /** @type {string} */ title, /** @type {() => void} */ onclick) =>
    make("button", { type: "button", title, onclick }, text);

  const turn = () => tell({ do: lab.status?.ended ? "restart" : lab.status?.playing ? "pause" : "play" });
  const play = button("Play", "Play or pause (space bar)", turn);
  const step = button("Step", "Make one step (key s)", () => tell({ do: "step" }));
  const anew = button("Start anew", "Start anew with the same settings", () => tell({ do: "restart" }));
  const pace = make(
    "select",
    { "aria-label": "Speed" },
    ...PACES.map(([n, text]) => make("option", { value: n }, text)),
  );
  pace.addEventListener("change", () => tell({ do: "pace", steps: Number(pace.value) }));
  play.className = "primary";
  const line = make("p", { class: "state" }, "connecting");

  lab.on("status", (/** @type {import("./lab.js").Status} */ status) => {
    play.textContent = status.ended ? "Train again" : status.playing ? "Pause" : "Play";
    step.disabled = status.ended;
    if (document.activeElement !== pace) pace.value = String(status.pace);
    trouble.textContent = status.trouble;
    line.textContent = describe(status);
  });
  lab.on("connected", (connected) => {
    document.body.classList.toggle("lost", !connected);
    trouble.textContent = connected ? "" : "the lab does not answer; trying again";
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const target = /** @type {HTMLElement} */ (event.target);
    if (target.closest("input, select, textarea, button, summary, a, [contenteditable]")) return;
    if (event.key === " ") turn();
    else if (event.key === "s") tell({ do: "step" });
    else return;
    event.preventDefault();
  });
  return [make("div", { class: "buttons" }, play, step, anew, pace), line];
}

/**
 * Where a training stands, in one line.
 * @param {import("./lab.js").Status} status
 */
export function describe(status) {
  const parts = [status.steps ? `step ${short(status.step, 9)} of ${short(status.steps, 9)}` : "counted at once"];
  if (status.losses)
    parts.push(
      `loss: ${Object.entries(status.losses)
        .map(([part, loss]) => `${part} ${loss.toFixed(4)}`)
        .join(", ")}`,
    );
  else {
    if (status.train !== null) parts.push(`train ${status.train.toFixed(4)}`);
    if (status.val !== null) parts.push(`val ${status.val.toFixed(4)}`);
    if (status.lr !== null) parts.push(`lr ${short(status.lr, 3)}`);
  }
  parts.push(`${status.seconds.toFixed(1)} s`);
  if (status.rate !== null && status.playing) parts.push(`${short(Math.round(status.rate), 3)} steps a second`);
  return parts.join(" · ");
}
