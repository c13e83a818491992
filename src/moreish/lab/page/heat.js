/** @file Heat maps, scatter plots and bitmaps. They take data alone, and touch only what has changed. */

import { make, set, svg } from "./dom.js";

const CELL = 16; // side of a cell, in units of the picture
const HEAD = 36; // room for the names of rows and columns
const SIDE = 400; // of a scatter plot
const MARK = 9; // radius of a mark

/**
 * The place that an arrow key, Home or End leads to in a table, within its edges; null for other keys.
 * @param {[number, number]} place row and column
 * @param {string} key
 * @param {number} rows
 * @param {number} columns
 * @returns {[number, number] | null}
 */
export function moved([row, column], key, rows, columns) {
  /** @type {Record<string, [number, number]>} */
  const ways = {
    ArrowUp: [-1, 0],
    ArrowDown: [1, 0],
    ArrowLeft: [0, -1],
    ArrowRight: [0, 1],
    Home: [0, -columns],
    End: [0, columns],
    PageUp: [-rows, 0],
    PageDown: [rows, 0],
  };
  const way = ways[key];
  if (!way) return null;
  const within = (/** @type {number} */ at, /** @type {number} */ n) => Math.min(n - 1, Math.max(0, at));
  return [within(row + way[0], rows), within(column + way[1], columns)];
}

/**
 * The strength of a colour for a share between 0 and 1: its square root, so that small shares can be told apart.
 * @param {number} share
 */
export const strength = (share) => Math.min(1, Math.sqrt(Math.abs(share)));

/**
 * @typedef {object} HeatData
 * @property {string[]} rows their names
 * @property {string[]} columns
 * @property {(number | null)[][]} values from -1 to 1; the colour of negative ones is another, and null has none
 * @property {(row: number, column: number) => string} describe a cell in words
 * @property {[number, number] | null} [chosen] the cell that is marked
 */

/**
 * Make a heat map that is walked through with the arrow keys. draw(data) shows data, as often as wanted.
 * @param {object} options
 * @param {string} options.label what the table shows
 * @param {(row: number, column: number) => void} options.choose called at a click, Enter or the space bar
 * @param {(text: string) => void} options.read called with the words for the cell under the pointer or with the focus
 */
export function heatMap({ label, choose, read }) {
  const picture = svg("svg", { class: "heat", role: "grid", "aria-label": label });
  /** @type {SVGRectElement[][]} */ let cells = [];
  /** @type {HeatData | null} */ let data = null;
  /** @type {[number, number]} */ let active = [0, 0];
  let key = "";

  /** @param {HeatData} next */
  function build({ rows, columns }) {
    const [wide, high] = [HEAD + CELL * columns.length, HEAD + CELL * rows.length];
    set(picture, { viewBox: `0 0 ${wide} ${high}`, "aria-rowcount": rows.length + 1 });
    cells = rows.map((_, i) =>
      columns.map((_, j) =>
        svg("rect", {
          role: "gridcell",
          x: HEAD + CELL * j + 0.5,
          y: HEAD + CELL * i + 0.5,
          width: CELL - 1,
          height: CELL - 1,
          "data-place": `${i} ${j}`,
        }),
      ),
    );
    const head = columns.map((name, j) => {
      const [x, y] = [HEAD + CELL * (j + 0.5), HEAD - 5];
      const long = [...name].length > 2 && !name.startsWith("\u25cc");
      const at = long ? { x, y, transform: `rotate(-90 ${x} ${y})`, dy: "0.32em" } : { x, y, "text-anchor": "middle" };
      return svg("text", { role: "columnheader", ...at }, name);
    });
    const body = rows.map((name, i) => {
      const at = { x: HEAD - 5, y: HEAD + CELL * (i + 0.5), dy: "0.32em", "text-anchor": "end" };
      return svg("g", { role: "row" }, svg("text", { role: "rowheader", ...at }, name), ...cells[i]);
    });
    picture.replaceChildren(svg("g", { role: "row" }, ...head), ...body);
    activate([Math.min(active[0], rows.length - 1), Math.min(active[1], columns.length - 1)]);
  }

  /** @param {[number, number]} place */
  function activate(place) {
    set(cells[active[0]]?.[active[1]] ?? picture, { tabindex: null });
    active = place;
    set(cells[active[0]]?.[active[1]] ?? picture, { tabindex: 0 });
  }

  /** @param {Event} event @returns {[number, number] | null} */
  function placeOf({ target }) {
    const place = target instanceof Element ? target.getAttribute("data-place") : null;
    const [row, column] = (place ?? "").split(" ").map(Number);
    return place ? [row, column] : null;
  }

  /** @param {[number, number] | null} place */
  const say = (place) => read(place && data ? data.describe(...place) : "");

  set(picture, {
    onpointerover: (event) => say(placeOf(event)),
    onpointerleave: () => read(""),
    onfocusin: (event) => {
      const place = placeOf(event);
      if (place) activate(place);
      say(place);
    },
    onfocusout: () => read(""),
    onclick: (event) => {
      const place = placeOf(event);
      if (!place) return;
      activate(place);
      choose(...place);
    },
    onkeydown: (event) => {
      if (event.key === "Enter" || event.key === " ") choose(...active);
      else {
        const next = moved(active, event.key, data?.rows.length ?? 0, data?.columns.length ?? 0);
        if (!next || event.ctrlKey || event.metaKey || event.altKey) return;
        activate(next);
        cells[active[0]][active[1]].focus();
      }
      event.preventDefault();
    },
  });

  return {
    element: picture,
    /** @param {HeatData} next */
    draw(next) {
      data = next;
      const now = JSON.stringify([next.rows, next.columns]);
      if (now !== key) build(next);
      key = now;
      const [row, column] = next.chosen ?? [-1, -1];
      cells.forEach((line, i) =>
        line.forEach((cell, j) => {
          const value = next.values[i]?.[j] ?? null;
          const chosen = i === row && j === column;
          set(cell, {
            class: [value === null ? "none" : value < 0 ? "minus" : "plus", chosen ? "chosen" : ""].join(" ").trim(),
            "fill-opacity": value === null ? null : strength(value).toFixed(3),
            "aria-label": next.describe(i, j),
            "aria-selected": chosen ? "true" : null,
          });
        }),
      );
    },
  };
}

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
    const shapes = outlines(names.length > 100 ? 0.7 * MARK : MARK);
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

/** Make an image of zeros and ones, a pixel each. draw(rows, alt) shows one. */
export function bitmap() {
  const canvas = make("canvas", { class: "bitmap", role: "img" });
  return {
    element: canvas,
    /** @param {number[][]} rows 1 is white, 0 black @param {string} alt */
    draw(rows, alt) {
      const [high, wide] = [rows.length, rows[0]?.length ?? 0];
      if (canvas.width !== wide) canvas.width = wide;
      if (canvas.height !== high) canvas.height = high;
      set(canvas, { "aria-label": alt });
      if (!wide) return;
      const image = new ImageData(wide, high);
      rows.flat().forEach((one, i) => image.data.set([255 * one, 255 * one, 255 * one, 255], 4 * i));
      canvas.getContext("2d")?.putImageData(image, 0, 0);
    },
  };
}
