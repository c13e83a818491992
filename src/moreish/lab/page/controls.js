/** @file The settings: list, model and options, made from the options of the command line. */

import { make } from "./dom.js";

/** @param {import("./lab.js").Lab} lab */
export function controls(lab) {
  const text = make("p");
  lab.on("settings", ({ command }) => (text.textContent = command));
  return [make("h2", {}, "Settings"), text];
}
