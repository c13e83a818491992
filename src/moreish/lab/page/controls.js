/** @file The settings: list, model and options. Letting go of a control starts a training. */

import { make } from "./dom.js";
import { field } from "./field.js";
import { lists } from "./lists.js";
import { controlsOf, Wish, withModel, withOption } from "./settings.js";

/**
 * Make the settings.
 * @param {import("./lab.js").Lab} lab
 */
export function controls(lab) {
  const wish = new Wish(lab, show);
  const list = lists(lab, (name) => wish.want({ ...wish.wanted, list: name }));
  const model = make("select", { id: "model" });
  const summary = make("p", { class: "faint" });
  const error = make("p", { class: "error", role: "alert" });
  const ofModel = make("div", { class: "options" });
  const ofTraining = make("div", { class: "options" });
  const others = make("div", { class: "options" });
  /** @type {Map<string, ReturnType<typeof field>>} */ let fields = new Map();
  let shown = "";

  model.addEventListener("change", () => {
    if (lab.controls) wish.want(withModel(wish.wanted, lab.controls, model.value));
    show();
  });

  lab.on("controls", ({ models }) => {
    const group = (/** @type {string} */ label, /** @type {boolean} */ net) => {
      const names = Object.keys(models).filter((name) => models[name].net === net);
      return make("optgroup", { label }, ...names.map((value) => make("option", { value }, value)));
    };
    model.replaceChildren(group("trained by steps", true), group("counted", false));
  });

  /** @param {string} name @param {import("./lab.js").Controls} all */
  function build(name, all) {
    const of = controlsOf(all, name);
    fields = new Map();
    const made = (/** @type {import("./lab.js").Control} */ control) => {
      const one = field(control, (value) => {
        wish.want(withOption(wish.wanted, control.name, value));
        show();
      });
      fields.set(control.name, one);
      return one.element;
    };
    ofModel.replaceChildren(...of.model.filter(({ first }) => first).map(made));
    ofTraining.replaceChildren(...of.training.filter(({ first }) => first).map(made));
    others.replaceChildren(...[...of.model, ...of.training].filter(({ first }) => !first).map(made));
  }

  function show() {
    const { wanted } = wish;
    const { controls: all, settings } = lab;
    if (!all || !settings || !wanted.model) return;
    if (shown !== wanted.model) build((shown = wanted.model), all);
    model.value = wanted.model;
    const found = all.models[wanted.model];
    summary.textContent = found?.summary ?? "";
    const resolved = settings.model === wanted.model ? settings.resolved : {};
    for (const [name, one] of fields) one.show(wanted.options[name], resolved[name]);
    error.textContent = wish.error;
    list.show(wanted.list);
  }

  return make(
    "details",
    { id: "settings", open: matchMedia("(min-width: 40rem)").matches },
    make("summary", {}, make("h2", {}, "Settings")),
    error,
    make(
      "div",
      { class: "groups" },
      list.element,
      make(
        "div",
        {},
        make("div", { class: "option" }, make("label", { for: "model" }, "model"), model),
        summary,
        ofModel,
      ),
      make("div", {}, make("h3", {}, "Training"), ofTraining),
      make("details", {}, make("summary", {}, "More options"), others),
    ),
  );
}
