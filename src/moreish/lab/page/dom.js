/** @file Elements, and characters as they are shown. Every text goes into the page as text. */

/**
 * @typedef {string | number | boolean | null | undefined | ((event: any) => void)} Value
 * @typedef {Node | string | null | undefined} Child
 */

const SVG = "http://www.w3.org/2000/svg";

/**
 * Set attributes: a function becomes a listener ("onclick"), true an attribute without a value; null, undefined and
 * false remove the attribute.
 * @param {Element} element
 * @param {Record<string, Value>} attributes
 */
export function set(element, attributes) {
  for (const [name, value] of Object.entries(attributes))
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (value === null || value === undefined || value === false) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value))
      element.setAttribute(name, value === true ? "" : String(value));
}

/**
 * Make an HTML element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, Value>} [attributes]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  set(element, attributes);
  element.append(...present(children));
  return element;
}

/**
 * Make an SVG element.
 * @template {keyof SVGElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, Value>} [attributes]
 * @param {...Child} children
 * @returns {SVGElementTagNameMap[K]}
 */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SVG, tag);
  set(element, attributes);
  element.append(...present(children));
  return /** @type {SVGElementTagNameMap[K]} */ (element);
}

/**
 * Make the function that shows a value in a field, which leaves alone what a person is typing.
 * @param {HTMLInputElement} input
 * @returns {(value: string) => void}
 */
export function showing(input) {
  let editing = false;
  input.addEventListener("input", () => (editing = true));
  for (const end of ["change", "blur"]) input.addEventListener(end, () => (editing = false));
  return (value) => {
    if (!editing && input.value !== value) input.value = value;
  };
}

/** @param {Child[]} children @returns {(Node | string)[]} */
const present = (children) =>
  /** @type {(Node | string)[]} */ (children.filter((child) => child !== null && child !== undefined));

/**
 * Show a text from a list: characters that cannot be seen, or would turn the text round, by their codes.
 * @param {string} text
 */
export const shown = (text) => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `<${visible(character)}>`);

/** @type {Record<string, string>} */
const NAMES = { "": "end", " ": "space", "\t": "tab" };

/**
 * Show a character: "end" for the end of a word, a name or code for one that cannot be seen, a combining mark on a
 * dotted circle.
 * @param {string} character
 */
export function visible(character) {
  const named = NAMES[character];
  if (named !== undefined) return named;
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Zs}]/u.test(character))
    return "U+" + (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0");
  return /\p{M}/u.test(character) ? "\u25cc" + character : character;
}
