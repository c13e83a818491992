/** @file A model that draws and scores words in the browser: what `window.moreish` and the exported module offer. */

import { decoded, logProbabilities, readerOf } from "../../lab/page/model.js";
import { drawNumber, drawWord, weights } from "../../lab/page/sampler.js";

const REDRAWS = 16; // of a word that is too long, before it is cut
const TRIES = 20_000; // words drawn in search of one more
const UNKNOWN = Math.log(1_114_112); // nats of a character that the model does not know

/**
 * @typedef {object} SampleOptions those of `moreish sample`
 * @property {number} [n] number of words, 20 by default
 * @property {number} [seed] 42 by default; the same seed draws the same words
 * @property {number} [temperature]
 * @property {number} [top_k]
 * @property {number} [top_p]
 * @property {string} [prefix]
 * @property {string} [pattern] with ? for any character, * for any text and [abc] for one of several
 * @property {string} [label] of a model with labels; all by default, by their shares
 * @property {boolean} [distinct]
 *
 * @typedef {{char: string, nats: number, unknown: boolean}} CharacterScore "" is the end of the word
 * @typedef {{word: string, nats: number, bits: number, chars: CharacterScore[]}} Score nats and bits are means
 */

/**
 * The expression that a pattern stands for.
 * @param {string} pattern
 */
export function expressionOf(pattern) {
  const parts = pattern.match(/\[[^\]]+\]|[\s\S]/gu) ?? [];
  const source = parts.map((part) => {
    if (part === "*") return "[\\s\\S]*";
    if (part === "?") return "[\\s\\S]";
    if (part.length > 1 && part.startsWith("[")) return `[${part.slice(1, -1).replace(/[\\\]^]/g, "\\$&")}]`;
    return part.replace(/[.+^${}()|\\[\]\/-]/g, "\\$&");
  });
  return new RegExp(`^${source.join("")}$`, "u");
}

/** A trained model. */
export class Words {
  /**
   * @param {import("../../lab/page/model.js").ModelFile} file
   * @param {string} data base64 of the arrays
   */
  constructor(file, data) {
    const bytes = decoded(data);
    this.file = file;
    this.characters = file.characters;
    this.labels = file.labels?.names ?? [];
    /** @type {Map<string, number>} */
    this.tokens = new Map(file.characters.map((character, i) => [character, i + 1]));
    const size = file.characters.length + 1;
    this.readers = (file.labels?.readers ?? [file.reader]).map((reader) => readerOf(reader, bytes, size));
    this.shares = file.labels?.shares ?? [1];
  }

