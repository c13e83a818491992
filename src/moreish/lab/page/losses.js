/** @file The panel of losses: train and val, held against the trainings before and against an n-gram. */

import { lines } from "./lines.js";
import { Curves, difference, range, roundUp, smooth, thin } from "./curves.js";
import { make, set, svg } from "./dom.js";

const POINTS = 400; // of a line
const WAIT = 1000; // milliseconds from the start of a training to the question for the n-gram's loss
const OF_SPLIT = ["split", "split_seed", "weight_power"];

/**
 * @param {import("./lab.js").Lab} lab
 * @returns {import("./lab.js").Panel}
 */
export function losses(lab) {
  const curves = new Curves();
  const chart = lines();
  const legend = make("ul", { class: "legend" });
  const against = make(
    "select",
    { "aria-label": "Losses against" },
    make("option", { value: "step" }, "against steps"),
    make("option", { value: "seconds" }, "against seconds"),
  );
  const forget = make("button", { type: "button", hidden: true }, "Forget earlier curves");
  const panel = {
    title: "Losses",
    name: "losses",
    element: make("div", { class: "result" }, chart.element, legend, make("p", { class: "settings" }, against, forget)),
    refresh,
  };
  /** What the losses are held against, and the words for which that holds. */
  const held = { words: "", ngram: /** @type {number | null} */ (null), symbols: 0 };
  let asked = -1; // the training for which it was asked
  let [timer, named] = [0, ""];

  against.addEventListener("change", () => {
    lab.state.set("losses.x", against.value);
    lab.refresh(panel);
  });
  forget.addEventListener("click", () => {
    curves.before = [];
    lab.refresh(panel);
  });

  lab.on("curve", (/** @type {import("./lab.js").Curve} */ message) => {
    if (!lab.settings) return;
    const isNew = curves.now?.training !== message.training;
    curves.extend(message, lab.settings);
    if (!isNew) return;
    clearTimeout(timer);
    timer = setTimeout(compare, WAIT);
  });
  lab.on("status", ({ ended }) => ended && compare());

  /** Identify what the words and their split are. */
  const words = () => JSON.stringify([lab.settings?.list, ...OF_SPLIT.map((name) => lab.settings?.resolved[name])]);

  /** Ask what to hold the losses against, once for each training. The server counts once for each list. */
  async function compare() {
    const [training, of] = [curves.now?.training ?? -1, words()];
    if (asked === training || !lab.settings) return;
    asked = training;
    try {
      const { alphabet } = await lab.describe(lab.settings.list);
      const { val } = await lab.send({ do: "baseline" });
      if (training !== curves.now?.training) return;
      Object.assign(held, { words: of, ngram: val, symbols: [...alphabet].length + 1 });
      lab.refresh(panel);
    } catch {
      asked = -1; // it is asked again with the next training, or at the end of this one
    }
  }

  async function refresh() {
    const { now, before } = curves;
    if (!now || !lab.settings) return;
    await new Promise(requestAnimationFrame);
    const x = lab.state.get("losses.x") === "seconds" ? "seconds" : "step";
    against.value = x;
    const train = now.pairs("train", x);
    const raw = thin(train, POINTS);
    const val = now.pairs("val", x);
    const last = Math.max(
      ...[now, ...before].map(({ points }) => points.at(-1)?.[x === "step" ? 0 : 1] ?? 0),
      x === "step" ? 10 : 0.1,
    );
    const total = lab.status?.steps ?? 0;
    const end = x === "step" ? Math.min(roundUp(last), Math.max(total, last)) : roundUp(last);
    /** A loss without steps holds for all. @param {[number, number][]} points @returns {[number, number][]} */
    const whole = (points) =>
      points.length === 1
        ? [
            [0, points[0][1]],
            [end, points[0][1]],
          ]
        : points;
    const counted = total === 0;
    const series = [
      ...before
        .map((curve, i) => ({
          name: difference(curve.settings, now.settings),
          kind: `ghost-${i + 1}`,
          points: whole(thin(curve.pairs("val", x), POINTS)),
        }))
        .reverse(),
      { name: "", kind: "raw", points: raw.length > 1 ? raw : [] },
      { name: "train", kind: "train", points: counted ? whole(raw) : smooth(raw, Math.floor(raw.length / 40)) },
      { name: "val", kind: "val", points: counted ? whole(val) : thin(val, POINTS) },
    ];
    const { ngram, symbols } = held.words === words() ? held : { ngram: null, symbols: 0 };
    const rules = [];
    if (ngram !== null) rules.push({ y: ngram, label: `n-gram, val ${ngram.toFixed(3)}` });
    if (symbols)
      rules.push({
        y: Math.log(symbols),
        label: `all characters alike, log ${symbols} = ${Math.log(symbols).toFixed(2)}`,
      });
    const shown = series.filter(({ kind }) => kind !== "raw").map(({ points }) => points.map(([, y]) => y));
    chart.draw({
      series,
      rules,
      x: [0, end],
      y: range([...shown, rules.map(({ y }) => y).slice(0, 1)]),
      xLabel: x,
      yLabel: "loss, nats per token",
      alt: alternative(series, rules),
    });
    set(panel.element, { "data-training": now.training, "data-points": now.points.length });
    explain(series);
    forget.hidden = !before.length;
  }

  /** @param {{name: string, kind: string}[]} series */
  function explain(series) {
    const items = series.filter(({ name }) => name).reverse();
    const text = JSON.stringify(items.map(({ name, kind }) => [name, kind]));
    if (text === named) return;
    named = text;
    legend.replaceChildren(
      ...items.map(({ name, kind }) => {
        const sample = svg("svg", { class: "lines", width: 26, height: 10, "aria-hidden": "true" });
        sample.append(svg("path", { class: kind, d: "M1 5L25 5" }));
        return make("li", {}, sample, kind.startsWith("ghost") ? `earlier val: ${name}` : name);
      }),
    );
  }

  lab.on("state", () => lab.refresh(panel));
  return panel;
}

/**
 * The chart in words: where each line stands.
 * @param {{name: string, kind: string, points: [number, number][]}[]} series
 * @param {{label: string}[]} rules
 */
export function alternative(series, rules) {
  const parts = series
    .filter(({ name, points }) => name && points.length)
    .reverse()
    .map(
      ({ name, kind, points }) =>
        `${kind.startsWith("ghost") ? "earlier val, " : ""}${name} ${points[points.length - 1][1].toFixed(3)}`,
    );
  return `Losses: ${[...parts, ...rules.map(({ label }) => label)].join("; ")}. The arrow keys read values.`;
}
