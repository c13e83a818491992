/** @file The panel of a word's score: the surprise at each character, as a number and as a colour. */

import { mix, pageColours, readable } from "./colours.js";
import { make, visible } from "./dom.js";
import { follow, textField, WORD } from "./shared.js";

const MOST = 8; // nats of the darkest colour

/**
 * How a word compares with others, in words.
 * @param {number | null} percentile of the val words of similar length that are at most as likely
 */
export function compared(percentile) {
  if (percentile === null) return "";
  if (percentile >= 100) return "no val word of similar length is more likely";
  const more = 100 - percentile;
  const share = more < 1 ? "under 1%" : more > 99 && more < 100 ? "over 99%" : `${Math.round(more)}%`;
  return `less likely than ${share} of the val words of similar length`;
}

/**
 * @param {import("./lab.js").Lab} lab
 * @returns {import("./lab.js").Panel}
 */
export function score(lab) {
  const word = textField(lab, WORD, { label: "Word", placeholder: "empty: one that the model draws" });
  const cells = make("ol", { class: "surprise", "aria-label": "nats of each character" });
  const total = make("p", { class: "total" });
  const about = make("p");
  const scale = make("p", { class: "faint scale" });
  let shown = ""; // the last word with its percentile
  let last = "";

  /** @param {number} nats */
  function paint(nats) {
    const { page, second } = pageColours();
    const background = mix(page, second, nats / MOST);
    return { background, color: readable(background) };
  }

  /** @param {HTMLElement} element @param {number} nats */
  function colour(element, nats) {
    for (const [name, value] of Object.entries(paint(nats))) element.style.setProperty(name, value);
  }

  function drawScale() {
    const swatches = [0, 2, 4, 6, MOST].map((nats) => {
      const swatch = make("span", { class: "swatch" }, nats === MOST ? `${nats}+` : `${nats}`);
      colour(swatch, nats);
      return swatch;
    });
    scale.replaceChildren(
      "Surprise in nats, \u2212log of the probability: ",
      make("span", { class: "swatches" }, ...swatches),
    );
  }

  /** @type {import("./lab.js").Panel} */
  const panel = {
    title: "Surprise",
    name: "score",
    element: make("div", {}, word.element, make("div", { class: "result" }, cells, total, about, scale)),
    async refresh(live) {
      const found = await lab.ask("score", { word: word.read(), percentile: !live || !lab.status?.playing }, live);
      cells.replaceChildren(
        ...found.chars.map((/** @type {{char: string, nats: number, unknown: boolean}} */ { char, nats, unknown }) => {
          const cell = make(
            "li",
            { class: unknown ? "unknown" : null, title: unknown ? "the model does not know this character" : null },
            make("span", { class: "char" }, visible(char)),
            make("span", { class: "nats" }, nats.toFixed(2)),
          );
          colour(cell, nats);
          return cell;
        }),
      );
      const unknown = found.chars.filter((/** @type {any} */ { unknown }) => unknown).length;
      total.textContent =
        `${found.total.toFixed(2)} nats in all, ${found.mean.toFixed(3)} for each of ${found.chars.length} tokens` +
        (unknown ? `, ${unknown} of which the model does not know` : "");
      if (found.percentile !== null || shown !== found.word) last = compared(found.percentile);
      shown = found.word;
      const place = found.mark === "new" ? "new, not in the list" : `in the list, in its ${found.mark} part`;
      about.textContent = [`${found.drawn ? "drawn now: " : ""}${place}`, last].filter(Boolean).join("; ");
      drawScale();
    },
  };
  follow((name) => name === WORD && lab.refresh(panel));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => lab.refresh(panel));
  return panel;
}
