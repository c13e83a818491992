/** @file Scatter plots. They take data alone, and move the points that they have drawn. */

import { set, svg } from "./dom.js";
import { moved } from "./heat.js";

const SIDE = 400; // of the picture, in its own units
const MARK = 9; // radius of a mark
const MANY = 100; // more points have smaller marks

/**
 * The square that holds all points: the last one, unless points are outside or it is more than twice as large as needed.
 * @param {[number, number][]} points
 * @param {{x: number, y: number, half: number} | null} last its middle and half of its side
 */
export function square(points, last) {
  const range = (/** @type {number[]} */ values) => [Math.min(...values), Math.max(...values)];
  const [[left, right], [low, high]] = [range(points.map(([x]) => x)), range(points.map(([, y]) => y))];
  const need = Math.max(right - left, high - low) / 2 || 1e-6;
  const outside = !last || Math.max(right - last.x, last.x - left, high - last.y, last.y - low) > 0.98 * last.half;
  if (last && !outside && last.half < 2.5 * need) return last;
  return { x: (left + right) / 2, y: (low + high) / 2, half: 1.25 * need };
}

/**
 * The points nearest to one of them, the nearest first.
 * @param {[number, number][]} points
 * @param {number} of
 * @param {number} n
 */
export function neighbours(points, of, n) {
  const [x, y] = points[of];
  const distance = points.map((point) => Math.hypot(point[0] - x, point[1] - y));
  const others = [...points.keys()].filter((i) => i !== of);
  return others.sort((a, b) => distance[a] - distance[b]).slice(0, n);
}

/** Outlines of marks of about one size: a circle, a square, a triangle, a diamond. @param {number} r */
export const outlines = (r) => [
  `M${-r} 0a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  `M${-0.9 * r} ${-0.9 * r}h${1.8 * r}v${1.8 * r}h${-1.8 * r}z`,
  `M0 ${-1.4 * r}L${1.25 * r} ${0.85 * r}H${-1.25 * r}z`,
  `M0 ${-1.35 * r}L${1.35 * r} 0L0 ${1.35 * r}L${-1.35 * r} 0z`,
];

/**
 * @typedef {object} ScatterData
 * @property {string[]} names of the points, written in their marks
 * @property {number[]} kinds 0 to 3: the shape and the colour of each mark
 * @property {[number, number][]} at
 * @property {(point: number) => string} describe a point in words
 * @property {string} alt the text alternative
 */

/**
 * Make a scatter plot with equal scales. draw(data) moves the points, as often as wanted.
 * @param {(text: string) => void} read called with the words for the point under the pointer or with the focus
 */
export function scatter(read) {
  const points = svg("g");
  const zero = svg("path", { class: "zero" });
  const frame = svg("rect", { class: "frame", x: 0.5, y: 0.5, width: SIDE - 1, height: SIDE - 1 });
  const picture = svg("svg", { class: "scatter", viewBox: `0 0 ${SIDE} ${SIDE}`, role: "group" }, frame, zero, points);
  /** @type {ScatterData | null} */ let data = null;
  /** @type {{x: number, y: number, half: number} | null} */ let view = null;
  let [key, active] = ["", 0];

  /** @param {ScatterData} next */
  function build({ names, kinds }) {
    const many = names.length > MANY;
    set(picture, { class: many ? "scatter many" : "scatter" });
    const shapes = outlines(many ? 0.7 * MARK : MARK);
    points.replaceChildren(
      ...names.map((name, i) =>
        svg(
          "g",
          { class: `kind-${kinds[i]}`, role: "img", "data-point": i, tabindex: i ? -1 : 0 },
          svg("path", { d: shapes[kinds[i]] ?? "" }),
          svg("text", { class: [...name].length > 2 ? "long" : null, dy: "0.34em" }, name),
        ),
      ),
    );
    [view, active] = [null, 0];
  }

  /** @param {Event} event */
  const pointOf = ({ target }) => (target instanceof Element ? target.closest("[data-point]") : null);
  const say = (/** @type {Element | null} */ point) =>
    read(point && data ? data.describe(Number(point.getAttribute("data-point"))) : "");

  set(picture, {
    onpointerover: (event) => say(pointOf(event)),
    onpointerleave: () => read(""),
    onfocusin: (event) => say(pointOf(event)),
    onfocusout: () => read(""),
    onkeydown: (event) => {
      const forward = { ArrowDown: "ArrowRight", ArrowUp: "ArrowLeft" }[/** @type {string} */ (event.key)] ?? event.key;
      const next = moved([0, active], forward, 1, points.childElementCount);
      if (!next || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      set(points.children[active], { tabindex: -1 });
      active = next[1];
      const point = /** @type {SVGGElement} */ (points.children[active]);
      set(point, { tabindex: 0 });
      point.focus();
    },
  });

  return {
    element: picture,
    /** @param {ScatterData} next */
    draw(next) {
      data = next;
      const now = JSON.stringify([next.names, next.kinds]);
      if (now !== key) build(next);
      key = now;
      const { x, y, half } = (view = square(next.at, view));
      const unit = SIDE / (2 * half);
      const place = (/** @type {[number, number]} */ at) => [
        SIDE / 2 + unit * (at[0] - x),
        SIDE / 2 - unit * (at[1] - y),
      ];
      next.at.forEach((at, i) => {
        const [px, py] = place(at);
        set(points.children[i], {
          transform: `translate(${px.toFixed(1)} ${py.toFixed(1)})`,
          "aria-label": next.describe(i),
        });
      });
      const [zx, zy] = place([0, 0]);
      set(zero, { d: `M${zx.toFixed(1)} 0V${SIDE}M0 ${zy.toFixed(1)}H${SIDE}` });
      set(picture, { "aria-label": next.alt });
    },
  };
}
