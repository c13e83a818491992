/** @file Weights of a mixture that depend on the context: see models/gate.py, which has the formula. */

const FURTHEST = 4; // standard deviations; a feature further from its mean counts as this far
const LARGEST_SCORE = 30; // the logarithm of the largest log-linear weight

/** @typedef {{theta: number[][], centre: number[], scale: number[]}} GateFile */

/**
 * The features of a context, not standardised.
 * @param {number} place characters before the next one
 * @param {Float64Array[]} logs log-probabilities of every next token by each part
 * @param {number[][]} counted the features of each n-gram among the parts
 */
export function featuresOf(place, logs, counted) {
  const entropies = logs.map(
    (each) => -each.reduce((sum, log) => sum + (log > -Infinity ? Math.exp(log) * log : 0), 0),
  );
  const ends = logs.map((each) => Math.exp(each[0]));
  return [Math.log1p(place), place === 0 ? 1 : 0, ...entropies, ...ends, ...counted.flat()];
}

/**
 * Logarithms of the parts' weights in a context.
 * @param {GateFile} gate
 * @param {number[]} features
 * @param {boolean} linear whether the weights sum to one
 */
export function logWeights({ theta, centre, scale }, features, linear) {
  const f = features.map((each, j) => Math.min(FURTHEST, Math.max(-FURTHEST, (each - centre[j]) / scale[j])));
  const scores = theta.map(([first, ...rest]) => rest.reduce((sum, weight, j) => sum + weight * f[j], first));
  if (!linear) return scores.map((score) => Math.min(score, LARGEST_SCORE));
  const largest = Math.max(...scores);
  const total = largest + Math.log(scores.reduce((sum, score) => sum + Math.exp(score - largest), 0));
  return scores.map((score) => score - total);
}
