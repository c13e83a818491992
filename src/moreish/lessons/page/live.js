/** @file Live pictures of the lessons, in a notebook or on a page: a slider and its frames, or a word and its attention. */

import { attentionMap, OF_ROWS } from "../../lab/page/attention.js";
import { cells } from "../../lab/page/cells.js";
import { short } from "../../lab/page/chart.js";
import { make, set } from "../../lab/page/dom.js";
import { bitmap } from "../../lab/page/heat.js";
import { lines } from "../../lab/page/lines.js";
import { attentionAlong, decoded, readerOf } from "../../lab/page/model.js";

const LONGEST = 30; // characters of a word that is typed

/**
 * @typedef {{label: string, values: number[], at: number}} Slider at is the position at first
 * @typedef {{element: HTMLElement, redraw: () => void}} Picture
 */

/**
 * Make a slider. It calls show with its position, at once and at each move.
 * @param {Slider} slider
 * @param {(position: number) => void} show
 * @returns {Picture}
 */
function slider({ label, values, at }, show) {
  const value = make("strong");
  const input = make("input", { type: "range", min: 0, max: values.length - 1, step: 1, value: at });
  const redraw = () => {
    const text = short(values[input.valueAsNumber], 3);
    value.textContent = text;
    set(input, { "aria-valuetext": `${label} ${text}` });
    show(input.valueAsNumber);
  };
  input.addEventListener("input", redraw);
  return { element: make("label", { class: "slider" }, make("span", {}, `${label} `, value), input), redraw };
}

/**
 * Rows of zeros and ones, from bits that were packed into bytes, the highest bit first.
 * @param {string} base64
 * @param {number} rows
 * @param {number} columns
 */
export function unpacked(base64, rows, columns) {
  const bytes = new Uint8Array(decoded(base64));
  const bit = (/** @type {number} */ i) => (bytes[i >> 3] >> (7 - (i & 7))) & 1;
  return Array.from({ length: rows }, (_, i) => Array.from({ length: columns }, (_, j) => bit(i * columns + j)));
}

/**
 * A slider over black and white images.
 * @param {{slider: Slider, rows: number, columns: number, images: string[], captions: string[], axes: string}} data
 * @returns {Picture}
 */
function ofImages({ slider: of, rows, columns, images: packed, captions, axes }) {
  const picture = bitmap();
  const caption = make("p", { "aria-live": "polite" });
  const control = slider(of, (position) => {
    picture.draw(unpacked(packed[position], rows, columns), captions[position]);
    caption.textContent = captions[position];
  });
  const about = make("p", { class: "faint" }, axes);
  return {
    element: make("div", {}, control.element, picture.element, caption, about),
    redraw: control.redraw,
  };
}

/**
 * A slider over curves: the chosen one before all others.
 * @param {{slider: Slider, x: number[], xLabel: string, yLabel: string, range: [number, number],
 *   curves: (number | null)[][], captions: string[], alt: string}} data null in a curve is not a number
 * @returns {Picture}
 */
function ofCurves({ slider: of, x, xLabel, yLabel, range, curves: all, captions, alt }) {
  const picture = lines({ height: 260 });
  const caption = make("p", { "aria-live": "polite" });
  const series = all.map((ys) => ys.map((y, i) => /** @type {[number, number]} */ ([x[i], y ?? NaN])));
  const control = slider(of, (position) => {
    picture.draw({
      series: [
        ...series.map((points) => ({ name: "", kind: "other", points })),
        { name: yLabel, kind: "chosen", points: series[position] },
      ],
      x: [0, x[x.length - 1]],
      y: range,
      xLabel,
      yLabel,
      alt: `${alt}. ${captions[position]}`,
    });
    caption.textContent = captions[position];
  });
  return { element: make("div", {}, control.element, picture.element, caption), redraw: control.redraw };
}

/**
 * A word that is typed, and the attention of a net over it.
 * @param {{word: string, net: import("../../lab/page/model.js").ModelFile, arrays: string, about: string}} data
 * @returns {Picture}
 */
