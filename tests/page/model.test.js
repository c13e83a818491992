/** @file Facts about models and draws in the browser. Python compares their logits and words: see test_lab_models.py. */

import assert from "node:assert/strict";
import test from "node:test";

import { affine, erf } from "../../src/moreish/lab/page/forward.js";
import { logProbabilities } from "../../src/moreish/lab/page/model.js";
import { drawNumber, pick, weights } from "../../src/moreish/lab/page/sampler.js";

test("the error function has its known values", () => {
  const known = [
    [0.1, 0.1124629160182849],
    [1, 0.8427007929497149],
    [2.4, 0.9993114861033549],
    [2.6, 0.999763965583471],
    [4, 0.9999999845827421],
  ];
  for (const [x, y] of known) {
    assert.ok(Math.abs(erf(x) - y) < 1e-14, `${x}`);
    assert.equal(erf(-x), -erf(x));
  }
});

test("a product is that of a row and a matrix in row-major order", () => {
  const y = affine([1, 2], Float32Array.of(3, 4, 5, 6, 7, 8), Float32Array.of(0.5, 0, -0.5));
  assert.deepEqual([...y], [15.5, 18, 20.5]);
});

test("log-probabilities sum to one, whatever their size", () => {
  const logs = logProbabilities([1000, 1001, 999]);
  assert.ok(Math.abs(logs.reduce((sum, each) => sum + Math.exp(each), 0) - 1) < 1e-12);
});

test("top-k and top-p keep the largest, and a temperature of 0 one of them", () => {
  const logits = [Math.log(0.5), Math.log(0.3), Math.log(0.2)];
  const shares = (/** @type {any} */ options, mayEnd = true) => {
    const found = weights(logits, options, mayEnd);
    const total = found.reduce((sum, each) => sum + each, 0);
    return [...found].map((each) => Number((each / total).toFixed(6)));
  };
  assert.deepEqual(shares({}), [0.5, 0.3, 0.2]);
  assert.deepEqual(shares({ top_k: 2 }), [0.625, 0.375, 0]);
  assert.deepEqual(shares({ top_p: 0.6 }), [0.625, 0.375, 0]);
  assert.deepEqual(shares({ top_p: 0.4 }), [1, 0, 0]);
  assert.deepEqual(shares({ temperature: 0 }), [1, 0, 0]);
  assert.deepEqual(shares({}, false), [0, 0.6, 0.4]);
  assert.equal(shares({ temperature: 0.5 })[0], Number((0.25 / 0.38).toFixed(6)));
});

test("a token is picked where the cumulated weight passes the number", () => {
  const weight = Float64Array.of(0, 1, 0, 3);
  assert.deepEqual(
    [0, 0.24, 0.25, 0.9999999].map((u) => pick(weight, u)),
    [1, 1, 3, 3],
  );
});

test("numbers are a function of seed, word and place, evenly spread over [0, 1)", () => {
  assert.equal(drawNumber(42, 3, 5), drawNumber(42, 3, 5));
  const numbers = Array.from({ length: 4000 }, (_, i) => drawNumber(7, i >> 2, i & 3));
  const mean = numbers.reduce((sum, each) => sum + each, 0) / numbers.length;
  assert.ok(Math.abs(mean - 0.5) < 0.02);
  assert.ok(numbers.every((each) => each >= 0 && each < 1));
  assert.equal(new Set(numbers).size, numbers.length);
});
