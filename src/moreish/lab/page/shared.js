/** @file What several panels share: the word that is typed, and the temperature and top-p of draws. */

import { make, set } from "./dom.js";

/** @typedef {import("./lab.js").Lab} Lab */

export const WORD = "ask.word";
const TEMPERATURE = "ask.temperature";
const TOP_P = "ask.top-p";

/** @type {((name: string) => void)[]} */ const followers = [];

/**
 * Call a function with the name of whatever is shared and has been changed on this page.
 * @param {(name: string) => void} follower
 */
export const follow = (follower) => followers.push(follower);

/**
 * Set something shared, and tell those who follow.
 * @param {Lab} lab
 * @param {string} name
 * @param {string | number} value "" for the default
 */
export function share(lab, name, value) {
  lab.state.set(name, value === "" ? null : value);
  for (const follower of followers) follower(name);
}

/**
 * A field for a text that lives in the state.
 * @param {Lab} lab
 * @param {string} name in the state
 * @param {Record<string, any>} attributes of the field; "label" is its label
 * @param {string} [otherwise] the text while nothing is set
 */
export function textField(lab, name, { label, ...attributes }, otherwise = "") {
  const input = make("input", {
    type: "text",
    maxlength: 100,
    autocomplete: "off",
    autocapitalize: "off",
    spellcheck: "false",
    oninput: () => share(lab, name, input.value),
    ...attributes,
  });
  return {
    element: make("label", { class: "typed" }, label, input),
    input,
    /** Show the text of the state, and return it. */
    read() {
      const text = lab.state.get(name, otherwise);
      if (input.value !== text) input.value = text;
      return text;
    },
  };
}

/**
 * Sliders for temperature and top-p, which the panels share.
 * @param {Lab} lab
 */
export function drawing(lab) {
  const one = (
    /** @type {string} */ name,
    /** @type {string} */ label,
    /** @type {number} */ low,
    /** @type {number} */ high,
  ) => {
    const value = make("output");
    const slider = make("input", {
      type: "range",
      min: low,
      max: high,
      step: 0.05,
      "aria-label": label,
      oninput: () => share(lab, name, slider.valueAsNumber === 1 ? "" : slider.valueAsNumber),
    });
    return {
      element: make("label", { class: "slider" }, make("span", {}, label), slider, value),
      read() {
        const number = Number(lab.state.get(name, "1"));
        const within = Number.isFinite(number) ? Math.min(high, Math.max(low, number)) : 1;
        slider.valueAsNumber = within;
        value.textContent = within.toFixed(2);
        set(slider, { "aria-valuetext": within.toFixed(2) });
        return within;
      },
    };
  };
  const temperature = one(TEMPERATURE, "temperature", 0, 2);
  const topP = one(TOP_P, "top-p", 0.05, 1);
  return {
    element: make("div", { class: "sliders" }, temperature.element, topP.element),
    /** Show the values of the state, and return them. */
    read: () => ({ temperature: temperature.read(), top_p: topP.read() }),
    /** @param {string} name */
    has: (name) => name === TEMPERATURE || name === TOP_P,
  };
}
