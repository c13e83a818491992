/** @file The map of the attention of a head over a word. */

import { visible } from "./dom.js";

export const OF_ROWS =
  "A row: the character read last. A column: how much what comes next looks at that character. Rows sum to 1.";

/** A character; the word boundary is a dot, as in the plots. @param {string} character */
export const labelOf = (character) => (character === "" ? "\u00b7" : visible(character));

/** @param {string} character */
export const named = (character) => (character === "" ? "the start" : visible(character));

/**
 * Lower triangle of a square: a position looks at itself and those before it.
 * @param {number[][]} weights
 */
export const triangle = (weights) => weights.map((row, i) => row.map((value, j) => (j > i ? null : value)));

/**
 * The map of one head, for cells().
 * @param {object} found
 * @param {string[]} found.characters at all positions, "" at the word boundary
 * @param {number[][]} found.weights
 * @param {number} found.layer from 0
 * @param {number} found.head
 * @returns {import("./cells.js").Map}
 */
export function attentionMap({ characters, weights, layer, head }) {
  return {
    values: triangle(weights),
    largest: 1,
    rows: characters.map(labelOf),
    columns: characters.map(labelOf),
    alt: `Weights of attention of layer ${layer + 1}, head ${head + 1}, over ${characters.join("") || "nothing"}`,
    tell: (row, column) =>
      `After ${named(characters[row])}: ${weights[row][column].toFixed(3)} of the attention is on ${named(characters[column])}.`,
  };
}
