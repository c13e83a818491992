/** @file Curves of losses: thinned, smoothed, and compared with those of the trainings before. */

import { dashed } from "./settings.js";

/**
 * @typedef {import("./lab.js").Point} Point
 * @typedef {import("./lab.js").Settings} Settings
 * @typedef {[number, number]} Pair
 */

const KEPT = 3; // curves of the trainings before
const SAME = "same settings";
const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10];

/**
 * At most about n points: each the mean of its neighbours.
 * @param {Pair[]} points
 * @param {number} n
 * @returns {Pair[]}
 */
export function thin(points, n) {
  const size = Math.ceil(points.length / n);
  if (size <= 1) return points;
  const found = [];
  for (let first = 0; first < points.length; first += size) {
    const some = points.slice(first, first + size);
    const y = some.reduce((sum, point) => sum + point[1], 0) / some.length;
    found.push(/** @type {Pair} */ ([some[some.length - 1][0], y]));
  }
  return found;
}

/**
 * Each point as the mean of its neighbours on both sides, of as many on the left as on the right: a line that does not
 * lag behind.
 * @param {Pair[]} points
 * @param {number} reach number of neighbours on each side, fewer at the ends
 * @returns {Pair[]}
 */
export function smooth(points, reach) {
  const sums = [0];
  for (const [, y] of points) sums.push(sums[sums.length - 1] + y);
  return points.map(([x], i) => {
    const n = Math.min(reach, i, points.length - 1 - i);
    return [x, (sums[i + n + 1] - sums[i - n]) / (2 * n + 1)];
  });
}

/**
 * The range of losses to show: all of every line, unless a few of it are so high that the others would be flat. The last
 * point of a line is always in it.
 * @param {number[][]} lines values of each line
 * @returns {Pair}
 */
export function range(lines) {
  const ends = lines
    .map((line) => line.filter(Number.isFinite))
    .filter((line) => line.length)
    .map((line) => {
      const sorted = line.toSorted((a, b) => a - b);
      const [low, high, median] = [sorted[0], sorted[sorted.length - 1], sorted[sorted.length >> 1]];
      return [low, Math.max(line[line.length - 1], Math.min(high, Math.max(low + 5 * (median - low), 1.6 * median)))];
    });
  if (!ends.length) return [0, 1];
  const low = Math.min(...ends.map(([first]) => first));
  const end = Math.max(...ends.map(([, last]) => last));
  const step = 10 ** Math.floor(Math.log10(Math.max(end - low, 0.1))) / 2;
  return [Math.floor(low / step - 0.1) * step, Math.ceil(end / step + 0.1) * step];
}

/**
 * A round number that is not lower.
 * @param {number} value
 */
export function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1e-3)));
  return Number((power * (ROUND.find((factor) => factor * power >= value) ?? 10)).toPrecision(3));
}

/**
 * How settings differ from those that hold now, such as "lr 0.1"; "same settings" if they do not.
 * @param {Settings} before
 * @param {Settings} now
 */
export function difference(before, now) {
  const parts = [];
  if (before.list !== now.list) parts.push(before.list);
  if (before.run !== now.run && before.run) parts.push(`run ${before.run}`);
  if (before.model !== now.model) parts.push(before.model);
  const given =
    before.model === now.model
      ? [...Object.keys(before.options), ...Object.keys(now.options)]
      : Object.keys(before.options);
  for (const name of new Set(given)) {
    const value = before.options[name] ?? before.resolved[name];
    if (value !== (now.options[name] ?? now.resolved[name])) parts.push(`${dashed(name)} ${value ?? "by default"}`);
  }
  return parts.join(", ") || SAME;
}

/** The curve of one training. */
export class Curve {
  /** @type {Point[]} */ points = [];

  /** @param {number} training @param {Settings} settings */
  constructor(training, settings) {
    this.training = training;
    this.settings = settings;
  }

  /**
   * Losses against steps or seconds.
   * @param {"train" | "val"} part
   * @param {"step" | "seconds"} against
   * @returns {Pair[]}
   */
  pairs(part, against) {
    const [x, y] = [against === "step" ? 0 : 1, part === "train" ? 2 : 3];
    return this.points
      .filter((point) => point[y] !== null)
      .map((point) => [point[x] ?? 0, /** @type {number} */ (point[y])]);
  }

  /** Whether there is something to compare with: a step was made, or the model was counted. */
  get worthy() {
    return this.points.some((point) => point[2] !== null);
  }
}

/** The curve of the training, and those of the last trainings before it, the newest first. */
export class Curves {
  /** @type {Curve | null} */ now = null;
  /** @type {Curve[]} */ before = [];

  /**
   * Take points as the server sends them.
   * @param {import("./lab.js").Curve} curve
   * @param {Settings} settings
   */
  extend({ training, start, points }, settings) {
    if (this.now?.training !== training) {
      if (this.now) this.#keep(this.now);
      this.now = new Curve(training, settings);
    }
    this.now.points.length = Math.min(start, this.now.points.length);
    for (const point of points) this.now.points.push(point);
  }
  /**
   * Keep a curve to compare with, in place of one with the same settings.
   * @param {Curve} curve
   */
  #keep(curve) {
    if (!curve.worthy) return;
    const others = this.before.filter(({ settings }) => difference(settings, curve.settings) !== SAME);
    this.before = [curve, ...others].slice(0, KEPT);
  }
}