function ofAttention({ word, net, arrays, about }) {
  const tokens = new Map(net.characters.map((character, i) => [character, i + 1]));
  const reader = readerOf(net.reader, decoded(arrays), net.characters.length + 1);
  const picture = cells();
  const error = make("p", { class: "error", role: "status" });
  const input = make("input", {
    type: "text",
    value: word,
    maxlength: LONGEST,
    autocomplete: "off",
    spellcheck: "false",
  });
  const sizes = attentionAlong(reader, []).map((heads) => heads.length);
  const choice = (/** @type {string} */ label, /** @type {number} */ n) => {
    const options = Array.from({ length: n }, (_, value) => make("option", { value }, String(value + 1)));
    const select = make("select", {}, ...options);
    select.addEventListener("change", redraw);
    return { select, element: make("label", { class: "choice", hidden: n < 2 }, label, " ", select) };
  };
  const layer = choice("layer", sizes.length);
  const head = choice("head", sizes[0]);

  function redraw() {
    const characters = [...input.value.normalize("NFC")];
    const unknown = characters.find((character) => !tokens.has(character));
    error.textContent = unknown === undefined ? "" : `The model does not know the character ${unknown}.`;
    if (unknown !== undefined) return;
    const all = attentionAlong(
      reader,
      characters.map((character) => tokens.get(character) ?? 0),
    );
    const [i, j] = [Number(layer.select.value), Number(head.select.value)];
    picture.draw(attentionMap({ characters: ["", ...characters], weights: all[i][j], layer: i, head: j }));
  }
  input.addEventListener("input", redraw);
  const typed = make("label", { class: "choice" }, "word", " ", input);
  return {
    element: make(
      "div",
      {},
      make("div", { class: "choices" }, typed, layer.element, head.element),
      error,
      picture.element,
      make("p", { class: "faint" }, `${OF_ROWS} ${about}`),
    ),
    redraw,
  };
}

/** @type {Record<string, (data: any) => Picture>} */
const KINDS = { images: ofImages, curves: ofCurves, attention: ofAttention };

/**
 * Whether the text around an element is light, so that what is behind it is dark.
 * @param {Element | null} element
 */
function isDark(element) {
  const parts = /^rgba?\((\d+), (\d+), (\d+)/.exec(element ? getComputedStyle(element).color : "");
  if (!parts) return matchMedia("(prefers-color-scheme: dark)").matches;
  return Number(parts[1]) + Number(parts[2]) + Number(parts[3]) > 384;
}

/**
 * Show a live picture in a place, instead of what is in it. Its style touches nothing else, and it is light or dark as
 * the text around it says.
 * @param {HTMLElement} place
 * @param {any} data
 * @param {string} style
 * @returns {() => void} a function that ends it
 */
export function mount(place, data, style) {
  const root = place.shadowRoot ?? place.attachShadow({ mode: "open" });
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(style);
  const ofDark = [...sheet.cssRules].filter(
    (rule) => rule instanceof CSSMediaRule && rule.conditionText.includes("prefers-color-scheme: dark"),
  );
  const picture = KINDS[data.kind](data);
  let theme = "";
  const follow = () => {
    const now = isDark(place.parentElement) ? "all" : "not all";
    if (now === theme) return;
    theme = now;
    for (const rule of /** @type {CSSMediaRule[]} */ (ofDark)) rule.media.mediaText = now;
    picture.redraw();
  };
  root.adoptedStyleSheets = [sheet];
  root.replaceChildren(picture.element);
  follow();
  const size = new ResizeObserver(follow); // it is called once the place is on a page
  size.observe(place);
  const attributes = new MutationObserver(follow);
  for (const element of [document.documentElement, document.body]) attributes.observe(element, { attributes: true });
  const scheme = matchMedia("(prefers-color-scheme: dark)");
  scheme.addEventListener("change", follow);
  return () => {
    size.disconnect();
    attributes.disconnect();
    scheme.removeEventListener("change", follow);
  };
}
