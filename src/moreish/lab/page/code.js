/** @file Lines of source: the formula of a layer, its forward pass and its backward pass. */

import { make } from "./dom.js";

/**
 * @typedef {{name: string, file: string, line: number, text: string}} Lines
 * @typedef {{file: string, formula: string, forward: Lines[], backward: Lines[]}} Derivation
 */

/**
 * Whether a line has the gradient of a parameter, such as dW.
 * @param {string} line
 * @param {string} parameter
 */
export const hasGradient = (line, parameter) => new RegExp(`\\bd${parameter}\\b`).test(line);

/**
 * The paragraphs of a docstring: prose, whose lines are joined, and indented blocks, which stay as they are.
 * @param {string} text
 * @returns {{text: string, block: boolean}[]}
 */
export function paragraphs(text) {
  return text
    .split(/\n\s*\n/)
    .map((part) => part.trimEnd())
    .filter(Boolean)
    .map((part) => {
      const block = /^\s/.test(part);
      const indent = block ? Math.min(...part.split("\n").map((line) => line.search(/\S|$/))) : 0;
      const lines = part.split("\n").map((line) => (block ? line.slice(indent).trimEnd() : line.trim()));
      return { text: lines.join(block ? "\n" : " "), block };
    });
}

/** Make the place of a derivation. */
export function code() {
  const formula = make("div", { class: "formula" });
  const title = make("h3");
  const forward = make("div");
  const backward = make("div");
  const element = make(
    "div",
    { class: "derivation" },
    make("section", {}, title, formula),
    make("section", {}, make("h3", {}, "Forward"), forward),
    make("section", {}, make("h3", {}, "Backward"), backward),
  );
  let shown = "";

  /** @param {Lines} lines @param {string} parameter */
  function listing({ file, line, text }, parameter) {
    const all = text.trimEnd().split("\n");
    const width = String(line + all.length - 1).length;
    const rows = all.map((content, i) =>
      make(
        "span",
        { class: hasGradient(content, parameter) ? "line marked" : "line" },
        make("span", { class: "at", "aria-hidden": "true" }, String(line + i).padStart(width)),
        make("span", { class: /^\s*#/.test(content) ? "comment" : null }, content + "\n"),
      ),
    );
    const caption = make("figcaption", {}, `${file}, lines ${line} to ${line + all.length - 1}`);
    return make("figure", {}, caption, make("pre", { tabindex: "0" }, make("code", {}, ...rows)));
  }

  return {
    element,
    /**
     * Draw a derivation.
     * @param {Derivation} found
     * @param {string} parameter its name in the layer
     */
    draw(found, parameter) {
      const key = JSON.stringify([found, parameter]);
      if (key === shown) return; // so that nothing scrolls back
      shown = key;
      title.textContent = `The formula, from ${found.file}`;
      formula.replaceChildren(
        ...paragraphs(found.formula).map(({ text, block }) =>
          block ? make("pre", { tabindex: "0" }, text) : make("p", {}, text),
        ),
      );
      forward.replaceChildren(...found.forward.map((lines) => listing(lines, "")));
      backward.replaceChildren(...found.backward.map((lines) => listing(lines, parameter)));
    },
  };
}
