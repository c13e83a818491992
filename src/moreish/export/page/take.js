/** @file The page without a server: the panels of the lab that ask about one trained model, answered here. */

import { make, shown } from "../../lab/page/dom.js";
import { next } from "../../lab/page/next.js";
import { score } from "../../lab/page/score.js";
import { drawing, follow, share, textField, WORD } from "../../lab/page/shared.js";
import { State } from "../../lab/page/state.js";

/** @typedef {import("./words.js").Words} Words */

/**
 * A lab without a server: it answers the questions of the panels.
 * @param {Words} words
 */
export function localLab(words) {
  /** @type {Record<string, (values: any) => any>} */
  const views = {
    next({ prefix = "", temperature = 1, top_p = 1, n = 12 }) {
      const all = words.next(prefix, { temperature, top_p });
      const rest = all.slice(n);
      const sum = (/** @type {"p" | "drawn"} */ name) => rest.reduce((total, each) => total + each[name], 0);
      return { prefix, bars: all.slice(0, n), rest: { n: rest.length, p: sum("p"), drawn: sum("drawn") } };
    },
    score({ word }) {
      const drawn = !word;
      const found = words.score(word || words.sample({ n: 1, seed: 1 })[0]);
      const total = found.nats * found.chars.length;
      return { ...found, drawn, total, mean: found.nats, percentile: null, mark: "" };
    },
  };
  return {
    controls: null,
    settings: null,
    status: null,
    connected: true,
    state: new State(() => refreshAll()),
    /** @type {(panel: any) => void} */ refresh: (panel) => void panel.refresh(false),
    ask: async (/** @type {string} */ view, /** @type {any} */ values) => views[view](values),
  };
}

/** @type {(() => void)[]} */ const all = [];
const refreshAll = () => all.forEach((refresh) => refresh());

/**
 * The panel that draws words.
 * @param {any} lab
 * @param {Words} words
 */
function draw(lab, words) {
  const prefix = textField(lab, "draw.prefix", { label: "Prefix" });
  const pattern = textField(lab, "draw.pattern", { label: "Pattern", placeholder: "m*a" });
  const sliders = drawing(lab);
  const list = make("ul", { class: "drawn" });
  const seed = () => Number.parseInt(lab.state.get("draw.seed", "42"), 10) || 42;
  const others = () => {
    lab.state.set("draw.seed", seed() + 1);
    lab.refresh(panel);
  };
  const panel = {
    title: "Words",
    name: "draw",
    element: make(
      "div",
      {},
      make("div", { class: "sliders" }, prefix.element, pattern.element),
      sliders.element,
      make("div", { class: "result" }, list),
      make("button", { type: "button", onclick: others }, "Draw others"),
    ),
    async refresh() {
      const options = { ...sliders.read(), prefix: prefix.read(), pattern: pattern.read(), seed: seed(), n: 20 };
      list.replaceChildren(
        ...words
          .sample(options)
          .map((word) =>
            make(
              "li",
              {},
              make(
                "button",
                { type: "button", class: "plain", onclick: () => share(lab, WORD, word) },
                make("bdi", {}, shown(word)),
              ),
            ),
          ),
      );
    },
  };
  follow((name) => (name.startsWith("draw.") || sliders.has(name)) && lab.refresh(panel));
  return panel;
}

/**
 * Build the page.
 * @param {Words} words
 * @param {HTMLElement} main
 */
export function build(words, main) {
  const lab = /** @type {any} */ (localLab(words));
  for (const panel of [draw(lab, words), score(lab), next(lab)]) {
    const error = make("p", { class: "error", role: "status" });
    const element = make(
      "section",
      { class: "panel", id: `panel-${panel.name}` },
      make("h2", {}, panel.title),
      error,
      panel.element,
    );
    const refresh = async () => {
      try {
        await panel.refresh(false);
        error.textContent = "";
      } catch (problem) {
        error.textContent = /** @type {Error} */ (problem).message;
      }
      element.classList.toggle("failed", error.textContent !== "");
    };
    all.push(refresh);
    const before = lab.refresh;
    lab.refresh = (/** @type {any} */ other) => (other === panel ? void refresh() : before(other));
    main.append(element);
    refresh();
  }
}
