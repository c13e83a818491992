/** @file The page: its parts, and the panels, each refreshed when the training has moved and it is in view. */

import { make } from "./dom.js";
import { Lab } from "./lab.js";
import { controls } from "./controls.js";
import { keep } from "./keep.js";
import { transport } from "./transport.js";
import { losses } from "./losses.js";
import { words } from "./words.js";
import { pairs } from "./pairs.js";
import { embedding } from "./embedding.js";
import { layers } from "./layers.js";
import { architecture } from "./architecture.js";
import { next } from "./next.js";
import { score } from "./score.js";
import { steer } from "./steer.js";
import { along } from "./along.js";
import { gradient } from "./gradient.js";

/** The panels in their order. @type {((lab: Lab) => import("./lab.js").Panel)[]} */
const PANELS = [losses, words, pairs, embedding, layers, architecture, next, score, steer, along, gradient];

const BEGINNING = 0.5; // seconds of a training that are followed more closely
const SPARE = 300; // milliseconds after the refresh of a panel before it follows the training again

const lab = new Lab();

/**
 * A panel in its section: heading, line for errors, body. It follows the training while it is in view, or nearly: one refresh
 * after the other, the next one after a pause if there is something new.
 */
class Section {
  #busy = false;
  #inView = false;
  #stale = true; // the training has moved since the last refresh
  #wanted = false; // a person has changed something since the last refresh
  #timer = 0;
  #due = 0; // time of the next refresh with the training
  #training = 0; // its number

  /** @param {import("./lab.js").Panel} panel */
  constructor(panel) {
    this.panel = panel;
    this.error = make("p", { class: "error", role: "status" });
    const id = `panel-${panel.name}`;
    this.element = make(
      "section",
      { class: "panel", id, "aria-labelledby": `${id}-title`, tabindex: "-1" },
      make("h2", { id: `${id}-title` }, panel.title),
      this.error,
      panel.element,
    );
    new IntersectionObserver(
      (entries) => {
        this.#inView = entries.at(-1)?.isIntersecting ?? false;
        if (this.#inView && this.#stale) this.follow();
      },
      { rootMargin: "50%" },
    ).observe(this.element);
  }

  /** Refresh with the training, soon. */
  follow() {
    this.#stale = true;
    const training = lab.status?.training ?? 0;
    if (training !== this.#training) {
      this.#training = training;
      this.#due = 0; // a new training is seen at once
      clearTimeout(this.#timer);
      this.#timer = 0;
    }
    if (this.#busy || this.#timer) return;
    this.#timer = setTimeout(
      () => {
        this.#timer = 0;
        if (this.#inView && !document.hidden && lab.connected && lab.status?.training) this.refresh(true);
      },
      Math.max(0, this.#due - performance.now()),
    );
  }

  /** @param {boolean} live whether it is because the training has moved */
  async refresh(live) {
    if (this.#busy) {
      this.#wanted ||= !live;
      return;
    }
    this.#busy = true;
    this.#stale = this.#wanted = false;
    try {
      await this.panel.refresh(live);
      this.#show("");
    } catch (error) {
      this.#show(error instanceof Error ? error.message : String(error));
    }
    this.#busy = false;
    this.#due = performance.now() + ((lab.status?.seconds ?? 0) < BEGINNING ? 0.2 * SPARE : SPARE);
    if (this.#wanted) this.refresh(false);
    else if (this.#stale) this.follow();
  }

  /** @param {string} error */
  #show(error) {
    if (this.error.textContent !== error) this.error.textContent = error;
    this.element.classList.toggle("failed", error !== "");
  }
}

const find = (/** @type {string} */ id) => /** @type {HTMLElement} */ (document.getElementById(id));

find("top").append(...keep(lab));
find("transport").append(...transport(lab, find("trouble")));
find("controls").append(controls(lab));
const sections = PANELS.map((panel) => new Section(panel(lab)));
find("panels").append(...sections.map(({ element }) => element));

const followAll = () => sections.forEach((section) => section.follow());
lab.refresh = (/** @type {import("./lab.js").Panel} */ panel) => {
  sections.find((section) => section.panel === panel)?.refresh(false);
};
lab.on("status", followAll);
lab.on("state", followAll);
document.addEventListener("visibilitychange", followAll);
lab.on("settings", ({ list, model, run }) => {
  document.title = `${run || `${model} on ${list}`}: moreish lab`;
});
for (const link of document.querySelectorAll("[data-to]"))
  link.addEventListener("click", (event) => {
    event.preventDefault(); // the fragment holds the state
    document.getElementById(link.getAttribute("data-to") ?? "")?.focus();
  });
lab.connect();
