/** @file The panel of the character embeddings: a map that moves with the training. */

import { make, svg, visible } from "./dom.js";
import { neighbours, outlines, scatter } from "./scatter.js";

const KINDS = ["vowel", "consonant", "other character", "end"];
const NAMES = ["vowels", "consonants", "other characters", "end of a word"];
const NEAR = 3; // neighbours of a character that are named

/**
 * What a map shows, in words.
 * @param {number} dimensions of an embedding
 * @param {number} share of the variance that is in the plane
 */
export const about = (dimensions, share) =>
  dimensions === 2
    ? "The two numbers of each character's embedding."
    : `The plane in which the embeddings, of ${dimensions} numbers each, lie furthest apart: ` +
      `${Math.round(100 * share)}% of their variance.`;

/**
 * @param {import("./lab.js").Lab} lab
 * @returns {import("./lab.js").Panel}
 */
export function embedding(lab) {
  const hint = "Characters near each other are treated alike. Point at one, or use the arrow keys.";
  const reading = make("p", { class: "reading faint" }, hint);
  const map = scatter((text) => (reading.textContent = text || hint));
  const caption = make("p", { class: "faint" });
  const legend = make("p", { class: "kinds faint" });
  let shownKinds = "";

  /** @param {number[]} kinds */
  function drawLegend(kinds) {
    const entries = [...NAMES.keys()].filter((kind) => kinds.includes(kind));
    if (entries.join() === shownKinds) return;
    shownKinds = entries.join();
    legend.replaceChildren(
      ...entries.map((kind) =>
        make(
          "span",
          {},
          svg(
            "svg",
            { class: "scatter", viewBox: "-10 -10 20 20", width: 16, height: 16, "aria-hidden": "true" },
            svg("g", { class: `kind-${kind}` }, svg("path", { d: outlines(6)[kind] })),
          ),
          ` ${NAMES[kind]}`,
        ),
      ),
    );
  }

  return {
    title: "Embeddings",
    name: "embedding",
    element: make("div", { class: "result" }, map.element, reading, legend, caption),
    async refresh(live) {
      /** @type {{characters: string[], kinds: string[], at: [number, number][], dimensions: number, share: number}} */
      const { characters, kinds, at, dimensions, share } = await lab.ask("embedding", {}, live);
      const names = characters.map(visible);
      const numbers = kinds.map((kind) => KINDS.indexOf(kind));
      const text = about(dimensions, share);
      map.draw({
        names,
        kinds: numbers,
        at,
        describe(i) {
          const near = neighbours(at, i, NEAR).map((other) => names[other]);
          return `${names[i]} (${kinds[i]}): nearest to ${near.join(", ")}`;
        },
        alt: `Map of ${names.length} embeddings. ${text}`,
      });
      drawLegend(numbers);
      caption.textContent = text;
    },
  };
}
