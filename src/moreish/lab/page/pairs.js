/** @file The panel of pairs of characters: a heat map, and the words behind a cell. */

import { make, visible } from "./dom.js";
import { heatMap, strength } from "./heat.js";
import { wordButton } from "./words.js";

const SHOW = "pairs.show"; // one of SHOWN
const CELL = "pairs.cell"; // the two characters: see cellText
const SHOWN = /** @type {const} */ ({ list: "the list", model: "the model", difference: "model \u2212 list" });
const LEGEND = [0.01, 0.05, 0.25, 1];
const MOST = 0.25; // the difference of the darkest colour

/**
 * A share in percent.
 * @param {number | null | undefined} share
 * @param {boolean} [signed]
 */
export function percent(share, signed = false) {
  if (share === null || share === undefined) return "none";
  const text = (100 * Math.abs(share)).toFixed(1);
  const sign = share < 0 && Number(text) ? "\u2212" : signed && Number(text) ? "+" : "";
  return `${sign}${text}%`;
}

/**
 * The pieces of a word, with those of a pair marked. "" before another character is the start of the word, and after
 * one its end.
 * @param {string} word
 * @param {string} before
 * @param {string} after
 * @returns {{text: string, marked: boolean}[]}
 */
export function marked(word, before, after) {
  const characters = [...word];
  const at = new Set();
  for (let i = 0; i <= characters.length; i++)
    if ((characters[i - 1] ?? "") === before && (characters[i] ?? "") === after) at.add(i - 1).add(i);
  /** @type {{text: string, marked: boolean}[]} */ const pieces = [];
  characters.forEach((character, i) => {
    const last = pieces.at(-1);
    if (last && last.marked === at.has(i)) last.text += character;
    else pieces.push({ text: character, marked: at.has(i) });
  });
  return pieces;
}

/**
 * A cell as text for the state: "a n", "start a", "a end".
 * @param {string} before
 * @param {string} after
 */
export const cellText = (before, after) => `${before || "start"} ${after || "end"}`;

/**
 * The places of a cell in a table of characters; null for a text that is no cell of it.
 * @param {string} text
 * @param {string[]} characters
 * @returns {[number, number] | null}
 */
export function parseCell(text, characters) {
  for (const [i, before] of characters.entries())
    for (const [j, after] of characters.entries()) if (text && cellText(before, after) === text) return [i, j];
  return null;
}

/** @param {string} character */
const asStart = (character) => (character === "" ? "start" : visible(character));

/**
 * @typedef {object} Pairs
 * @property {string[]} characters
 * @property {number} others
 * @property {number[][]} counts
 * @property {(number | null)[][]} list
 * @property {(number | null)[][]} model
 * @property {number} read
 * @property {number} words
 * @property {number} training
 * @property {number} step
 */

/**
 * @param {import("./lab.js").Lab} lab
 * @returns {import("./lab.js").Panel}
 */
