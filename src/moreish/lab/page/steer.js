/** @file The panel of steering: words that fit constraints, drawn at random, and the most likely ones. */

import { make, set, showing } from "./dom.js";
import { drawing, follow } from "./shared.js";
import { markText, wordButton } from "./words.js";

/** @typedef {import("./lab.js").Constraint} Constraint */

/** Fields of a draw that are no constraints, in the same form. @type {Constraint[]} */
const OF_DRAWS = [
  { name: "n", help: "number of words", kind: "whole", low: 1, high: 200, first: false },
  { name: "seed", help: "the same seed gives the same words", kind: "whole", low: 0, high: 2 ** 53, first: false },
];
const BOXES = { only_new: "only new words", distinct: "each word once" };
const PLACES = /** @type {Record<string, string>} */ ({
  gap: "m___a",
  pattern: "m*a",
  prefer: "ann:2",
  syllables: "2-3",
});
const SEED = 42;
const N = 12;

/**
 * A field's text as a value of the question; undefined if it is empty.
 * @param {{kind: string}} constraint
 * @param {string} text
 * @returns {string | number | string[] | undefined}
 */
export function valueOf({ kind }, text) {
  if (text.trim() === "") return undefined;
  if (kind === "texts") return text.split(/\s+/).filter(Boolean);
  if (kind !== "whole") return text;
  const number = Number(text);
  return Number.isInteger(number) ? number : text; // the server says what is wrong
}

/** @param {number | null} p */
const probability = (p) => (p === null ? "" : p < 1e-3 ? p.toExponential(2) : p.toPrecision(3));

/**
 * @param {import("./lab.js").Lab} lab
 * @returns {import("./lab.js").Panel}
 */
