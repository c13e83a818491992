/** @file The panel of one gradient: by hand, by autograd and by a difference, and the lines that compute it. */

import { cells } from "./cells.js";
import { short } from "./chart.js";
import { code } from "./code.js";
import { aligned } from "./digits.js";
import { make, set, showing } from "./dom.js";

const HAND = "By hand, float64";

/** The size of a small number, such as 1e-7. @param {number} x */
const order = (x) => (x === 0 ? "0" : x.toExponential(0));

/**
 * The numbers to compare: name, value, and how it comes about. The first is the reference.
 * @param {any} found
 * @returns {[string, number | null, string][]}
 */
export function rowsOf({ hand, autograd, difference, torch }) {
  return [
    [HAND, hand.float64, "the lines below, in double precision"],
    ["By hand, float32", hand.float32, "the same lines as the training runs them"],
    [
      "Autograd",
      autograd,
      torch ? "PyTorch derives it from the forward pass alone" : "needs PyTorch, which is not installed",
    ],
    ["Difference", difference, "the loss a little to both sides: (L(w + h) \u2212 L(w \u2212 h)) / 2h, extrapolated"],
  ];
}

/**
 * The name of an entry, such as W[3, 17], or b[3] for a vector.
 * @param {{parameter: string, shape: number[], row: number, column: number}} found
 */
export const entryOf = ({ parameter, shape, row, column }) =>
  `${parameter}[${shape.length > 1 ? `${row}, ${column}` : column}]`;

/**
 * @param {import("./lab.js").Lab} lab
 * @returns {import("./lab.js").Panel}
 */
