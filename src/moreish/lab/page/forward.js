/**
 * @file The forward pass of every layer, one row at a time.
 *
 * A row is a Float32Array. A layer takes the rows of one context, or the one row of the next character of a word: then
 * `past` holds what it remembers of the word so far. Formulas and their sources are in the Python file of each layer.
 */

/** @typedef {Float32Array} Row */
/** @typedef {Record<string, Row>} Weights parameters by their names in the layer, each flat in row-major order */
/** @typedef {Record<string, any>} Sizes the fields of the layer */

/**
 * What the layers remember along a word: `place` characters were read before, `old` is what each layer left then, by its
 * number, and it leaves `next` for the character after. Attention leaves its `weights`: for each head, those of all
 * characters so far.
 * @typedef {{place: number, old: any[], next: any[], weights: number[][][]}} Past
 */

/** @typedef {(rows: Row[], past: Past | null, number: number) => Row[]} Forward */

const EPSILON = 1e-5;
const sigmoid = (/** @type {number} */ x) => 1 / (1 + Math.exp(-x));

/**
 * x W + b, for a row x (K) and W (K, M).
 * @param {ArrayLike<number>} x
 * @param {Row} W
 * @param {Row} [b]
 * @returns {Row}
 */
export function affine(x, W, b) {
  const M = W.length / x.length;
  const y = new Float64Array(M);
  if (b) y.set(b);
  for (let k = 0; k < x.length; k += 1) {
    const value = x[k];
    if (value === 0) continue;
    for (let m = 0, at = k * M; m < M; m += 1, at += 1) y[m] += value * W[at];
  }
  return Float32Array.from(y);
}

/** A layer that treats every number alike. @param {(x: number) => number} f @returns {() => Forward} */
const activation = (f) => () => (rows) => rows.map((x) => x.map(f));

/**
 * A recurrent layer: a function of a row and of the state before it. The state has `parts` vectors, of which the first
 * is the output.
 * @param {number} parts
 * @param {(x: Row, state: Row[], w: Weights) => Row[]} step
 * @returns {(w: Weights, sizes: Sizes) => Forward}
 */
const recurrent = (parts, step) => (w, sizes) => {
  const starts = ["start", "start_c"].map((name) => w[name] ?? new Float32Array(sizes.n_hidden)).slice(0, parts);
  return ([x], past, number) => {
    if (!past) throw new Error("a recurrent layer goes along a word");
    const state = step(x, past.old[number] ?? starts, w);
    past.next[number] = state;
    return [state[0]];
  };
};

/** Normalise a row to mean 0 and variance 1. @param {Row} x @param {Weights} w @returns {Row} */
function layerNorm(x, { gamma, beta }) {
  const mean = x.reduce((sum, each) => sum + each, 0) / x.length;
  const variance = x.reduce((sum, each) => sum + (each - mean) ** 2, 0) / x.length;
  const scale = 1 / Math.sqrt(variance + EPSILON);
  return x.map((each, c) => gamma[c] * (each - mean) * scale + beta[c]);
}

/** The error function, to about 1e-15: its series near 0, and a continued fraction further away. @param {number} x */
export function erf(x) {
  const size = Math.abs(x);
  if (size > 6) return Math.sign(x);
  if (size < 2.5) {
    let term = x;
    let sum = x;
    for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n += 1) {
      term *= -(x * x) / n;
      sum += term / (2 * n + 1);
    }
    return (2 / Math.sqrt(Math.PI)) * sum;
  }
  let fraction = 0;
  for (let n = 60; n > 0; n -= 1) fraction = n / 2 / (size + fraction);
  return Math.sign(x) * (1 - Math.exp(-x * x) / Math.sqrt(Math.PI) / (size + fraction));
}

/**
 * Attention of the newest row to itself and all rows before it in its word.
 * @param {Weights} _
 * @param {Sizes} sizes
 * @returns {Forward}
 */
const attention = (_, { n_embd: E, n_head: heads }) => {
  const C = E / heads;
  return ([x], past, number) => {
    if (!past) throw new Error("attention goes along a word");
    /** @type {Row[]} */
    const words = [...(past.old[number] ?? []), x];
    past.next[number] = words;
    const y = new Float32Array(E);
    past.weights[number] = [];
    for (let h = 0; h < heads; h += 1) {
      const from = h * C;
      const scores = words.map((row) => {
        let score = 0;
        for (let c = from; c < from + C; c += 1) score += x[c] * row[E + c];
        return score / Math.sqrt(C);
      });
      const largest = Math.max(...scores);
      const odds = scores.map((score) => Math.exp(score - largest));
      const total = odds.reduce((sum, each) => sum + each, 0);
      const weights = odds.map((each) => each / total);
      past.weights[number].push(weights);
      for (let c = from; c < from + C; c += 1)
        y[c] = words.reduce((sum, row, m) => sum + weights[m] * row[2 * E + c], 0);
    }
    return [y];
  };
};

