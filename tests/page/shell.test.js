import assert from "node:assert/strict";
import { test } from "node:test";
import { path, scale, short, ticks } from "../../src/moreish/lab/page/chart.js";
import { visible } from "../../src/moreish/lab/page/dom.js";
import { nearest } from "../../src/moreish/lab/page/lines.js";
import { formatState, parseState } from "../../src/moreish/lab/page/state.js";

test("a state returns from its fragment, whatever its characters", () => {
  const values = new Map([
    ["list", "dinosaurs & co"],
    ["lr", "0.01"],
    ["next.prefix", "é#=+ %"],
    ["empty", ""],
  ]);
  assert.deepEqual(parseState(formatState(values)), values);
  assert.equal(formatState(parseState("#list=names&model=gru")), "#list=names&model=gru");
  assert.equal(formatState(new Map()), "");
});

test("characters that cannot be seen have names or codes", () => {
  const shown = ["", " ", "\t", "\u200b", "\u00a0", "\u0301", "a", "\n"].map(visible);
  assert.deepEqual(shown, ["end", "space", "tab", "U+200B", "U+00A0", "\u25cc\u0301", "a", "U+000A"]);
});

test("ticks are round, lie in the range, and are about as many as wanted", () => {
  assert.deepEqual(ticks(0, 10, 5), [0, 2, 4, 6, 8, 10]);
  assert.deepEqual(ticks(2.13, 3.31, 5), [2.2, 2.4, 2.6, 2.8, 3, 3.2]);
  assert.deepEqual(ticks(1, 1000, 5, true), [1, 10, 100, 1000]);
  assert.deepEqual(ticks(3, 3), [3]);
  for (const [low, high] of [
    [0, 1e-7],
    [-3.7, 12.9],
    [1e6, 1.7e6],
  ])
    for (const log of [false, low > 0])
      for (const value of ticks(low, high, 5, log)) assert.ok(value >= low - 1e-9 && value <= high * (1 + 1e-9));
});

test("a scale places the ends of its domain, and inverts itself", () => {
  for (const log of [false, true]) {
    const x = scale([0.5, 80], [300, 20], log);
    assert.ok(Math.abs(x(0.5) - 300) < 1e-9 && Math.abs(x(80) - 20) < 1e-9);
    for (const value of [0.7, 3.3, 42]) assert.ok(Math.abs(x.invert(x(value)) / value - 1) < 1e-9);
  }
  assert.ok(Math.abs(scale([0.01, 100], [0, 4], true)(1) - 2) < 1e-9);
});

test("a path breaks where a value is not finite", () => {
  const same = scale([0, 1], [0, 1]);
  const points = [
    [0, 0],
    [1, 1],
    [2, NaN],
    [3, 3],
    [4, 4],
  ];
  assert.equal(path(points, same, same), "M0.0 0.0L1.0 1.0M3.0 3.0L4.0 4.0");
});

test("numbers are short", () => {
  assert.deepEqual(
    [0, 0.001, 12000, 2.34567, 1e-7].map((value) => short(value)),
    ["0", "0.001", "12,000", "2.346", "1e-7"],
  );
});

test("the nearest point is that of a search through all", () => {
  const points = [0, 1, 4, 9, 16, 25].map((at) => [at, -at]);
  for (let place = -2; place < 30; place += 0.37) {
    const best = Math.min(...points.map(([at]) => Math.abs(at - place)));
    assert.equal(Math.abs(nearest(points, place)[0] - place), best);
  }
  assert.equal(nearest([], 3), undefined);
});
