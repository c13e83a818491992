/**
 * @file Models in the browser: nets, n-grams, and mixtures of both. Each reads a word token by token.
 *
 * A reader has begin(), the state before the first character; after(state, token), the state after one more; and
 * logits(state) of the next token, where token 0 is the end of the word. States are never changed, so they can be kept.
 */

import { LAYERS } from "./forward.js";
import { featuresOf, logWeights } from "./gate.js";

/**
 * @typedef {{begin: () => any, after: (state: any, token: number) => any, logits: (state: any) => ArrayLike<number>}} Reader
 *
 * @typedef {{at: number, size: number, type: "float32" | "float64" | "int32" | "int8", rows?: number}} Place of an array in the data:
 *   its first byte and its number of elements; int8 with so many rows, each with a float32 scale after the elements
 * @typedef {{kind: string, sizes: Record<string, any>, weights: Record<string, Place>, layers?: LayerFile[]}} LayerFile
 * @typedef {{model: string, context: number | null, layers?: LayerFile[], arrays?: Record<string, Place>,
 *   order?: number, kind?: string, weights?: number[], gate?: import("./gate.js").GateFile, parts?: ReaderFile[]}} ReaderFile
 * @typedef {{model: string, characters: string[], most_extra: number, reader: ReaderFile,
 *   labels?: {names: string[], shares: number[], readers: ReaderFile[]}, list?: string, loss?: Record<string, number>}} ModelFile
 */

/**
 * Bytes of base64.
 * @param {string} text
 * @returns {ArrayBuffer}
 */
export function decoded(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i += 1) bytes[i] = binary.charCodeAt(i);
  return bytes.buffer;
}

/**
 * An array of the data.
 * @param {ArrayBuffer} data
 * @param {Place} place
 * @returns {any}
 */
function arrayOf(data, { at, size, type, rows = 1 }) {
  if (type === "int32") return new Int32Array(data, at, size);
  if (type === "float32") return new Float32Array(data, at, size);
  if (type === "float64") return new Float64Array(data.slice(at, at + 8 * size));
  const whole = new Int8Array(data, at, size);
  const scales = new Float32Array(data.slice(at + size, at + size + 4 * rows));
  return Float32Array.from(whole, (each, i) => each * scales[Math.floor(i / (size / rows))]);
}

/** @param {ArrayBuffer} data @param {Record<string, Place>} places */
const arraysOf = (data, places) =>
  Object.fromEntries(Object.entries(places).map(([name, place]) => [name, arrayOf(data, place)]));

/** A net: layers from tokens to logits. */
class Net {
  #count = 0;

  /** @param {ReaderFile} file @param {ArrayBuffer} data */
  constructor(file, data) {
    this.context = file.context;
    this.forward = this.#all(file.layers ?? [], data);
  }

  /** @param {LayerFile[]} files @param {ArrayBuffer} data @returns {import("./forward.js").Forward} */
  #all(files, data) {
    const layers = files.map(({ kind, sizes, weights, layers: branch }) => {
      const number = (this.#count += 1);
      if (!branch)
        return {
          number,
          forward: LAYERS[kind](arraysOf(data, weights), sizes),
        };
      const inner = this.#all(branch, data);
      /** @type {import("./forward.js").Forward} */
      const forward = (rows, past) => inner(rows, past, 0).map((row, t) => row.map((each, e) => rows[t][e] + each));
      return { number, forward };
    });
    return (rows, past) => layers.reduce((x, { number, forward }) => forward(x, past, number), rows);
  }

  begin() {
    return this.context === null ? this.#along({ place: -1, next: [] }, 0) : new Array(this.context).fill(0);
  }

  /** @param {any} state @param {number} token */
  after(state, token) {
    return this.context === null ? this.#along(state, token) : [...state.slice(1), token];
  }

  /** @param {any} state */
  logits(state) {
    if (this.context === null) return state.logits;
    return /** @type {Float32Array} */ (this.forward(state, null, 0).at(-1));
  }

  /** @param {any} state @param {number} token */
  #along({ place, next: old }, token) {
    /** @type {import("./forward.js").Past} */
    const past = { place: place + 1, old, next: [], weights: [] };
    const [logits] = this.forward(/** @type {any} */ ([token]), past, 0);
    return { ...past, logits };
  }
}

/** An n-gram: an automaton whose nodes are the contexts that were counted. */
class NGram {
  /** @param {ReaderFile} file @param {ArrayBuffer} data @param {number} size of the vocabulary */
  constructor({ arrays = {} }, data, size) {
    const { first, parent, char, after, start, p, share } = arraysOf(data, arrays);
    this.first = first;
    this.parent = parent;
    this.char = char;
    this.next = after;
    this.p = p;
    this.share = share;
    this.start = start[0];
    this.size = size;
  }

