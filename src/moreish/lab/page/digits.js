/** @file Numbers beside each other, with the digits on which they agree. */

const DIGITS = 11; // significant digits of the reference that are shown
const LOWEST = 1e-3; // numbers below it are shown as multiples of a power of ten

/**
 * The number of significant digits on which a number agrees with a reference, from 0 to DIGITS.
 * @param {number} value
 * @param {number} reference
 */
export function agreement(value, reference) {
  if (value === reference) return DIGITS;
  const apart = Math.abs(value - reference) / Math.abs(reference);
  return Number.isFinite(apart) ? Math.min(DIGITS, Math.max(0, Math.floor(-Math.log10(apart)))) : 0;
}

/**
 * Numbers in one form: each as [the digits that agree with the reference, the others], and the power of ten by which
 * all are multiplied, 0 for none.
 * @param {number[]} values
 * @param {number} reference
 * @returns {{power: number, parts: [string, string][]}}
 */
export function aligned(values, reference) {
  const magnitude = reference === 0 ? 0 : Math.floor(Math.log10(Math.abs(reference)));
  const power = reference !== 0 && (Math.abs(reference) < LOWEST || Math.abs(reference) >= 1e6) ? magnitude : 0;
  const decimals = DIGITS - 1 - (magnitude - power);
  const shown = (/** @type {number} */ value) =>
    (value / 10 ** power).toFixed(Math.min(20, decimals)).replace("-", "\u2212");
  const parts = values.map((value) => {
    const text = shown(value);
    return cut(text, Math.max(agreement(value, reference), sameDigits(text, shown(reference))));
  });
  return { power, parts };
}

/** The number of significant digits with which two texts begin alike. @param {string} a @param {string} b */
function sameDigits(a, b) {
  let same = 0;
  while (same < a.length && a[same] === b[same]) same++;
  return a
    .slice(0, same)
    .replace(/^[^1-9]*/, "")
    .replace(/\D/g, "").length;
}

/**
 * Cut a text after so many significant digits.
 * @param {string} text
 * @param {number} digits
 * @returns {[string, string]}
 */
function cut(text, digits) {
  if (!digits) return ["", text];
  let [seen, begun] = [0, false];
  for (let i = 0; i < text.length; i++) {
    if (!/\d/.test(text[i])) continue;
    begun ||= text[i] !== "0";
    if (begun && ++seen === digits) return [text.slice(0, i + 1), text.slice(i + 1)];
  }
  return [text, ""];
}
