/** @file The panel of the next character: type a prefix, see what may follow, press a bar to add it. */

import { bars } from "./bars.js";
import { make, visible } from "./dom.js";
import { drawing, follow, share, textField, WORD } from "./shared.js";

const PREFIX = "next.prefix";

/**
 * A probability as it is shown, such as 12.3%.
 * @param {number} p
 */
export function percent(p) {
  if (p > 0 && p < 0.0005) return "under 0.1%";
  return `${(100 * p).toFixed(p < 0.0995 ? 1 : 0)}%`;
}

/**
 * The bars of an answer.
 * @param {{bars: {char: string, p: number, drawn: number}[], rest: {n: number, p: number, drawn: number}}} found
 * @returns {import("./bars.js").Bar[]}
 */
export function barsOf(found) {
  const all = found.bars.map(({ char, p, drawn }) => ({
    label: visible(char),
    value: p,
    text: percent(p),
    pale: drawn === 0 && p > 0,
    key: char,
    title: char ? "Add it to the prefix" : "End the word here",
  }));
  const { n, p, drawn } = found.rest;
  const rest = { label: n === 1 ? "1 other" : `${n} others`, value: p, text: percent(p), pale: drawn === 0 && p > 0 };
  return n ? [...all, rest] : all;
}

/**
 * @param {import("./lab.js").Lab} lab
 * @returns {import("./lab.js").Panel}
 */
export function next(lab) {
  const prefix = textField(lab, PREFIX, { label: "Prefix", placeholder: "empty: the first character" });
  const sliders = drawing(lab);
  const note = make("p", { class: "faint" });
  const list = bars((/** @type {string} */ char) => {
    const before = lab.state.get(PREFIX);
    if (char) return share(lab, PREFIX, before + char);
    if (before) share(lab, WORD, before);
    share(lab, PREFIX, "");
  });
  /** @type {import("./lab.js").Panel} */
  const panel = {
    title: "Next character",
    name: "next",
    element: make("div", {}, prefix.element, sliders.element, make("div", { class: "result" }, list.element, note)),
    async refresh(live) {
      const found = await lab.ask("next", { prefix: prefix.read(), ...sliders.read() }, live);
      const drawn = barsOf(found);
      list.draw(drawn, 1.02 * Math.max(...drawn.map(({ value }) => value)));
      const notes = [];
      if (drawn.some(({ pale, key }) => pale && (key !== "" || found.prefix)))
        notes.push("Pale characters are cut off by top-p.");
      if (!found.prefix) notes.push("No word is empty: the end is not drawn here.");
      note.textContent = notes.join(" ");
    },
  };
  follow((name) => (name === PREFIX || sliders.has(name)) && lab.refresh(panel));
  return panel;
}