  begin() {
    return this.start;
  }

  /** @param {number} node @param {number} token */
  after(node, token) {
    for (let at = node; ; at = this.parent[at]) {
      for (let entry = this.first[at]; entry < this.first[at + 1]; entry += 1)
        if (this.char[entry] === token) return this.next[entry];
      if (at === 0) return 0;
    }
  }

  /** The nodes from a context to the empty one. @param {number} node @returns {number[]} */
  #path(node) {
    return node === 0 ? [0] : [node, ...this.#path(this.parent[node])];
  }

  /** For a gate: the length of a context, and the logarithm of the share that it leaves to shorter ones. @param {number} node */
  features(node) {
    return [this.#path(node).length - 1, Math.log(this.share[node])];
  }

  /** Log-probabilities. @param {number} node */
  logits(node) {
    const p = new Float64Array(this.size).fill(1 / this.size);
    for (const at of this.#path(node).reverse()) {
      for (let v = 0; v < p.length; v += 1) p[v] *= this.share[at];
      for (let entry = this.first[at]; entry < this.first[at + 1]; entry += 1) p[this.char[entry]] = this.p[entry];
    }
    return p.map(Math.log);
  }
}

/** The logarithm of the sum of exp. @param {ArrayLike<number>} logs */
export function logSum(logs) {
  const largest = Array.prototype.reduce.call(logs, (a, b) => Math.max(/** @type {number} */ (a), b), -Infinity);
  let sum = 0;
  for (let i = 0; i < logs.length; i += 1) sum += Math.exp(logs[i] - Number(largest));
  return Number(largest) + Math.log(sum);
}

/** Logits as log-probabilities. @param {ArrayLike<number>} logits */
export function logProbabilities(logits) {
  const total = logSum(logits);
  return Float64Array.from(logits, (each) => each - total);
}

/**
 * A mixture of readers: of their probabilities (linear), or of their logarithms. With a gate, the weights depend on the
 * context.
 */
class Mixture {
  /** @param {ReaderFile} file @param {ArrayBuffer} data @param {number} size */
  constructor({ kind, weights = [], gate, parts = [] }, data, size) {
    this.linear = kind === "linear";
    this.own = weights.map(Math.log);
    this.gate = gate;
    this.parts = parts.map((part) => readerOf(part, data, size));
  }

  begin() {
    return { place: 0, of: this.parts.map((part) => part.begin()) };
  }

  /** @param {any} state @param {number} token */
  after({ place, of }, token) {
    return {
      place: place + 1,
      of: this.parts.map((part, i) => part.after(of[i], token)),
    };
  }

  /** Log-probabilities. @param {any} state */
  logits({ place, of }) {
    const logs = this.parts.map((part, i) => logProbabilities(part.logits(of[i])));
    const own = this.gate ? logWeights(this.gate, this.#features(place, of, logs), this.linear) : this.own;
    if (this.linear) return logs[0].map((_, v) => logSum(logs.map((each, i) => own[i] + each[v])));
    const weights = own.map(Math.exp);
    return logProbabilities(logs[0].map((_, v) => logs.reduce((sum, each, i) => sum + weights[i] * each[v], 0)));
  }

  /** @param {number} place @param {any[]} of @param {Float64Array[]} logs */
  #features(place, of, logs) {
    const counted = this.parts.flatMap((part, i) => (part instanceof NGram ? [part.features(of[i])] : []));
    return featuresOf(place, logs, counted);
  }
}

/**
 * A reader from its description and the data.
 * @param {ReaderFile} file
 * @param {ArrayBuffer} data
 * @param {number} size tokens of the vocabulary, the end included
 * @returns {Reader}
 */
export function readerOf(file, data, size) {
  if (file.parts) return new Mixture(file, data, size);
  return file.layers ? new Net(file, data) : new NGram(file, data, size);
}

/**
 * The attention of a net along a word: for each layer of attention and each head a square, in whose row t are the
 * weights of the positions that the prediction after position t looks at. Position 0 is the word boundary.
 * @param {Reader} reader
 * @param {number[]} tokens of the word
 * @returns {number[][][][]}
 */
export function attentionAlong(reader, tokens) {
  const states = [reader.begin()];
  for (const token of tokens) states.push(reader.after(states[states.length - 1], token));
  const square = (/** @type {number} */ layer, /** @type {number} */ head) =>
    states.map(({ weights }) => states.map((_, column) => weights[layer][head][column] ?? 0));
  const [{ weights: first = [] }] = states;
  return Object.keys(first).map((layer) =>
    first[Number(layer)].map((/** @type {any} */ _, /** @type {number} */ head) => square(Number(layer), head)),
  );
}
