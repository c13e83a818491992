/** @file The panel of words drawn with the present weights. */

import { make, set, shown } from "./dom.js";
import { share, WORD } from "./shared.js";

const SEED = "words.seed";
const FIRST_SEED = 42;
const N = 10;

/** Marks as they are shown: a circle is empty for a new word, full for one of train, half full for one of val or test. */
const MARKS = /** @type {Record<string, string>} */ ({
  new: "\u25cb new",
  train: "\u25cf in train",
  val: "\u25d1 in val",
  test: "\u25d1 in test",
  cut: "\u2026 cut off",
});

/**
 * A word as a button that takes it to the panels where a word is looked at.
 * @param {import("./lab.js").Lab} lab
 * @param {string} word
 * @param {...(Node | string)} parts what stands for the word, if not the word itself
 */
export const wordButton = (lab, word, ...parts) =>
  make(
    "button",
    { type: "button", class: "plain word", title: "Look at this word", onclick: () => share(lab, WORD, word) },
    ...(parts.length ? parts : [shown(word)]),
  );

/**
 * Where a word stands, with its sign.
 * @param {string} mark "new", the part of the list that has it, or "cut"
 */
export const markText = (mark) => MARKS[mark] ?? mark;

/**
 * How many words are new, in words.
 * @param {string[]} marks
 */
export function counted(marks) {
  const fresh = marks.filter((mark) => mark === "new").length;
  return `${fresh} of ${marks.length} are new: no part of the list has them.`;
}

/**
 * @param {import("./lab.js").Lab} lab
 * @returns {import("./lab.js").Panel}
 */
export function words(lab) {
  const list = make("ul", { class: "samples result" });
  const note = make("p", { class: "faint result" });
  const draw = make("button", { type: "button" }, "Draw others");
  const first = make("button", { type: "button" }, "Draw the first ones again");

  /** @type {import("./lab.js").Panel} */
  const panel = {
    title: "Words",
    name: "words",
    element: make("div", {}, list, note, make("p", { class: "buttons" }, draw, first)),
    async refresh(live) {
      const seed = Number.parseInt(lab.state.get(SEED), 10);
      const asked = seed >= 0 && seed <= Number.MAX_SAFE_INTEGER ? seed : FIRST_SEED;
      /** @type {{words: {word: string, mark: string, label?: string}[]}} */
      const { words: drawn } = await lab.ask("words", { n: N, seed: asked }, live);
      drawn.forEach((one, i) => show(i, one));
      while (list.childElementCount > drawn.length) list.lastChild?.remove();
      note.textContent = `${counted(drawn.map(({ mark }) => mark))} The random numbers stay the same while the net learns.`;
      set(first, { hidden: asked === FIRST_SEED });
    },
  };

  /** Show a word in its place; the element stays, so that it keeps the focus. @param {number} i @param {{word: string, mark: string, label?: string}} one */
  function show(i, { word, mark, label }) {
    const item = list.children[i] ?? list.appendChild(make("li", {}, place(), make("span", { class: "mark" })));
    const [button, tag] = /** @type {HTMLElement[]} */ ([...item.children]);
    if (button.dataset.word !== word) {
      button.dataset.word = word;
      button.textContent = shown(word);
    }
    const text = (label === undefined ? "" : `${label} `) + markText(mark);
    if (tag.textContent !== text) tag.textContent = text;
    set(tag, { class: ["train", "val", "test"].includes(mark) ? "mark listed" : "mark" });
  }

  const place = () =>
    make("button", {
      type: "button",
      class: "plain word",
      title: "Look at this word",
      onclick: ({ currentTarget }) => share(lab, WORD, currentTarget.dataset.word),
    });

  /** @param {number | null} seed */
  const take = (seed) => () => {
    lab.state.set(SEED, seed);
    lab.refresh(panel);
  };
  draw.addEventListener("click", () => take(Math.floor(Math.random() * 1e6))());
  first.addEventListener("click", take(null));
  return panel;
}