export function gradient(lab) {
  const tensor = make("select", { "aria-label": "parameter" });
  const map = make(
    "select",
    { "aria-label": "map" },
    make("option", { value: "gradients" }, "gradients"),
    make("option", { value: "weights" }, "weights"),
  );
  const index = (/** @type {string} */ label) => make("input", { type: "number", min: 0, "aria-label": label });
  const [row, column] = [index("row"), index("column")];
  const [showRow, showColumn] = [showing(row), showing(column)];
  const rowLabel = make("label", { class: "choice" }, "row ", row);
  const picture = cells((i, j) => go(i + at.row, j + at.column));
  const about = make("p", { "aria-live": "polite" });
  const numbers = make("table", { class: "numbers" });
  const verdict = make("p", { class: "faint" });
  const note = make("p");
  const lines = code();
  const caption = make("p", { class: "faint" });
  let at = { row: 0, column: 0 }; // where the map begins
  let shown = ""; // what the panel shows
  let of = -1; // the training that it shows

  tensor.addEventListener("change", () => {
    lab.state.set("gradient.parameter", tensor.value);
    go(null, null);
  });
  map.addEventListener("change", () => {
    lab.state.set("gradient.map", map.value === "gradients" ? null : map.value);
    lab.refresh(panel);
  });
  const within = (/** @type {HTMLInputElement} */ input) =>
    Math.max(0, Math.min(Number(input.max), Math.trunc(input.valueAsNumber) || 0));
  for (const input of [row, column]) input.addEventListener("change", () => go(within(row), within(column)));

  /** @param {number | null} i @param {number | null} j */
  function go(i, j) {
    lab.state.set("gradient.row", i);
    lab.state.set("gradient.column", j);
    lab.refresh(panel);
  }

  const number = (/** @type {string} */ name) =>
    lab.state.has(name) ? Math.trunc(Number(lab.state.get(name))) || 0 : null;

  /** @param {any} found */
  function drawFields(found) {
    const names = found.parameters.map((/** @type {any} */ { name, shape }) => `${name}  ${shape.join(" \u00d7 ")}`);
    if (names.join() !== [...tensor.options].map(({ text }) => text).join())
      tensor.replaceChildren(
        ...names.map((/** @type {string} */ text, /** @type {number} */ i) =>
          make("option", { value: found.parameters[i].name }, text),
        ),
      );
    tensor.value = found.parameter;
    const columns = found.shape.at(-1) ?? 1;
    const rows = found.shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1) / columns;
    set(row, { max: rows - 1 });
    set(column, { max: columns - 1 });
    set(rowLabel, { hidden: rows === 1 });
    showRow(String(found.row));
    showColumn(String(found.column));
  }

  /** @param {any} found @param {string} what */
  function drawMap(found, what) {
    const { values, ...begin } = found.map;
    at = begin;
    const whole = found.shape.reduce((/** @type {number} */ a, /** @type {number} */ b) => a * b, 1);
    const [n, m] = [values.length, values[0].length];
    const range = (/** @type {number} */ from, /** @type {number} */ n) =>
      n === 1 ? `${from}` : `${from} to ${from + n - 1}`;
    const part = n * m < whole ? `Rows ${range(at.row, n)}, columns ${range(at.column, m)}. ` : "";
    const largest = Math.max(...values.flat().map(Math.abs));
    caption.textContent = `${part}Blue is positive, orange negative, up to \u00b1${short(largest)}. Press a cell to choose it.`;
    picture.draw({
      values,
      largest,
      rows: [],
      columns: [],
      most: 14,
      chosen: [found.row - at.row, found.column - at.column],
      alt: `${what} of ${found.parameter}`,
      tell: (i, j) => `[${i + at.row}, ${j + at.column}]: ${short(values[i][j])}`,
    });
  }

  /** @param {any} found @param {boolean} waiting whether autograd comes later */
  function drawNumbers(found, waiting) {
    const all = rowsOf(found);
    const known = all.map(([, value]) => value ?? NaN);
    const reference = found.hand.float64;
    const { power, parts } = aligned(known, reference);
    const rows = all.map(([name, value, how], i) => {
      const [same, other] = parts[i];
      const digits = value === null ? [waiting ? "importing PyTorch" : "\u2014"] : [make("b", {}, same), other];
      const apart = value === null || !i ? "" : order(Math.abs(value - reference) / (found.largest || 1));
      return make(
        "tr",
        {},
        make("th", { scope: "row" }, name, make("span", { class: "how" }, how)),
        make("td", { class: "digits" }, ...digits),
        make("td", { class: "number" }, apart),
      );
    });
    const unit = power
      ? ["\u2202L/\u2202w, \u00d7 10", make("sup", {}, String(power).replace("-", "\u2212"))]
      : ["\u2202L/\u2202w"];
    const head = make(
      "tr",
      {},
      make("th"),
      make("th", { class: "number" }, ...unit),
      make("th", { class: "number" }, "apart"),
    );
    numbers.replaceChildren(make("thead", {}, head), make("tbody", {}, ...rows));
    verdict.textContent =
      "Digits in bold agree with the first line. Apart: the difference, relative to the largest gradient of the tensor, as moreish gradcheck counts it.";
  }

  /** @param {any} found */
  function drawAbout(found) {
    const batch = `${found.examples} of the ${found.of.toLocaleString("en")} ${found.words ? "words" : "examples"}`;
    const examples = found.examples < found.of ? batch : `the ${found.of} ${found.words ? "words" : "examples"}`;
    about.replaceChildren(
      make("code", {}, entryOf(found)),
      ` is w = ${short(found.value)} after step ${found.step.toLocaleString("en")}. The loss L is the mean over ` +
        `${examples} of the next batch: ${found.loss.toFixed(4)} nats. How fast does L grow with w?`,
    );
  }

  /** @param {any} found @param {string} what @param {boolean} waiting */
  function draw(found, what, waiting) {
    drawFields(found);
    drawAbout(found);
    drawMap(found, what);
    drawNumbers(found, waiting);
    lines.draw(found.derivation, found.parameter.split(".").at(-1));
  }

  const fields = make(
    "div",
    { class: "choices" },
    make("label", { class: "choice" }, "parameter ", tensor),
    rowLabel,
    make("label", { class: "choice" }, "column ", column),
    make("label", { class: "choice" }, "map of ", map),
  );
  const compared = make("div", { class: "compared" }, about, numbers, verdict, note);
  const mapped = make("div", { class: "mapped" }, picture.element, caption);

  /** @type {import("./lab.js").Panel} */
  const panel = {
    title: "One gradient",
    name: "gradient",
    element: make(
      "div",
      { class: "result" },
      fields,
      make("div", { class: "beside" }, mapped, compared),
      lines.element,
    ),
    async refresh(live) {
      const [i, j] = [number("gradient.row"), number("gradient.column")];
      const what = lab.state.get("gradient.map", "gradients") === "weights" ? "weights" : "gradients";
      const parameter = lab.state.get("gradient.parameter");
      const values = { parameter, map: what, ...(i === null ? {} : { row: i }), ...(j === null ? {} : { column: j }) };
      const { training, step, playing, ended } = lab.status ?? {};
      const key = JSON.stringify([training, step, ended, values]);
      const still = playing && of === training; // while the training plays, this stands still
      note.textContent = live && still ? "Pause the training, or make one step, and these numbers follow." : "";
      if (live && (still || shown === key)) return;
      /** @type {Record<string, any>} */ let asked = values;
      let found = await lab.ask("gradient", values, live).catch((error) => {
        if (of === training || (!parameter && i === null && j === null)) throw error;
        return lab.ask("gradient", (asked = { map: what }), live); // another model has other parameters
      });
      map.value = what;
      draw(found, what, found.torch);
      [shown, of] = [key, found.training];
      if (!found.torch) return;
      // PyTorch may have to be imported first, which takes seconds.
      draw(
        await lab.ask("gradient", { ...asked, row: found.row, column: found.column, autograd: true }, live),
        what,
        false,
      );
    },
  };
  return panel;
}
