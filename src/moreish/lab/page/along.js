/** @file The panel of what a model sees along a word: attention, the state of a recurrent net, or a window. */

import { attentionMap, labelOf, named, OF_ROWS } from "./attention.js";
import { cells } from "./cells.js";
import { make, set, visible } from "./dom.js";
import { follow, textField, WORD } from "./shared.js";

const LAYER = "along.layer";
const HEAD = "along.head";

/**
 * What a model with a window sees, as a sentence.
 * @param {{model: string, sees: number | null}} found
 */
export function sentence({ model, sees }) {
  if (sees === null)
    return `Every prediction of ${model} sees the mean of all characters before it: each weighs the same.`;
  return `Every prediction of ${model} sees ${sees === 1 ? "the last character" : `the last ${sees} characters`}, and nothing else.`;
}

/**
 * @param {import("./lab.js").Lab} lab
 * @returns {import("./lab.js").Panel}
 */
export function along(lab) {
  const word = textField(lab, WORD, { label: "Word", placeholder: "empty: one that the model draws" });
  const layer = choice(LAYER, "layer");
  const head = choice(HEAD, "head");
  const picture = cells();
  const about = make("p", { class: "faint" });
  const windows = make("table", { class: "windows" });
  const result = make("div", { class: "result" }, about, picture.element, windows);

  /** @param {string} name @param {string} label */
  function choice(name, label) {
    const select = make("select");
    select.addEventListener("change", () => {
      lab.state.set(name, select.value === "0" ? null : select.value);
      lab.refresh(panel);
    });
    const element = make("label", { class: "choice", hidden: true }, label, " ", select);
    return {
      element,
      /** @param {string[]} names @param {number} chosen */
      show(names, chosen) {
        if (names.join() !== [...select.options].map(({ text }) => text).join())
          select.replaceChildren(...names.map((text, value) => make("option", { value }, text)));
        select.value = String(chosen);
        set(element, { hidden: names.length < 2 });
      },
    };
  }

  const number = (/** @type {string} */ name) => Math.max(0, Math.trunc(Number(lab.state.get(name, "0"))) || 0);
  const numbered = (/** @type {number} */ n) => Array.from({ length: n }, (_, i) => String(i + 1));

  /** @param {any} found */
  function drawAttention(found) {
    layer.show(numbered(found.layers), found.layer);
    head.show(numbered(found.heads), found.head);
    about.textContent = OF_ROWS;
    picture.draw(attentionMap(found));
  }

  /** @param {any} found */
  function drawState({ characters, values, layers, units, layer: i }) {
    layer.show(layers, i);
    head.show([], 0);
    const shown = values[0].length;
    const largest = Math.max(...values.flat().map(Math.abs), 1e-9);
    about.textContent =
      `A row: the state ${layers[i]} after a character. A column: one of its ${units} units` +
      (shown < units ? `, the first ${shown} of which are shown` : "") +
      `. Blue is positive, orange negative, up to \u00b1${largest.toFixed(2)}.`;
    picture.draw({
      values,
      largest,
      rows: characters.map(labelOf),
      columns: [],
      alt: `State ${layers[i]} over ${characters.join("")}: ${shown} units`,
      tell: (row, column) => `After ${named(characters[row])}: unit ${column} is ${values[row][column].toFixed(3)}.`,
    });
  }

  /** @param {any} found */
  function drawWindows({ characters, windows: all, ...found }) {
    layer.show([], 0);
    head.show([], 0);
    about.textContent = sentence(found);
    const rows = all.map((/** @type {string[]} */ window, /** @type {number} */ t) =>
      make(
        "tr",
        {},
        make("td", { class: "seen" }, ...window.map((c) => make("span", { class: c ? null : "start" }, labelOf(c)))),
        make("td", { class: "arrow" }, "\u2192"),
        make(
          "td",
          { class: "follows" },
          t + 1 < characters.length ? visible(characters[t + 1]) : found.cut ? "\u2026" : "end",
        ),
      ),
    );
    windows.replaceChildren(
      make("thead", {}, make("tr", {}, make("th", {}, "sees"), make("th"), make("th", {}, "predicts"))),
      make("tbody", {}, ...rows),
    );
  }

  /** @type {import("./lab.js").Panel} */
  const panel = {
    title: "Along a word",
    name: "along",
    element: make("div", {}, word.element, make("div", { class: "choices" }, layer.element, head.element), result),
    async refresh(live) {
      const ask = (/** @type {number} */ i, /** @type {number} */ j) =>
        lab.ask("along", { word: word.read(), layer: i, head: j }, live);
      const [i, j] = [number(LAYER), number(HEAD)];
      // Another model may have fewer layers than the address says.
      const found = await ask(i, j).catch((error) => {
        if (i || j) return ask(0, 0);
        throw error;
      });
      set(picture.element, { hidden: found.kind === "window" });
      set(windows, { hidden: found.kind !== "window" });
      ({ attention: drawAttention, state: drawState, window: drawWindows })[/** @type {"window"} */ (found.kind)](
        found,
      );
      if (found.drawn) about.textContent += ` The word ${found.word} was drawn now.`;
      if (found.cut) about.textContent += ` Of the word the first ${found.characters.length - 1} characters are shown.`;
    },
  };
  follow((name) => name === WORD && lab.refresh(panel));
  return panel;
}