export function steer(lab) {
  const first = make("div", { class: "fields" });
  const others = make("div", { class: "fields" });
  const sliders = drawing(lab);
  const result = make("div", { class: "result", "aria-live": "polite" });
  /** @type {Map<Constraint, (text: string) => void>} */ const fields = new Map(); // how each shows its text
  const nameOf = (/** @type {string} */ name) => `steer.${name.replaceAll("_", "-")}`;
  let wanted = ""; // what the page asks for: "draw", "likeliest" or nothing yet

  /** @param {string} name @param {string} label */
  function box(name, label) {
    const input = make("input", { type: "checkbox" });
    input.addEventListener("change", () => {
      lab.state.set(nameOf(name), input.checked ? "true" : null);
      ask();
    });
    return {
      element: make("label", { class: "choice" }, input, label),
      read: () => (input.checked = lab.state.get(nameOf(name)) === "true"),
    };
  }
  const boxes = Object.entries(BOXES).map(([name, label]) => ({ name, ...box(name, label) }));
  const always = box("always", "with every step");

  /** @param {Constraint} constraint */
  function field(constraint) {
    const { name, help, kind, low, high } = constraint;
    const input = make("input", {
      type: kind === "whole" ? "number" : "text",
      min: low,
      max: high,
      maxlength: 100,
      placeholder: PLACES[name] ?? (name === "n" ? N : name === "seed" ? SEED : null),
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      "aria-description": help,
    });
    fields.set(constraint, showing(input));
    input.addEventListener("change", () => {
      lab.state.set(nameOf(name), input.value || null);
      ask();
    });
    input.addEventListener("keydown", ({ key }) => {
      if (key === "Enter" && !wanted) ask();
    });
    return make("label", { title: help }, make("span", {}, name === "gap" ? "gaps" : name.replaceAll("_", "-")), input);
  }

  lab.on("controls", (/** @type {import("./lab.js").Controls} */ { constraints }) => {
    fields.clear();
    const of = (/** @type {boolean} */ shown) => constraints.filter((one) => one.first === shown).map(field);
    first.replaceChildren(...of(true));
    others.replaceChildren(...of(false), ...OF_DRAWS.map(field));
    if ([...fields.keys()].some(({ name }) => lab.state.has(nameOf(name)))) wanted = "draw"; // the address asks
    values();
  });

  function ask(what = wanted || "draw") {
    wanted = what;
    lab.refresh(panel);
  }

  /** Other words of the same kind: the next seed, if this one has been drawn. */
  function again() {
    if (wanted === "draw") lab.state.set("steer.seed", Number(lab.state.get("steer.seed", `${SEED}`)) + 1);
    ask("draw");
  }

  /** The values of the state, which the fields show. */
  function values() {
    /** @type {Record<string, any>} */
    const found = {};
    for (const [constraint, show] of fields) {
      const text = lab.state.get(nameOf(constraint.name));
      show(text);
      const value = valueOf(constraint, text);
      if (value !== undefined) found[constraint.name] = value;
    }
    return found;
  }

  /** @param {{word: string, mark: string}[]} words */
  function drawn(words) {
    const items = words.map(({ word, mark }) =>
      make(
        "li",
        {},
        wordButton(lab, word),
        make("span", { class: mark === "new" ? "mark" : "mark listed" }, markText(mark)),
      ),
    );
    return make("ul", { class: "samples", "aria-label": "words drawn at random" }, ...items);
  }

  /** @param {{word: string, mark: string, probability: number, share: number | null}[]} words */
  function table(words) {
    const shares = words.some(({ share }) => share !== null);
    const head = ["word", "probability", ...(shares ? ["share of matches"] : []), ""];
    const rows = words.map(({ word, mark, probability: p, share }) => {
      const numbers = [probability(p), ...(shares ? [share === null ? "" : `${(100 * share).toFixed(2)}%`] : [])];
      return make(
        "tr",
        {},
        make("td", {}, wordButton(lab, word)),
        ...numbers.map((text) => make("td", { class: "number" }, text)),
        make("td", { class: "faint" }, markText(mark)),
      );
    });
    const titles = head.map((text, i) => make("th", { class: i && text ? "number" : null }, text));
    return make("table", {}, make("thead", {}, make("tr", {}, ...titles)), make("tbody", {}, ...rows));
  }

  const details = make("details", {}, make("summary", {}, "More constraints"), others);
  const buttons = make(
    "div",
    { class: "choices" },
    make("button", { type: "button", onclick: again }, "Draw"),
    make("button", { type: "button", onclick: () => ask("likeliest") }, "Most likely"),
    ...boxes.map(({ element }) => element),
    always.element,
  );

  /** @type {import("./lab.js").Panel} */
  const panel = {
    title: "Fill and steer",
    name: "steer",
    element: make("div", {}, first, details, sliders.element, buttons, result),
    async refresh(live) {
      const given = values();
      const { n = N, seed = SEED, ...constraints } = given;
      const chosen = Object.fromEntries(boxes.map(({ name, read }) => [name, read()]));
      const draws = sliders.read();
      const follows = always.read();
      set(result, { "aria-live": follows ? "off" : "polite" });
      if (!wanted || (live && !follows && result.childElementCount)) return;
      const likeliest = wanted === "likeliest" || constraints.gap !== undefined;
      const parts = [];
      let step = 0;
      if (likeliest) {
        const found = await lab.ask("likeliest", { ...constraints, only_new: chosen.only_new, n }, live);
        step = found.step;
        parts.push(make("h3", {}, "Most likely"), table(found.words), make("p", { class: "faint" }, found.line));
      }
      if (wanted === "draw") {
        const found = await lab.ask("steer", { ...constraints, ...draws, ...chosen, n, seed }, live);
        step = found.step;
        parts.push(make("h3", {}, "Drawn at random"), drawn(found.words), make("p", { class: "faint" }, found.line));
      }
      parts.push(make("p", { class: "faint" }, `With the weights of step ${step.toLocaleString("en")}.`));
      result.replaceChildren(...parts);
    },
  };
  follow((name) => {
    if (!sliders.has(name)) return;
    sliders.read();
    if (wanted === "draw") lab.refresh(panel);
  });
  set(details, { open: false });
  return panel;
}
