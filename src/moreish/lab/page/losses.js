/** @file The panel of losses. */

import { lines } from "./chart.js";

/**
 * @param {import("./lab.js").Lab} lab
 * @returns {import("./lab.js").Panel}
 */
export function losses(lab) {
  const chart = lines();
  /** @type {import("./lab.js").Point[]} */ let points = [];
  let training = -1;
  lab.on("curve", (/** @type {import("./lab.js").Curve} */ curve) => {
    if (curve.training !== training) [training, points] = [curve.training, []];
    points = [...points.slice(0, curve.start), ...curve.points];
  });
  return {
    title: "Losses",
    name: "losses",
    element: chart.element,
    async refresh() {
      /** @type {[number, number][]} */ const train = [];
      /** @type {[number, number][]} */ const val = [];
      for (const [step, , a, b] of points) {
        if (a !== null) train.push([step, a]);
        if (b !== null) val.push([step, b]);
      }
      const all = [...train, ...val].map(([, y]) => y);
      chart.draw({
        series: [
          { name: "train", kind: "train", points: train },
          { name: "val", kind: "val", points: val },
        ],
        x: [0, Math.max(1, points.at(-1)?.[0] ?? 1)],
        y: [Math.min(...all), Math.max(...all)],
        xLabel: "step",
        alt: "Losses of train and val",
      });
    },
  };
}
