/** @file Scales, ticks and axes in SVG. */

import { set, svg } from "./dom.js";

/**
 * A scale from values to places.
 * @typedef {((value: number) => number) & {invert: (place: number) => number}} Scale
 */

/**
 * Make a scale from a domain [low, high] to a range [from, to].
 * @param {[number, number]} domain
 * @param {[number, number]} range
 * @param {boolean} [log] a logarithmic one: then the domain is above 0
 * @returns {Scale}
 */
export function scale([low, high], [from, to], log = false) {
  const a = log ? Math.log(low) : low;
  const span = (log ? Math.log(high) : high) - a || 1;
  const place = (/** @type {number} */ value) => from + ((to - from) * ((log ? Math.log(value) : value) - a)) / span;
  const invert = (/** @type {number} */ x) => {
    const value = a + (span * (x - from)) / (to - from || 1);
    return log ? Math.exp(value) : value;
  };
  return Object.assign(place, { invert });
}

/**
 * Round values from low to high, about n of them: multiples of 1, 2 or 5 times a power of ten, or on a logarithmic
 * axis such values themselves.
 * @param {number} low
 * @param {number} high
 * @param {number} [n]
 * @param {boolean} [log]
 * @returns {number[]}
 */
export function ticks(low, high, n = 5, log = false) {
  if (!(high > low)) return Number.isFinite(low) ? [low] : [];
  if (log && high / low >= 10) return logTicks(low, high, n);
  const rough = (high - low) / Math.max(1, n);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * ([1, 2, 5].find((factor) => factor * power >= rough * 0.75) ?? 10);
  const found = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++)
    found.push(Number((i * step).toPrecision(12)));
  return found;
}

/** @param {number} low @param {number} high @param {number} n */
function logTicks(low, high, n) {
  const first = Math.floor(Math.log10(low));
  const last = Math.ceil(Math.log10(high));
  const every = Math.max(1, Math.ceil((last - first) / n));
  const factors = 3 * Math.log10(high / low) <= n ? [1, 2, 5] : [1];
  const found = [];
  for (let power = first; power <= last; power += every)
    for (const factor of factors) found.push(Number((factor * 10 ** power).toPrecision(12)));
  return found.filter((value) => value >= low * 0.999 && value <= high * 1.001);
}

/**
 * A number of an axis or a control, with few digits: 0.001, 2.5, 12,000, 1e-7.
 * @param {number} value
 * @param {number} [digits] significant ones
 */
export function short(value, digits = 4) {
  if (value !== 0 && (Math.abs(value) < 1e-4 || Math.abs(value) >= 1e9))
    return value
      .toExponential(Math.max(0, digits - 2))
      .replace(/\.?0+e/, "e")
      .replace("e+", "e");
  return value.toLocaleString("en", {
    maximumSignificantDigits: Math.max(digits, Math.ceil(Math.log10(Math.abs(value) + 1))),
  });
}

/**
 * @typedef {object} Frame the place of a picture within an SVG of width x height
 * @property {number} width
 * @property {number} height
 * @property {number} left
 * @property {number} right
 * @property {number} top
 * @property {number} bottom
 */

/**
 * Draw the axes of a frame into a group: lines of the grid, and numbers at the ticks. A group that has axes gets the
 * new ones.
 * @param {SVGGElement} group
 * @param {Frame} frame
 * @param {{scale: Scale, ticks: number[], label?: string, format?: (value: number) => string}} x
 * @param {{scale: Scale, ticks: number[], label?: string, format?: (value: number) => string}} y
 */
export function axes(group, frame, x, y) {
  const { width, height, left, right, top, bottom } = frame;
  const [end, low] = [width - right, height - bottom];
  const text = (/** @type {Record<string, any>} */ at, /** @type {string} */ content) => svg("text", at, content);
  const parts = [];
  for (const value of y.ticks) {
    const place = y.scale(value);
    parts.push(svg("line", { class: "grid", x1: left, x2: end, y1: place, y2: place }));
    parts.push(text({ x: left - 6, y: place, "text-anchor": "end", dy: "0.32em" }, (y.format ?? short)(value)));
  }
  for (const value of x.ticks) {
    const place = x.scale(value);
    parts.push(svg("line", { class: "tick", x1: place, x2: place, y1: low, y2: low + 4 }));
    parts.push(text({ x: place, y: low + 17, "text-anchor": "middle" }, (x.format ?? short)(value)));
  }
  parts.push(svg("line", { class: "axis", x1: left, x2: end, y1: low, y2: low }));
  if (x.label) parts.push(text({ class: "label", x: end, y: height - 3, "text-anchor": "end" }, x.label));
  if (y.label) parts.push(text({ class: "label", x: 2, y: 11, "text-anchor": "start" }, y.label));
  set(group, { class: "axes" });
  group.replaceChildren(...parts);
}

/**
 * The path of a line through points; a point that is not finite breaks the line.
 * @param {Iterable<[number, number]>} points
 * @param {Scale} x
 * @param {Scale} y
 */
export function path(points, x, y) {
  let d = "";
  let pen = "M";
  for (const [a, b] of points) {
    const [px, py] = [x(a), y(b)];
    if (!Number.isFinite(px) || !Number.isFinite(py)) pen = "M";
    else {
      d += `${pen}${px.toFixed(1)} ${py.toFixed(1)}`;
      pen = "L";
    }
  }
  return d;
}