/** @type {Forward} */
const average = ([x], past, number) => {
  if (!past) throw new Error("the mean of a word goes along it");
  const total = Float64Array.from(past.old[number] ?? x, (each, e) => (past.old[number] ? each + x[e] : each));
  past.next[number] = total;
  return [Float32Array.from(total, (each) => each / (past.place + 1))];
};

/**
 * Every layer by its name in Python: a function of its weights and sizes, to its forward pass. Embeddings take tokens.
 * @type {Record<string, (w: Weights, sizes: Sizes) => Forward>}
 */
export const LAYERS = {
  Embedding:
    ({ C }, { n_embd: E }) =>
    (tokens) =>
      tokens.map((/** @type {any} */ v) => C.slice(v * E, (v + 1) * E)),
  PositionalEmbedding:
    ({ P }, { n_positions: T, n_embd: E }) =>
    ([x], past) => {
      const from = Math.min(past?.place ?? 0, T - 1) * E;
      return [x.map((each, e) => each + P[from + e])];
    },
  FlattenConsecutive:
    (_, { n }) =>
    (rows) =>
      Array.from({ length: rows.length / n }, (_, i) => joined(rows.slice(i * n, (i + 1) * n))),
  Unfold:
    (_, { dilation: d }) =>
    (rows) =>
      rows.slice(d).map((row, t) => joined([rows[t], row])),
  Linear:
    ({ W, b }) =>
    (rows) =>
      rows.map((x) => affine(x, W, b)),
  Tanh: activation(Math.tanh),
  ReLU: activation((x) => Math.max(0, x)),
  GELU: activation((x) => (x * (1 + erf(x * Math.SQRT1_2))) / 2),
  TanhGELU: activation((x) => (x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))) / 2),
  BatchNorm1d:
    ({ gamma, beta, running_mean: mean, running_var: variance }) =>
    (rows) =>
      rows.map((x) => x.map((each, c) => (gamma[c] * (each - mean[c])) / Math.sqrt(variance[c] + EPSILON) + beta[c])),
  LayerNorm: (w) => (rows) => rows.map((x) => layerNorm(x, w)),
  Dropout: () => (rows) => rows,
  CausalSelfAttention: attention,
  CausalAverage: () => average,
  RNN: recurrent(1, (x, [h], { U }) => {
    const u = affine(h, U);
    return [x.map((each, i) => Math.tanh(each + u[i]))];
  }),
  GRU: recurrent(1, (x, [before], { U, c }) => {
    const H = before.length;
    const u = affine(before, U);
    return [
      before.map((h, i) => {
        const r = sigmoid(x[i] + u[i]);
        const z = sigmoid(x[H + i] + u[H + i]);
        const n = Math.tanh(x[2 * H + i] + r * (u[2 * H + i] + c[i]));
        return n + z * (h - n);
      }),
    ];
  }),
  ChoGRU: recurrent(1, (x, [before], { U, V }) => {
    const H = before.length;
    const u = affine(before, U);
    const reset = before.map((h, i) => h * sigmoid(x[i] + u[i]));
    const of = affine(reset, V);
    return [
      before.map((h, i) => {
        const z = sigmoid(x[H + i] + u[H + i]);
        const n = Math.tanh(x[2 * H + i] + of[i]);
        return n + z * (h - n);
      }),
    ];
  }),
  LSTM: recurrent(2, (x, [h, cell], { U }) => {
    const H = h.length;
    const u = affine(h, U);
    const gate = (/** @type {number} */ block, /** @type {number} */ i) => x[block * H + i] + u[block * H + i];
    const c = cell.map((before, i) => sigmoid(gate(1, i)) * before + sigmoid(gate(0, i)) * Math.tanh(gate(2, i)));
    return [c.map((each, i) => sigmoid(gate(3, i)) * Math.tanh(each)), c];
  }),
};

/** Rows one after another as one. @param {Row[]} rows @returns {Row} */
function joined(rows) {
  const all = new Float32Array(rows.reduce((sum, row) => sum + row.length, 0));
  rows.reduce((at, row) => (all.set(row, at), at + row.length), 0);
  return all;
}
