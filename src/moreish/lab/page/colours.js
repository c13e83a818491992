/** @file Colours between two colours, in steps that look alike, and text that is readable on them. */

/** @typedef {[number, number, number]} Triple */

/**
 * The parts of a colour such as #07b or #0072b2, from 0 to 1.
 * @param {string} hex
 * @returns {Triple}
 */
export function parseHex(hex) {
  const digits = hex.trim().replace("#", "");
  const wide = digits.length === 3 ? [...digits].map((digit) => digit + digit).join("") : digits;
  const part = (/** @type {number} */ at) => parseInt(wide.slice(at, at + 2), 16) / 255;
  return [part(0), part(2), part(4)];
}

const linear = (/** @type {number} */ x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
const encoded = (/** @type {number} */ x) => (x <= 0.0031308 ? 12.92 * x : 1.055 * x ** (1 / 2.4) - 0.055);

/**
 * A colour in Oklab (Ottosson 2020), in which equal distances look about equal.
 * @param {string} hex
 * @returns {Triple}
 */
export function oklab(hex) {
  const [r, g, b] = parseHex(hex).map(linear);
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

/** @param {Triple} lab @returns {string} */
function hexOf([L, a, b]) {
  const l = (L + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (L - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (L - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const parts = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  const byte = (/** @type {number} */ x) => Math.round(255 * Math.min(1, Math.max(0, encoded(Math.max(0, x)))));
  return "#" + parts.map((x) => byte(x).toString(16).padStart(2, "0")).join("");
}

/**
 * The colour at a share t, from 0 to 1, of the way from one colour to another.
 * @param {string} from
 * @param {string} to
 * @param {number} t
 */
export function mix(from, to, t) {
  const [a, b] = [oklab(from), oklab(to)];
  const at = Math.min(1, Math.max(0, t));
  return hexOf(/** @type {Triple} */ (a.map((x, i) => x + at * (b[i] - x))));
}

/** @param {string} hex */
function luminance(hex) {
  const [r, g, b] = parseHex(hex).map(linear);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

/**
 * The contrast of two colours, from 1 to 21, as the accessibility guidelines (WCAG) define it.
 * @param {string} a
 * @param {string} b
 */
export function contrast(a, b) {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
}

/**
 * Black or white, whichever can be read better on a colour: their contrast is at least 4.5.
 * @param {string} background
 */
export const readable = (background) => (contrast(background, "#000") > contrast(background, "#fff") ? "#000" : "#fff");

/**
 * Colours of the page as they now are around an element, light or dark.
 * @param {Element} [element]
 */
export function pageColours(element = document.documentElement) {
  const style = getComputedStyle(element);
  const colour = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  return {
    page: colour("--page"),
    text: colour("--text"),
    line: colour("--line"),
    accent: colour("--accent"),
    second: colour("--second"),
  };
}

/**
 * The colour of a number on a scale: from the page's colour to the accent, and to the second colour for negative ones.
 * @param {number} value from -1 to 1
 * @param {ReturnType<typeof pageColours>} colours
 */
export const shade = (value, { page, accent, second }) => mix(page, value < 0 ? second : accent, Math.abs(value));
