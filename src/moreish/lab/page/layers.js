/** @file The panel of the layers at work: their outputs and gradients, the size of the updates, and what is wrong. */

import { lines } from "./lines.js";
import { make, set, svg } from "./dom.js";
import { bitmap } from "./heat.js";

const IMAGE = "layers.image"; // name of the layer whose saturated outputs are shown
const HIGH = 24; // of a histogram
const BIN = 3; // its width
const COLOURS = 6; // of lines, from the first weights to the last
const NAMED = 9; // lines with a value under the pointer, at most

/**
 * @typedef {{limit: number | null, shares: number[]}} Histogram
 *
 * @typedef {object} Layer
 * @property {string} name
 * @property {number | null} mean
 * @property {number | null} std
 * @property {number | null} gradient
 * @property {number} [saturated]
 * @property {number} [dead]
 * @property {number} [units]
 * @property {Histogram} output
 * @property {Histogram} grad
 *
 * @typedef {{name: string, ratio: number | null, before: (number | null)[]}} Weight
 *
 * @typedef {object} Answer
 * @property {number | null} loss
 * @property {Layer[]} layers
 * @property {number[]} steps
 * @property {Weight[]} weights
 * @property {{trouble: string, seen: string, remedy: string}[]} verdicts
 * @property {boolean} judged
 * @property {boolean} left
 * @property {number[][]} [image]
 */

/** @param {number | null | undefined} value */
export const decimal = (value) =>
  value === null || value === undefined
    ? "none"
    : (Math.abs(value) < 1e4 ? value.toFixed(3) : value.toExponential(1)).replace("-", "\u2212");

const RAISED = "\u2070\u00b9\u00b2\u00b3\u2074\u2075\u2076\u2077\u2078\u2079";

/**
 * A number as a power of ten with one digit before it, such as 3 · 10⁻⁴.
 * @param {number | null | undefined} value
 */
export function scientific(value) {
  if (value === null || value === undefined) return "none";
  if (value === 0) return "0";
  const [digits, power] = value.toExponential(0).split("e");
  const raised = [...String(Math.abs(Number(power)))].map((digit) => RAISED[Number(digit)]).join("");
  return `${digits} \u00b7 10${Number(power) < 0 ? "\u207b" : ""}${raised}`.replace("-", "\u2212");
}

/**
 * The outline of a histogram: a step for each share, the highest of all the height.
 * @param {number[]} shares
 * @param {number} width of a bin
 * @param {number} height
 */
export function outline(shares, width, height) {
  const most = Math.max(...shares);
  const steps = shares.map((share, i) => `V${(height * (1 - share / most)).toFixed(1)}H${width * (i + 1)}`);
  return shares.length && most > 0 ? `M0 ${height}${steps.join("")}V${height}z` : "";
}

/**
 * What the verdicts say when there are none.
 * @param {boolean} judged whether the learning rate has been judged
 * @param {boolean} left whether steps are left
 */
export function noProblem(judged, left) {
  if (judged) return "No problems found so far.";
  if (left) return "No problems found so far. It takes a few more steps to judge the learning rate.";
  return "No problems found in the layers. The learning rate is judged only while this panel is in view and the net learns.";
}

/** A small histogram. draw(data) shows it. */
function histogram() {
  const shape = svg("path");
  const picture = svg(
    "svg",
    { class: "histogram", role: "img", height: HIGH + 1 },
    shape,
    svg("path", { class: "middle" }),
  );
  return {
    element: picture,
    /** @param {Histogram} data @param {string} of */
    draw({ limit, shares }, of) {
      const wide = BIN * shares.length;
      set(shape, { d: outline(shares, BIN, HIGH) });
      set(picture.lastElementChild ?? shape, { d: wide ? `M${wide / 2} 0V${HIGH}M0 ${HIGH + 0.5}H${wide}` : "" });
      set(picture, {
        viewBox: `0 0 ${wide || 1} ${HIGH + 1}`,
        width: wide || 1,
        "aria-label": limit === null ? `${of}: all equal` : `${of}, from \u2212${limit} to ${limit}`,
      });
    },
  };
}

/** A row of the table. show(layer) fills it. */
function row() {
  const [output, grad] = [histogram(), histogram()];
  const [about, saturated, dead, gradient] = [0, 1, 2, 3].map(() => make("span"));
  const name = make("th", { scope: "row" });
  return {
    element: make(
      "tr",
      {},
      name,
      make("td", {}, output.element, about),
      make("td", { class: "number" }, saturated),
      make("td", { class: "number" }, dead),
      make("td", {}, grad.element, gradient),
    ),
    /** @param {Layer} layer */
    show(layer) {
      const saturates = layer.saturated !== undefined;
      const text = (/** @type {Element} */ element, /** @type {string} */ content) => {
        if (element.textContent !== content) element.textContent = content;
      };
      text(name, layer.name);
      output.draw(layer.output, `Outputs of ${layer.name}`);
      grad.draw(layer.grad, `Gradients of ${layer.name}`);
      text(about, `${decimal(layer.mean)} \u00b1 ${decimal(layer.std)}`);
      text(saturated, saturates ? `${Math.round(100 * (layer.saturated ?? 0))}%` : "");
      text(dead, saturates ? `${layer.dead} of ${layer.units}` : "");
      text(gradient, scientific(layer.gradient));
      set(dead, { class: saturates && (layer.dead ?? 0) > 0.1 * (layer.units ?? 1) ? "much" : null });
    },
  };
}

