/** @file Heat maps and bitmaps. They take data alone, and touch only what has changed. */

import { make, set, svg } from "./dom.js";

const CELL = 16; // side of a cell, in units of the picture
const HEAD = 36; // room for the names of rows and columns

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
          tabindex: -1,
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
    for (const [[row, column], tabindex] of /** @type {[[number, number], number][]} */ ([
      [active, -1],
      [place, 0],
    ])) {
      const cell = cells[row]?.[column];
      if (cell) set(cell, { tabindex });
    }
    active = place;
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
