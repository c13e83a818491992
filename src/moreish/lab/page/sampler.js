/**
 * @file Drawing words: the same seed draws the same words as `moreish sample`.
 *
 * The number that decides character k of word j is a function of the seed, j and k alone. In Python most sums are made
 * in other precisions or another order, so where such a number falls within about 1e-7 of the border between two
 * characters, the two may part.
 */

/** @typedef {import("./model.js").Reader} Reader */

/**
 * @typedef {object} DrawOptions as those of `moreish sample`
 * @property {number} [seed]
 * @property {number} [temperature]
 * @property {number} [top_k]
 * @property {number} [top_p]
 * @property {number} [max_length]
 */

const MASK = (1n << 64n) - 1n;
const GOLDEN = 0x9e3779b97f4a7c15n;

/** 64 random bits for a key and a counter (SplitMix64). @param {bigint} key @param {number} counter */
function bits(key, counter) {
  let z = (key + (BigInt(counter) + 1n) * GOLDEN) & MASK;
  z = ((z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n) & MASK;
  z = ((z ^ (z >> 27n)) * 0x94d049bb133111ebn) & MASK;
  return z ^ (z >> 31n);
}

/**
 * The number in [0, 1) that decides the character at a place of a word.
 * @param {number} seed
 * @param {number} word
 * @param {number} place
 */
export const drawNumber = (seed, word, place) => Number(bits(bits(BigInt(seed), word), place) >> 11n) * 2 ** -53;

/**
 * Weights in proportion to the probabilities to draw from: see `weights` in engine/tape/generate.py.
 * @param {ArrayLike<number>} logits
 * @param {DrawOptions} options
 * @param {boolean} mayEnd
 * @returns {Float64Array}
 */
export function weights(logits, { temperature = 1, top_k = 0, top_p = 1 }, mayEnd) {
  const kept = Float64Array.from(logits);
  if (!mayEnd) kept[0] = -Infinity;
  const order = [...kept.keys()].sort((a, b) => kept[b] - kept[a] || a - b);
  const k = temperature < 1e-6 ? 1 : top_k;
  if (k > 0) for (const v of order.slice(k)) kept[v] = -Infinity;
  const largest = kept[order[0]];
  const scale = temperature < 1e-6 ? 1 : temperature;
  const found = kept.map((each) => Math.exp((each - largest) / scale));
  if (top_p < 1) {
    const wanted = top_p * found.reduce((sum, each) => sum + each, 0);
    let sum = 0;
    for (const v of order) {
      if (sum >= wanted) found[v] = 0;
      sum += found[v];
    }
  }
  return found;
}

/** The first token at which the cumulated weight passes u times the total. @param {Float64Array} weight @param {number} u */
export function pick(weight, u) {
  const target = u * weight.reduce((sum, each) => sum + each, 0);
  let reached = 0;
  let last = 0;
  for (let v = 0; v < weight.length; v += 1) {
    if (!weight[v]) continue;
    reached += weight[v];
    last = v;
    if (reached > target) return v;
  }
  return last;
}

/**
 * The tokens of a word, drawn from a reader after the tokens of a prefix.
 * @param {Reader} reader
 * @param {number} number of the word
 * @param {number[]} prefix
 * @param {DrawOptions & {max_length: number}} options
 */
export function drawWord(reader, number, prefix, options) {
  const word = [...prefix];
  let state = prefix.reduce((before, token) => reader.after(before, token), reader.begin());
  while (word.length < options.max_length) {
    const weight = weights(reader.logits(state), options, word.length > 0);
    const token = pick(weight, drawNumber(options.seed ?? 42, number, word.length));
    if (!token) break;
    word.push(token);
    state = reader.after(state, token);
  }
  return word;
}