/**
 * @param {import("./lab.js").Lab} lab
 * @returns {import("./lab.js").Panel}
 */
export function layers(lab) {
  const verdicts = make("ul", { class: "verdicts" });
  const body = make("tbody");
  const heads = ["Layer", "Output: mean \u00b1 std", "Saturated", "Dead units", "Gradient: std"];
  const table = make(
    "div",
    { class: "across", tabindex: "0", role: "region", "aria-label": "Statistics of the layers" },
    make(
      "table",
      {},
      make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
      body,
    ),
  );
  const chart = lines({ height: 200 });
  const legend = make("ul", { class: "ratios" });
  const updates = make("div", {}, make("h3", {}, "Size of a step"), chart.element, legend);
  const select = make("select", { onchange: () => choose(select.value) });
  const image = bitmap();
  const which = make("label", { class: "choice" }, "Saturated outputs of ", select);
  const note = make("p", { class: "faint" });
  /** @type {ReturnType<typeof row>[]} */ let rows = [];
  let said = "";

  /** @type {import("./lab.js").Panel} */
  const panel = {
    title: "Layers",
    name: "layers",
    element: make("div", { class: "result" }, verdicts, table, note, updates, which, image.element),
    async refresh(live) {
      const wanted = lab.state.get(IMAGE);
      /** @type {Answer} */ const answer = await ask(wanted, live);
      showVerdicts(answer);
      while (rows.length < answer.layers.length) rows.push(row());
      rows = rows.slice(0, answer.layers.length);
      if (body.childElementCount !== rows.length) body.replaceChildren(...rows.map(({ element }) => element));
      answer.layers.forEach((layer, i) => rows[i].show(layer));
      note.textContent =
        "All numbers are of the same train examples at every step. Histograms are centred at 0; their ends hold all beyond.";
      showUpdates(answer);
      showImage(answer, wanted);
    },
  };

  /** Ask for the layers; without an image if the model has no layer of that name. @param {string} name @param {boolean} live */
  async function ask(name, live) {
    try {
      return await lab.ask("layers", { image: name }, live);
    } catch (error) {
      if (!name) throw error;
      return lab.ask("layers", {}, live);
    }
  }

  /** @param {Answer} answer */
  function showVerdicts({ verdicts: found, judged, left }) {
    const now = JSON.stringify([found, judged, left]);
    if (now === said) return;
    said = now;
    verdicts.replaceChildren(
      ...found.map(({ trouble, seen, remedy }) => make("li", {}, make("strong", {}, trouble), `: ${seen}: ${remedy}.`)),
      ...(found.length ? [] : [make("li", { class: "none" }, noProblem(judged, left))]),
    );
  }

  /** @param {Answer} answer */
  function showUpdates({ steps, weights }) {
    const all = weights.flatMap(({ before }) => before).filter((ratio) => ratio !== null && ratio > 0);
    set(updates, { hidden: !all.length });
    set(chart.element, { hidden: steps.length < 2 });
    if (!all.length) return;
    const colour = (/** @type {number} */ i) => Math.round(((COLOURS - 1) * i) / Math.max(1, weights.length - 1));
    const decade = (/** @type {number} */ value, /** @type {"floor" | "ceil"} */ way) =>
      10 ** Math[way](Math.log10(value));
    const low = Math.min(1e-4, decade(Math.min(.../** @type {number[]} */ (all)), "floor"));
    const high = Math.max(1e-2, decade(Math.max(.../** @type {number[]} */ (all)), "ceil"));
    const last = weights.map(({ name, ratio, before }) => `${name} ${scientific(ratio ?? before.at(-1))}`);
    chart.draw({
      series: weights.map(({ name, before }, i) => ({
        name: weights.length <= NAMED ? name : "",
        kind: `weight-${colour(i)}`,
        points: steps.map((step, at) => [step, before[at] || Number.NaN]),
      })),
      rules: [{ y: 1e-3, label: "usual" }],
      x: [Math.min(1, steps[0]), Math.max(2, steps.at(-1) ?? 2)],
      y: [low, high],
      log: true,
      xLabel: "step",
      yLabel: "std of the update / std of the weights",
      alt: `Update-to-weight ratios so far. Now: ${last.join(", ")}`,
    });
    while (legend.childElementCount > weights.length) legend.lastChild?.remove();
    weights.forEach((_, i) => {
      const item = legend.children[i] ?? legend.appendChild(make("li"));
      set(item, { class: `weight-${colour(i)}` });
      if (item.textContent !== last[i]) item.textContent = last[i];
    });
  }

  /** @param {Answer} answer @param {string} wanted */
  function showImage({ layers: all, image: found }, wanted) {
    const names = all.filter(({ saturated }) => saturated !== undefined).map(({ name }) => name);
    const options = ["", ...names];
    if ([...select.options].map(({ value }) => value).join() !== options.join())
      select.replaceChildren(...options.map((value) => make("option", { value }, value || "no layer")));
    set(which, { hidden: !names.length });
    select.value = found ? wanted : "";
    set(image.element, { hidden: !found });
    if (!found) return;
    const share = found.flat().reduce((sum, one) => sum + one, 0) / Math.max(1, found.flat().length);
    const size = `${found.length} examples downwards, ${found[0]?.length ?? 0} units to the right`;
    image.draw(found, `${size}: ${Math.round(100 * share)}% saturated, shown white`);
  }

  /** @param {string} name */
  function choose(name) {
    lab.state.set(IMAGE, name || null);
    lab.refresh(panel);
  }
  return panel;
}