  /**
   * The readers to use, with their shares.
   * @param {string} [label]
   * @returns {[import("../../lab/page/model.js").Reader, number][]}
   */
  #of(label) {
    if (!label) return this.readers.map((reader, i) => [reader, this.shares[i]]);
    const i = this.labels.indexOf(label);
    if (i < 0) throw new Error(`unknown label ${label} (known: ${this.labels.join(", ") || "none"})`);
    return [[this.readers[i], 1]];
  }

  /** Tokens of a text. @param {string} text @returns {number[]} */
  #encoded(text) {
    return [...text.normalize("NFC")].map((character) => {
      const token = this.tokens.get(character);
      if (!token) throw new Error(`the model does not know the character ${character}`);
      return token;
    });
  }

  /**
   * Draw words.
   * @param {SampleOptions} [options]
   * @returns {string[]}
   */
  sample({ n = 20, seed = 42, prefix = "", pattern = "", label, distinct = false, ...options } = {}) {
    const readers = this.#of(label);
    const wanted = pattern ? expressionOf(pattern) : null;
    const fixed = wanted ? (/^[^?*[]*/.exec(pattern)?.[0] ?? "") : "";
    const tokens = this.#encoded(fixed.startsWith(prefix) ? fixed : prefix);
    /** @type {string[]} */ const found = [];
    for (let number = 0, last = 0; found.length < n; number += 1) {
      if (number - last >= TRIES)
        throw new Error(`only ${found.length} of ${n} words were found: ask for fewer, or another pattern`);
      const word = this.#word(this.#chosen(readers, seed, number), number, tokens, { ...options, seed });
      if (wanted && !(word.startsWith(prefix) && wanted.test(word))) continue;
      if (distinct && found.includes(word)) continue;
      found.push(word);
      last = number;
    }
    return found;
  }

  /** The reader of a word. @param {[any, number][]} readers @param {number} seed @param {number} number */
  #chosen(readers, seed, number) {
    let left = readers.length > 1 ? drawNumber(seed, number, 2 ** 40) : 0;
    for (const [reader, share] of readers) if ((left -= share) < 0) return reader;
    return readers[readers.length - 1][0];
  }

  /** @param {any} reader @param {number} number @param {number[]} tokens @param {any} options */
  #word(reader, number, tokens, options) {
    const longest = tokens.length + this.file.most_extra;
    /** @type {number[]} */ let word = [];
    for (let turn = 0; turn <= REDRAWS; turn += 1) {
      word = drawWord(reader, number + turn * 2 ** 40, tokens, { ...options, max_length: longest + 1 });
      if (word.length <= longest) break;
    }
    return word
      .slice(0, longest)
      .map((token) => this.characters[token - 1])
      .join("");
  }

  /**
   * Probabilities of the next character after a prefix, the most likely first; "" is the end of the word.
   * @param {string} [prefix]
   * @param {{temperature?: number, top_k?: number, top_p?: number, label?: string}} [options]
   * @returns {{char: string, p: number, drawn: number}[]} p at the temperature; drawn as a draw takes it
   */
  next(prefix = "", { temperature = 1, label, ...options } = {}) {
    const tokens = this.#encoded(prefix);
    const p = new Float64Array(this.characters.length + 1);
    const drawn = p.slice();
    let total = 0;
    for (const [reader, share] of this.#of(label)) {
      let state = reader.begin();
      let of = share;
      for (const token of tokens) {
        of *= Math.exp(logProbabilities(reader.logits(state))[token]);
        state = reader.after(state, token);
      }
      total += of;
      for (const [into, values] of /** @type {[Float64Array, Float64Array][]} */ ([
        [p, weights(reader.logits(state), { temperature }, true)],
        [drawn, weights(reader.logits(state), { temperature, ...options }, tokens.length > 0)],
      ])) {
        const sum = values.reduce((a, b) => a + b, 0);
        values.forEach((value, v) => (into[v] += (of * value) / sum));
      }
    }
    return [...p.keys()]
      .sort((a, b) => p[b] - p[a] || a - b)
      .map((v) => ({ char: v ? this.characters[v - 1] : "", p: p[v] / total, drawn: drawn[v] / total }));
  }

  /**
   * How surprising a word is. It may have characters that the model does not know.
   * @param {string} word
   * @param {{label?: string}} [options]
   * @returns {Score}
   */
  score(word, { label } = {}) {
    const characters = [...word.normalize("NFC")];
    const of = this.#of(label).map(([reader, share]) => {
      let state = reader.begin();
      return {
        share,
        nats: [...characters, ""].map((character) => {
          const token = character === "" ? 0 : this.tokens.get(character);
          const nats = token === undefined ? UNKNOWN : -logProbabilities(reader.logits(state))[token];
          state = token ? reader.after(state, token) : reader.begin();
          return nats;
        }),
      };
    });
    const sums = (/** @type {number} */ upTo) =>
      -Math.log(
        of.reduce((sum, { share, nats }) => sum + share * Math.exp(-nats.slice(0, upTo).reduce((a, b) => a + b, 0)), 0),
      );
    const nats = of.length === 1 ? of[0].nats : of[0].nats.map((_, i) => sums(i + 1) - (i ? sums(i) : 0));
    const mean = nats.reduce((sum, each) => sum + each, 0) / nats.length;
    const chars = nats.map((each, i) => ({
      char: characters[i] ?? "",
      nats: each,
      unknown: i < characters.length && !this.tokens.has(characters[i]),
    }));
    return { word: characters.join(""), nats: mean, bits: mean / Math.LN2, chars };
  }
}
