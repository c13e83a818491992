/** @file A heat map of cells, drawn on a canvas: the pointer or the arrow keys read a cell, a press chooses it. */

import { pageColours, shade } from "./colours.js";
import { make, set } from "./dom.js";
import { moved } from "./heat.js";

/**
 * @typedef {object} Map
 * @property {(number | null)[][]} values a row of numbers for each row; null for no cell
 * @property {number} largest the magnitude at the end of the scale
 * @property {string[]} rows labels, or none
 * @property {string[]} columns labels, or none
 * @property {string} alt what the map shows
 * @property {(row: number, column: number) => string} tell a cell in words
 * @property {[number, number]} [chosen] the cell that is marked
 * @property {number} [most] the largest size of a cell, in pixels
 */

const LABEL = 14; // pixels of a line of labels
const FONT = "12px system-ui, sans-serif";
const MOST = 30; // pixels of a cell, unless the map says otherwise

/**
 * The size of a cell that fits, and where the cells begin.
 * @param {{rows: string[], columns: string[], values: any[][], most?: number}} map
 * @param {number} width of all, in pixels
 * @param {(text: string) => number} measure
 */
export function layout({ rows, columns, values, most = MOST }, width, measure) {
  const n = values[0]?.length ?? 0;
  const left = rows.length ? Math.ceil(Math.max(...rows.map(measure))) + 6 : 0;
  const top = columns.length ? LABEL + 4 : 0;
  const across = Math.min(most, (width - left) / Math.max(1, n));
  const down = n > values.length * 4 ? Math.min(most, 18) : Math.min(most, Math.max(across, rows.length ? 13 : 3));
  return { left, top, across, down, width: left + across * n, height: top + down * values.length };
}

/**
 * Make a heat map.
 * @param {(row: number, column: number) => void} [choose]
 */
export function cells(choose) {
  const canvas = make("canvas");
  const reading = make("p", { class: "reading faint", "aria-live": "polite" });
  const frame = make("div", {
    class: "frame",
    hidden: true,
    tabindex: "0",
    role: "application",
    "aria-roledescription": "heat map",
  });
  frame.append(canvas);
  const element = make("div", { class: "cells" }, frame, reading);
  /** @type {Map | null} */ let map = null;
  /** @type {[number, number] | null} */ let at = null;
  let place = layout({ rows: [], columns: [], values: [] }, 0, () => 0);

  function paint() {
    if (!map) return;
    const context = canvas.getContext("2d");
    const width = element.clientWidth;
    if (!context || !width) return;
    context.font = FONT;
    place = layout(map, width, (text) => context.measureText(text).width);
    const { left, top, across, down } = place;
    const ratio = devicePixelRatio || 1;
    canvas.width = Math.ceil(place.width * ratio);
    canvas.height = Math.ceil(place.height * ratio);
    canvas.style.setProperty("width", `${place.width}px`);
    canvas.style.setProperty("height", `${place.height}px`);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    const colours = pageColours(element);
    const gap = across >= 6 && down >= 6 ? 1 : 0;
    map.values.forEach((row, i) =>
      row.forEach((value, j) => {
        if (value === null || !map) return;
        context.fillStyle = shade(value / (map.largest || 1), colours);
        const [x, y] = [left + j * across, top + i * down];
        // Cells without a gap reach a little over, so that no line of the page shows between them.
        context.fillRect(x, y, across - gap + (gap ? 0 : 0.5), down - gap + (gap ? 0 : 0.5));
      }),
    );
    context.fillStyle = colours.text;
    context.font = FONT;
    context.textBaseline = "middle";
    context.textAlign = "end";
    map.rows.forEach((label, i) => down >= 10 && context.fillText(label, left - 4, top + (i + 0.5) * down));
    context.textAlign = "center";
    map.columns.forEach((label, j) => {
      if (context.measureText(label).width <= Math.max(across, 6))
        context.fillText(label, left + (j + 0.5) * across, LABEL / 2 + 1);
    });
    context.strokeStyle = colours.line;
    context.lineWidth = 1;
    context.strokeRect(left + 0.5, top + 0.5, place.width - left - 1, place.height - top - 1);
    for (const [cell, colour, wide] of /** @type {[[number, number] | null | undefined, string, number][]} */ ([
      [map.chosen, colours.text, 2],
      [at, colours.accent, 3],
    ])) {
      if (!cell) continue;
      context.strokeStyle = colour;
      context.lineWidth = wide;
      context.strokeRect(left + cell[1] * across - 1, top + cell[0] * down - 1, across + 1, down + 1);
    }
  }

  /** @param {[number, number]} cell */
  const isCell = ([row, column]) => (map?.values[row]?.[column] ?? null) !== null;

  /** @param {[number, number] | null} cell */
  function read(cell) {
    at = cell;
    const text = at && map ? map.tell(...at) : "";
    if (reading.textContent !== text) reading.textContent = text;
    paint();
  }

  /** @param {MouseEvent} event @returns {[number, number] | null} */
  function under(event) {
    if (!map) return null;
    const row = Math.floor((event.offsetY - place.top) / place.down);
    const column = Math.floor((event.offsetX - place.left) / place.across);
    return isCell([row, column]) ? [row, column] : null;
  }

  canvas.addEventListener("pointermove", (event) => read(under(event)));
  canvas.addEventListener("pointerleave", () => read(null));
  canvas.addEventListener("click", (event) => {
    const cell = under(event);
    if (cell) choose?.(...cell);
  });
  frame.addEventListener("keydown", (event) => {
    if (!map) return;
    const from = at ?? map.chosen ?? [0, 0];
    const next = at ? moved(from, event.key, map.values.length, map.values[0].length) : from;
    if (/^(Arrow|Home|End|Page)/.test(event.key) && next) {
      if (isCell(next)) read(next);
      event.preventDefault();
    } else if ((event.key === "Enter" || event.key === " ") && at) {
      choose?.(...at);
      event.preventDefault();
    }
  });
  frame.addEventListener("blur", () => read(null));
  new ResizeObserver(paint).observe(element);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);

  return {
    element,
    /** @param {Map} drawn */
    draw(drawn) {
      map = drawn;
      set(frame, {
        hidden: false,
        "aria-label": `${drawn.alt}. Arrow keys read the cells${choose ? ", Enter chooses one" : ""}.`,
      });
      read(at && isCell(at) ? at : null);
    },
  };
}
