import assert from "node:assert/strict";
import { test } from "node:test";
import { Curves, difference, range, roundUp, smooth, thin } from "../../src/moreish/lab/page/curves.js";
import { alternative } from "../../src/moreish/lab/page/losses.js";

const SETTINGS = { list: "names", model: "mlp", run: "", options: {}, resolved: { lr: 0.012, n_hidden: 256 } };

test("a thinned line keeps the mean, the end and the order of its points", () => {
  const points = Array.from({ length: 1000 }, (_, i) => [i, Math.sin(i) + i / 100]);
  const thinned = thin(points, 250);
  assert.equal(thinned.length, 250);
  assert.equal(thinned.at(-1)[0], 999);
  const mean = (some) => some.reduce((sum, [, y]) => sum + y, 0) / some.length;
  assert.ok(Math.abs(mean(thinned) - mean(points)) < 1e-9);
  assert.equal(thin(points, 1000), points);
});

test("a smoothed line is the mean of neighbours on both sides, and keeps a straight line", () => {
  const values = [3, 1, 4, 1, 5, 9, 2, 6];
  const points = values.map((y, x) => [x, y]);
  smooth(points, 2).forEach(([x, y], i) => {
    const n = Math.min(2, i, values.length - 1 - i);
    const some = values.slice(i - n, i + n + 1);
    assert.equal(x, i);
    assert.ok(Math.abs(y - some.reduce((a, b) => a + b) / some.length) < 1e-9);
  });
  assert.deepEqual(smooth(points, 0), points);
  smooth(
    values.map((_, x) => [x, 7 - 0.5 * x]),
    3,
  ).forEach(([x, y]) => assert.ok(Math.abs(y - 7 + 0.5 * x) < 1e-9));
});

test("a few high losses do not flatten the others", () => {
  const usual = Array.from({ length: 100 }, (_, i) => 2.2 + 1.1 * Math.exp(-i / 10));
  const [low, high] = range([usual]);
  assert.ok(low <= 2.2 && high >= 3.3 && high < 4);
  assert.ok(range([[27, 15, 8, ...usual]])[1] < 5);
  assert.ok(range([[50, 60, 70, 80]])[1] >= 80);
  assert.deepEqual(range([]), [0, 1]);
  assert.ok(range([usual, [2, 2.5, 4, 9]])[1] >= 9, "a line that ends high stays in the picture");
  const [a, b] = range([[2, 2, NaN]]);
  assert.ok(a < 2 && b > 2);
});

test("numbers are rounded up to round ones", () => {
  assert.deepEqual([593, 10, 101, 7.1, 0.013].map(roundUp), [600, 10, 120, 8, 0.015]);
});

test("the difference names what earlier settings had otherwise", () => {
  const now = { ...SETTINGS, options: { lr: 0.1 }, resolved: { ...SETTINGS.resolved, lr: 0.1 } };
  assert.equal(difference(SETTINGS, now), "lr 0.012");
  assert.equal(difference(now, SETTINGS), "lr 0.1");
  assert.equal(difference(now, now), "same settings");
  assert.equal(difference({ ...now, model: "gru", list: "places" }, SETTINGS), "places, gru, lr 0.1");
  assert.equal(difference(SETTINGS, { ...SETTINGS, model: "gru", options: { n_hidden: 8 } }), "mlp");
});

const FIRST = [0, 0, null, 3.3];
const begin = (curves, training, lr, points = [FIRST, [1, 0.1, 3.2, null]]) => {
  const resolved = { ...SETTINGS.resolved, lr };
  curves.extend({ training, start: 0, points }, { ...SETTINGS, options: { lr }, resolved });
};
const kept = (curves) => curves.before.map(({ training }) => training);

test("points extend the curve of their training", () => {
  const curves = new Curves();
  begin(curves, 2, 0.1);
  curves.extend({ training: 2, start: 2, points: [[2, 0.2, 3.1, 3]] }, SETTINGS);
  const [train, val] = [curves.now.pairs("train", "step"), curves.now.pairs("val", "seconds")];
  assert.deepEqual(train.flat(), [1, 3.2, 2, 3.1]);
  assert.deepEqual(val.flat(), [0, 3.3, 0.2, 3]);
  begin(curves, 2, 0.1); // all points again, as after a reconnection
  assert.equal(curves.now.points.length, 2);
  assert.deepEqual(kept(curves), []);
});

test("the last trainings that made a step are kept, one for the same settings", () => {
  const curves = new Curves();
  begin(curves, 1, 0.1, [FIRST]);
  begin(curves, 2, 0.1);
  assert.deepEqual(kept(curves), []);
  begin(curves, 3, 0.2);
  begin(curves, 4, 0.1);
  assert.deepEqual(kept(curves), [3, 2]);
  begin(curves, 5, 0.3);
  assert.deepEqual(kept(curves), [4, 3]);
  begin(curves, 6, 0.4);
  begin(curves, 7, 0.5);
  assert.deepEqual(kept(curves), [6, 5, 4]);
});

test("the chart of losses has a text alternative", () => {
  const series = [
    {
      name: "lr 0.1",
      kind: "ghost-1",
      points: [
        [0, 3],
        [9, 2.5],
      ],
    },
    { name: "", kind: "raw", points: [[0, 1]] },
    {
      name: "val",
      kind: "val",
      points: [
        [0, 3],
        [9, 2.25],
      ],
    },
  ];
  const text = alternative(series, [{ label: "n-gram, val 2.335" }]);
  assert.equal(text, "Losses: val 2.250; earlier val, lr 0.1 2.500; n-gram, val 2.335. The arrow keys read values.");
});
