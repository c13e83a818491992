/** @file A chart of lines that are drawn again and again: only what has changed is touched. */

import { axes, path, scale, short, ticks } from "./chart.js";
import { make, set, svg } from "./dom.js";

/**
 * @typedef {object} Series
 * @property {string} name shown with its value under the pointer; "" for a line without values
 * @property {string} kind class of the path
 * @property {[number, number][]} points in the order of x
 *
 * @typedef {object} Data
 * @property {Series[]} series
 * @property {{y: number, label: string}[]} [rules] horizontal lines
 * @property {[number, number]} x domain
 * @property {[number, number]} y domain; lines are cut off at its ends
 * @property {string} [xLabel]
 * @property {string} [yLabel]
 * @property {boolean} [log] whether y is logarithmic
 * @property {string} alt the text alternative
 */

let made = 0;

/**
 * Make a chart. draw(data) shows data, as often as wanted.
 * @param {{height?: number}} [options] height in pixels
 */
export function lines({ height = 260 } = {}) {
  const clip = `clip-${++made}`;
  const frame = { width: 0, height, left: 52, right: 22, top: 24, bottom: 36 };
  const area = svg("rect");
  const grid = svg("g");
  const rules = svg("g");
  const drawn = svg("g", { "clip-path": `url(#${clip})` });
  const cursor = svg("g", { class: "cursor", visibility: "hidden" });
  const picture = svg(
    "svg",
    { role: "img", tabindex: "0", class: "lines", height },
    svg("defs", {}, svg("clipPath", { id: clip }, area)),
    grid,
    rules,
    drawn,
    cursor,
  );
  const reading = make("p", { class: "at-cursor", "aria-live": "polite" });
  const element = make("div", { class: "chart" }, picture, reading);

  /** @type {Data | null} */ let data = null;
  /** @type {number | null} */ let at = null; // x under the cursor
  let key = "";
  let [x, y] = [scale([0, 1], [0, 1]), scale([0, 1], [0, 1])];

  function redraw() {
    if (!data || !frame.width) return;
    const edges = [frame.left, frame.width - frame.right, frame.height - frame.bottom, frame.top];
    const [left = 0, right = 0, low = 0, high = 0] = edges;
    x = scale(data.x, [left, right]);
    y = scale(data.y, [low, high], data.log);
    const now = JSON.stringify([data.x, data.y, data.log, data.xLabel, data.yLabel, data.rules, frame]);
    if (now !== key) {
      key = now;
      set(picture, { viewBox: `0 0 ${frame.width} ${frame.height}`, width: frame.width });
      set(area, { x: left, y: high - 2, width: right - left, height: low - high + 4 });
      const n = Math.max(2, Math.round((right - left) / 90));
      axes(
        grid,
        frame,
        { scale: x, ticks: ticks(...data.x, n), label: data.xLabel },
        { scale: y, ticks: ticks(...data.y, 5, data.log), label: data.yLabel },
      );
      rules.replaceChildren(...(data.rules ?? []).flatMap((rule, i) => drawRule(rule, i, left, right, low, high)));
    }
    while (drawn.childElementCount > data.series.length) drawn.lastChild?.remove();
    data.series.forEach((series, i) => {
      const line = drawn.children[i] ?? drawn.appendChild(svg("path"));
      set(line, { class: series.kind, d: path(series.points, x, y) });
    });
    set(picture, { "aria-label": data.alt });
    read();
  }

  /** @param {{y: number, label: string}} rule @param {number} i @param {number} left @param {number} right @param {number} low @param {number} high */
  function drawRule(rule, i, left, right, low, high) {
    const place = y(rule.y);
    if (!(place <= low && place >= high)) return [];
    const line = svg("line", { class: "rule", x1: left, x2: right, y1: place, y2: place });
    const isLow = 2 * place > low + high; // where a falling line is at its end, and not at its beginning
    const at = isLow && i === 0 ? { x: left + 4, "text-anchor": "start" } : { x: right, "text-anchor": "end" };
    const below = isLow && place + 16 < low; // where there is room, and no line yet
    return [line, svg("text", { class: "label", y: place + (below ? 13 : -4), ...at }, rule.label)];
  }

  /** Show the values at the cursor. */
  function read() {
    set(cursor, { visibility: at === null ? "hidden" : "visible" });
    if (at === null || !data) {
      if (reading.textContent) reading.textContent = "";
      return;
    }
    const place = Math.min(Math.max(at, data.x[0]), data.x[1]);
    const values = [];
    const dots = [];
    for (const { name, kind, points } of data.series) {
      const point = name ? nearest(points, place) : undefined;
      if (!point) continue;
      values.unshift(`${name}: ${point[1].toPrecision(4)}`);
      if (Number.isFinite(y(point[1])))
        dots.push(svg("circle", { class: kind, cx: x(point[0]), cy: y(point[1]), r: 3.5 }));
    }
    const [px, low] = [x(place), frame.height - frame.bottom];
    cursor.replaceChildren(svg("line", { x1: px, x2: px, y1: frame.top, y2: low }), ...dots);
    reading.textContent = [`${data.xLabel ?? ""} ${short(place, 3)}`, ...values].join("\n");
  }

  /** @param {number | null} value */
  function move(value) {
    at = value;
    read();
  }

  picture.addEventListener("pointermove", ({ offsetX }) => move(x.invert(offsetX)));
  picture.addEventListener("pointerleave", () => move(null));
  picture.addEventListener("blur", () => move(null));
  picture.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity }[event.key];
    if (!by || !data) return;
    event.preventDefault();
    const [low, high] = data.x;
    move(Math.min(high, Math.max(low, (at ?? high) + (by * (high - low)) / 50)));
  });
  new ResizeObserver(() => {
    frame.width = Math.floor(element.clientWidth);
    redraw();
  }).observe(element);

  return {
    element,
    /** @param {Data} next */
    draw(next) {
      data = next;
      redraw();
    },
  };
}

/**
 * The point that is nearest to a place on x.
 * @param {[number, number][]} points in the order of x
 * @param {number} place
 */
export function nearest(points, place) {
  let [low, high] = [0, points.length - 1];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((points[middle]?.[0] ?? 0) < place) low = middle + 1;
    else high = middle;
  }
  const [before, after] = [points[low - 1], points[low]];
  return before && after && place - before[0] < after[0] - place ? before : after;
}