export function pairs(lab) {
  const reading = make("p", { class: "reading faint" });
  const map = heatMap({
    label: "Probability of the next character, given the one before",
    choose,
    read: (text) => (reading.textContent = text || hint),
  });
  const legend = make("p", { class: "faint legend" });
  const about = make("p", { class: "faint" });
  const behind = make("div", { class: "behind", "aria-live": "polite" });
  const radios = Object.entries(SHOWN).map(([value, text]) =>
    make(
      "label",
      {},
      make("input", { type: "radio", name: "pairs-show", value, onchange: () => show(value) }),
      ` ${text}`,
    ),
  );
  const hint = "Rows: the character before. Columns: the next one. Choose a cell to see words.";
  /** @type {Pairs | null} */ let data = null;
  let shownFor = ""; // the key of the words that are shown
  let asked = 0;

  /** @type {import("./lab.js").Panel} */
  const panel = {
    title: "Pairs of characters",
    name: "pairs",
    element: make(
      "div",
      {},
      make("fieldset", { class: "switch" }, make("legend", { class: "hidden" }, "Show"), ...radios),
      make("div", { class: "result" }, map.element, reading, legend, about, behind),
    ),
    async refresh(live) {
      data = /** @type {Pairs} */ (await lab.ask("pairs", {}, live));
      draw();
      if (key() !== shownFor) await showWords();
    },
  };
  reading.textContent = hint;

  /** @returns {keyof typeof SHOWN} */
  function kind() {
    const value = lab.state.get(SHOW, "list");
    return value === "model" || value === "difference" ? value : "list";
  }

  function draw() {
    if (!data) return;
    const { characters, list, model, counts } = data;
    const shown = kind();
    for (const input of panel.element.querySelectorAll("input")) input.checked = input.value === shown;
    const difference = (/** @type {number} */ i, /** @type {number} */ j) =>
      list[i][j] === null || model[i][j] === null
        ? null
        : /** @type {number} */ (model[i][j]) - /** @type {number} */ (list[i][j]);
    map.draw({
      rows: characters.map(asStart),
      columns: characters.map(visible),
      values:
        shown === "difference"
          ? characters.map((_, i) => characters.map((_, j) => scaled(difference(i, j))))
          : data[shown],
      describe: (i, j) =>
        `${asStart(characters[i])} then ${visible(characters[j])}: ${percent(list[i][j])} in the list ` +
        `(${counts[i][j].toLocaleString("en")} times), ${percent(model[i][j])} by the model, ` +
        `${percent(difference(i, j), true)}`,
      chosen: parseCell(lab.state.get(CELL), characters),
    });
    drawLegend(shown === "difference");
    const all = data.read === data.words;
    const which = all
      ? `all ${data.words.toLocaleString("en")} train words`
      : `${data.read.toLocaleString("en")} train words`;
    about.textContent =
      `The list: how often each character follows in the train words. The model: its mean probability for each ` +
      `character over the places of ${which}, given all that is before.` +
      (data.others > 0 ? ` Rarer characters that are not shown: ${data.others.toLocaleString("en")}.` : "");
  }

  /** @param {number | null} difference */
  const scaled = (difference) => (difference === null ? null : Math.max(-1, Math.min(1, difference / MOST)));

  /** @param {boolean} difference */
  function drawLegend(difference) {
    if (legend.dataset["of"] === String(difference)) return;
    legend.dataset["of"] = String(difference);
    const swatch = (/** @type {number} */ share) => {
      const shade = make("span", { class: `shade ${share < 0 ? "minus" : "plus"}` });
      shade.style.setProperty("--strength", `${(100 * strength(share)).toFixed(0)}%`);
      return make("span", {}, shade, percent(difference ? share * MOST : share, difference).replace(".0", ""));
    };
    const low = difference
      ? [...LEGEND]
          .slice(1)
          .reverse()
          .map((share) => -share)
      : [];
    legend.replaceChildren(...low.map(swatch), ...LEGEND.slice(difference ? 1 : 0).map(swatch));
  }

  /** @param {string} value */
  function show(value) {
    lab.state.set(SHOW, value === "list" ? null : value);
    draw();
  }

  /** @param {number} i @param {number} j */
  function choose(i, j) {
    if (!data) return;
    const cell = cellText(data.characters[i], data.characters[j]);
    lab.state.set(CELL, lab.state.get(CELL) === cell ? null : cell);
    draw();
    showWords().catch((error) => behind.replaceChildren(make("p", { class: "error" }, error.message)));
  }

  /** What the words behind the chosen cell depend on; while the training plays they stay, so that they can be read. */
  const key = () => [lab.state.get(CELL), data?.training, lab.status?.playing ? "" : data?.step].join();

  /** Show the words behind the chosen cell. */
  async function showWords() {
    shownFor = key();
    const place = data && parseCell(lab.state.get(CELL), data.characters);
    if (!data || !place) return behind.replaceChildren();
    const [before, after] = place.map((i) => data?.characters[i] ?? "");
    const own = ++asked;
    const found = await lab.ask("pair", { before, after });
    if (own !== asked) return; // another cell was chosen since
    const name = `${asStart(before)} then ${visible(after)}`;
    const words = found.of === 1 ? "1 train word has it" : `${found.of.toLocaleString("en")} train words have it`;
    const times = found.times > found.of ? `, ${found.times.toLocaleString("en")} times in all` : "";
    const none = found.drawn.length ? "" : ": none has it";
    behind.replaceChildren(
      make("h3", {}, name),
      make("p", { class: "faint" }, `${words}${times}${found.of > found.words.length ? ", such as" : ""}`),
      row(found.words, before, after),
      make(
        "p",
        { class: "faint" },
        `Among ${found.among} words drawn at step ${found.step.toLocaleString("en")}${none}`,
      ),
      row(found.drawn, before, after),
    );
  }

  /** @param {string[]} words @param {string} before @param {string} after */
  const row = (words, before, after) =>
    make(
      "p",
      { class: "words" },
      ...words.map((word) =>
        wordButton(
          lab,
          word,
          ...marked(word, before, after).map(({ text, marked: own }) => (own ? make("mark", {}, text) : text)),
        ),
      ),
    );
  return panel;
}
