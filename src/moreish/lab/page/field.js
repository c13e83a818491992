/** @file The field of one option: a list of choices, a box, or a number with a slider. */

import { ticks } from "./chart.js";
import { make, set } from "./dom.js";
import { dashed, parseOption } from "./settings.js";

/**
 * @typedef {import("./lab.js").Control} Control
 * @typedef {import("./lab.js").Option} Option
 */

const ROUND = [1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8]; // of a power of ten, on a logarithmic slider

/**
 * The values at which a slider stops.
 * @param {Control} control
 * @returns {number[]}
 */
export function stops({ slider, kind }) {
  if (!slider) return [];
  const [low, high, log] = slider;
  const found = [low];
  if (!log && kind === "whole" && high - low <= 200) for (let i = low + 1; i < high; i++) found.push(i);
  else if (!log) found.push(...ticks(low, high, 100));
  else if (kind === "whole") for (let i = 1; low * 2 ** (i / 4) < high; i++) found.push(Math.round(low * 2 ** (i / 4)));
  else
    for (let power = Math.floor(Math.log10(low)); 10 ** power < high; power++)
      found.push(...ROUND.map((factor) => Number((factor * 10 ** power).toPrecision(3))));
  return [...new Set([...found.filter((value) => value >= low && value <= high), high])].sort((a, b) => a - b);
}

/**
 * The stop that is nearest to a value.
 * @param {number[]} all
 * @param {number} value
 */
export function nearestStop(all, value) {
  const after = all.findIndex((stop) => stop >= value);
  if (after < 0) return all.length - 1;
  return after > 0 && value - all[after - 1] < all[after] - value ? after - 1 : after;
}

/** @param {Option | null | undefined} value */
const written = (value) => (value === null || value === undefined ? "" : String(value));

/**
 * Make the field of an option.
 * @param {Control} control
 * @param {(value: Option | null) => void} change called with a new value, or null for the default
 */
export function field(control, change) {
  const id = `option-${dashed(control.name)}`;
  const name = dashed(control.name);
  const label = make("label", { for: id }, name);
  const hint = make("p", { class: "hint", id: `${id}-hint` });
  const reset = make(
    "button",
    { type: "button", class: "plain reset", title: "Take the default", "aria-label": `${name}: take the default` },
    "\u00d7",
  );
  const attributes = { id, "aria-describedby": hint.id };
  const parts = { choice, boolean: box, whole: number, number }[control.kind](control, attributes, change);
  const element = make("div", { class: "option" }, label, ...parts.elements, reset, hint);
  reset.addEventListener("click", () => {
    change(null);
    parts.elements.at(-1)?.focus();
  });
  element.addEventListener("keydown", ({ key }) => element.classList.toggle("quiet", key === "Escape"));

  return {
    element,
    /**
     * Show a value.
     * @param {Option | null | undefined} given undefined if the default holds
     * @param {Option | null | undefined} resolved the value that holds
     */
    show(given, resolved) {
      const isGiven = given !== undefined;
      element.classList.toggle("given", isGiven);
      set(reset, { hidden: !isGiven });
      const otherwise = control.default === null ? "chosen by the model" : written(control.default);
      hint.textContent = `${control.help}. Default: ${otherwise}.`;
      parts.show(isGiven ? given : (resolved ?? control.default));
    },
  };
}

/** @typedef {{elements: HTMLElement[], show: (value: Option | null) => void}} Parts */

/** @param {Control} control @param {Record<string, string>} attributes @param {(value: Option | null) => void} change @returns {Parts} */
function choice(control, attributes, change) {
  const unset = make("option", { value: "", hidden: true }, "");
  const select = make("select", attributes, unset, ...control.choices.map((value) => make("option", { value }, value)));
  select.addEventListener("change", () => change(select.value));
  return { elements: [select], show: (value) => (select.value = written(value)) };
}

/** @param {Control} _ @param {Record<string, string>} attributes @param {(value: Option | null) => void} change @returns {Parts} */
function box(_, attributes, change) {
  const input = make("input", { type: "checkbox", ...attributes });
  input.addEventListener("change", () => change(input.checked));
  return { elements: [input], show: (value) => (input.checked = value === true) };
}

/** @param {Control} control @param {Record<string, string>} attributes @param {(value: Option | null) => void} change @returns {Parts} */
function number(control, attributes, change) {
  const all = stops(control);
  const input = make("input", {
    type: "text",
    inputmode: "decimal",
    autocomplete: "off",
    spellcheck: "false",
    maxlength: 100,
    ...attributes,
  });
  let editing = false; // what a person is typing or dragging is left alone
  input.addEventListener("input", () => (editing = true));
  input.addEventListener("blur", () => (editing = false));
  input.addEventListener("change", () => {
    editing = false;
    change(input.value.trim() ? parseOption(control, input.value) : null);
  });
  const showText = (/** @type {Option | null} */ value) => {
    if (!editing) input.value = written(value);
  };
  if (!all.length) return { elements: [input], show: showText };

  const { id: _, ...described } = attributes;
  const slider = make("input", {
    type: "range",
    min: 0,
    max: all.length - 1,
    step: 1,
    "aria-label": `${dashed(control.name)}, slider`,
    ...described,
  });
  const say = () => set(slider, { "aria-valuetext": input.value });
  slider.addEventListener("input", () => {
    editing = true;
    input.value = written(all[slider.valueAsNumber]);
    say();
  });
  slider.addEventListener("change", () => {
    editing = false;
    change(all[slider.valueAsNumber]);
  });
  return {
    elements: [slider, input],
    show(value) {
      showText(value);
      if (typeof value === "number" && !editing) slider.valueAsNumber = nearestStop(all, value);
      slider.classList.toggle("unset", typeof value !== "number");
      say();
    },
  };
}
