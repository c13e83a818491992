/** @file The panel of the architecture: a box for each layer, or the contexts of counts. */

import { make, set } from "./dom.js";

const LAYER = "architecture.layer"; // path of the layer that is opened

/**
 * @typedef {object} Layer
 * @property {string} path
 * @property {number} depth
 * @property {string} kind
 * @property {string} what
 * @property {string} formula
 * @property {number[]} shape
 * @property {{name: string, shape: number[], trained: boolean}[]} parameters
 * @property {number} n
 *
 * @typedef {object} Architecture
 * @property {string} kind
 * @property {number} parameters
 * @property {Layer[]} layers
 * @property {[string, string][]} rows
 * @property {number[]} [contexts]
 * @property {number} [columns]
 */

/** @param {number} n */
const grouped = (n) => n.toLocaleString("en");

/** @param {number[]} shape */
export const times = (shape) => shape.map(grouped).join(" \u00d7 ");

/**
 * The width of each box in percent: it grows with the logarithm of the size of the output.
 * @param {number[][]} shapes
 */
export function widths(shapes) {
  const sizes = shapes.map((shape) =>
    Math.log(
      Math.max(
        2,
        shape.reduce((a, b) => a * b, 1),
      ),
    ),
  );
  const most = Math.max(...sizes);
  return sizes.map((size) => Math.round(40 + (60 * size) / most));
}

/**
 * @param {import("./lab.js").Lab} lab
 * @returns {import("./lab.js").Panel}
 */
export function architecture(lab) {
  const summary = make("p", { class: "faint" });
  const body = make("div", { class: "architecture" });
  /** @type {Map<string, {button: HTMLButtonElement, about: HTMLElement}>} */ let boxes = new Map();
  let shown = -1; // number of the training

  /** @param {string} opened */
  function open(opened) {
    for (const [path, { button, about }] of boxes) {
      set(button, { "aria-expanded": String(path === opened) });
      set(about, { hidden: path !== opened });
    }
  }

  /** @param {string} path */
  function choose(path) {
    lab.state.set(LAYER, lab.state.get(LAYER) === path ? null : path);
    open(lab.state.get(LAYER));
  }

  /** @param {Layer} layer @param {number} width */
  function box(layer, width) {
    const { path, depth, kind, shape, n } = layer;
    const about = make("div", { class: "about", id: `layer-${path}` }, ...described(layer));
    const button = make(
      "button",
      { type: "button", class: n ? "layer weights" : "layer", "aria-controls": about.id, onclick: () => choose(path) },
      make("span", {}, `${kind === "Residual" ? "+ " : ""}${kind}`),
      make("span", { class: "shape" }, times(shape)),
      make("span", { class: "parameters" }, n ? `${grouped(n)} parameters` : ""),
    );
    button.style.setProperty("--wide", `${width}%`);
    boxes.set(path, { button, about });
    const item = make("li", {}, button, about);
    item.style.setProperty("--depth", String(depth));
    return item;
  }

  /** @param {Layer} layer */
  function described({ path, what, formula, shape, parameters }) {
    const of = parameters.map(
      ({ name, shape: own, trained }) => `${name} ${times(own)}${trained ? "" : " (not trained)"}`,
    );
    return [
      make("p", {}, `Layer ${path}: ${what}`),
      make("pre", { tabindex: "0", "aria-label": "Formula" }, formula),
      make("p", { class: "faint" }, `Output for one example: ${times(shape)}. Parameters: ${of.join(", ") || "none"}.`),
    ];
  }

  /** @param {Architecture} found */
  function draw({ kind, parameters, layers, rows, contexts, columns }) {
    boxes = new Map();
    summary.textContent = `${kind[0].toUpperCase()}${kind.slice(1)}: ${grouped(parameters)} parameters.`;
    if (layers.length) {
      const wide = widths(layers.map(({ shape }) => shape));
      summary.textContent += ` ${columns === 1 ? "Each token" : `A context of ${columns} tokens`} goes in at the top.`;
      return body.replaceChildren(make("ol", {}, ...layers.map((layer, i) => box(layer, wide[i]))));
    }
    const heads = ["Characters before", "Different contexts"].map((head) =>
      make("th", { scope: "col", class: "number" }, head),
    );
    const lengths = (contexts ?? []).map((n, length) =>
      make("tr", {}, make("td", { class: "number" }, `${length}`), make("td", { class: "number" }, grouped(n))),
    );
    const line = (/** @type {[string, string]} */ [name, value]) =>
      make("tr", {}, make("th", { scope: "row" }, name), make("td", {}, value));
    body.replaceChildren(
      make("table", {}, make("tbody", {}, ...rows.map(line))),
      lengths.length
        ? make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...lengths))
        : "",
    );
  }

  return {
    title: "Architecture",
    name: "architecture",
    element: make("div", { class: "result" }, summary, body),
    async refresh(live) {
      if (lab.status?.training !== shown) {
        const found = await lab.ask("architecture", {}, live);
        draw(found);
        shown = found.training;
      }
      open(lab.state.get(LAYER));
    },
  };
}
