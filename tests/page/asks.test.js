import assert from "node:assert/strict";
import test from "node:test";
import { sentence } from "../../src/moreish/lab/page/along.js";
import { triangle } from "../../src/moreish/lab/page/attention.js";
import { layout } from "../../src/moreish/lab/page/cells.js";
import { hasGradient, paragraphs } from "../../src/moreish/lab/page/code.js";
import { contrast, mix, oklab, readable, shade } from "../../src/moreish/lab/page/colours.js";
import { agreement, aligned } from "../../src/moreish/lab/page/digits.js";
import { entryOf, rowsOf } from "../../src/moreish/lab/page/gradient.js";
import { barsOf, percent } from "../../src/moreish/lab/page/next.js";
import { compared } from "../../src/moreish/lab/page/score.js";
import { valueOf } from "../../src/moreish/lab/page/steer.js";

const LIGHT = { page: "#fff", accent: "#0072b2", second: "#d55e00" };
const DARK = { page: "#16181b", accent: "#56b4e9", second: "#e69f00" };

test("text on a shade can be read, in light and in dark", () => {
  for (const colours of [LIGHT, DARK])
    for (let value = -1; value <= 1; value += 0.05) {
      const background = shade(value, colours);
      assert.ok(contrast(background, readable(background)) >= 4.5, background);
    }
});

test("contrast is that of the guidelines", () => {
  assert.equal(contrast("#000", "#fff"), 21);
  assert.equal(contrast("#777", "#777777"), 1);
  assert.ok(Math.abs(contrast("#767676", "#fff") - 4.54) < 0.005);
});

test("a mixture begins and ends with its colours, and its steps look alike", () => {
  const [from, to] = ["#ffffff", "#0072b2"];
  assert.equal(mix(from, to, 0), from);
  assert.equal(mix(from, to, 1), to);
  assert.equal(mix(from, to, 7), to);
  const apart = (a, b) => Math.hypot(...oklab(a).map((x, i) => x - oklab(b)[i]));
  const steps = [0, 1, 2, 3, 4].map((i) => apart(mix(from, to, i / 5), mix(from, to, (i + 1) / 5)));
  assert.ok(Math.max(...steps) < 1.05 * Math.min(...steps));
});

test("negative numbers have the second colour", () => {
  assert.equal(shade(-1, LIGHT), LIGHT.second);
  assert.equal(shade(1, DARK), DARK.accent);
  assert.equal(shade(0, LIGHT), "#ffffff");
});

test("digits agree as far as numbers do", () => {
  assert.equal(agreement(1.234567, 1.234567), 11);
  assert.equal(agreement(1.2346, 1.2345), 4);
  assert.equal(agreement(1.9999999, 2), 7);
  assert.equal(agreement(-1, 1), 0);
  assert.equal(agreement(0, 0), 11);
  assert.equal(agreement(1e-9, 0), 0);
});

test("numbers beside each other are cut where they part", () => {
  const { power, parts } = aligned([-0.022175112399, -0.02217511462, 0.5], -0.022175112399);
  assert.equal(power, 0);
  assert.deepEqual(parts[0], ["\u22120.022175112399", ""]);
  assert.equal(parts[1].join(""), "\u22120.022175114620");
  assert.equal(parts[1][0], "\u22120.02217511");
  assert.equal(parts[2][0], "");
});

test("small numbers are multiples of one power of ten, and zero is zero", () => {
  const { power, parts } = aligned([4.25e-7, 4.26e-7], 4.25e-7);
  assert.equal(power, -7);
  assert.deepEqual(parts[0], ["4.2500000000", ""]);
  assert.deepEqual(parts[1], ["4.2", "600000000"]);
  assert.deepEqual(aligned([0, 0], 0), { power: 0, parts: Array(2).fill(["0.0000000000", ""]) });
});

test("a row of the comparison has a number, or says why there is none", () => {
  const rows = rowsOf({ hand: { float64: 1, float32: 2 }, autograd: null, difference: 3, torch: false });
  assert.deepEqual(
    rows.map(([, value]) => value),
    [1, 2, null, 3],
  );
  assert.match(rows[2][2], /needs PyTorch/);
  assert.equal(entryOf({ parameter: "2.linear.W", shape: [3, 4], row: 1, column: 2 }), "2.linear.W[1, 2]");
  assert.equal(entryOf({ parameter: "2.linear.b", shape: [4], row: 0, column: 2 }), "2.linear.b[2]");
});

test("prose of a docstring is joined, and its formulas stay as they are", () => {
  const found = paragraphs("Linear: an affine map\nof each row.\n\n    y = x W + b\n      and more\n\nThe end.\n");
  assert.deepEqual(found, [
    { text: "Linear: an affine map of each row.", block: false },
    { text: "y = x W + b\n  and more", block: true },
    { text: "The end.", block: false },
  ]);
  assert.ok(hasGradient("    dot(x.T, dy, dW)", "W"));
  assert.ok(!hasGradient("    dot(x.T, dWx, W)", "W"));
});

test("probabilities are percentages", () => {
  assert.equal(percent(0.345), "35%");
  assert.equal(percent(0.0994), "9.9%");
  assert.equal(percent(0.0996), "10%");
  assert.equal(percent(0.0001), "under 0.1%");
  assert.equal(percent(0), "0.0%");
});

test("what top-p cuts off is pale, and the others are one bar that is no button", () => {
  const bars = [
    { char: "a", p: 0.6, drawn: 1 },
    { char: "", p: 0.3, drawn: 0 },
  ];
  const found = barsOf({ bars, rest: { n: 3, p: 0.1, drawn: 0 } });
  assert.deepEqual(
    found.map(({ label }) => label),
    ["a", "end", "3 others"],
  );
  assert.deepEqual(
    found.map(({ pale }) => pale),
    [false, true, true],
  );
  assert.deepEqual(
    found.map(({ key }) => key),
    ["a", "", undefined],
  );
});

test("a percentile is said in words", () => {
  assert.equal(compared(17.2), "less likely than 83% of the val words of similar length");
  assert.equal(compared(99.5), "less likely than under 1% of the val words of similar length");
  assert.equal(compared(100), "no val word of similar length is more likely");
  assert.equal(compared(0), "less likely than 100% of the val words of similar length");
  assert.equal(compared(null), "");
});

test("a field is a value of its kind, or nothing", () => {
  assert.equal(valueOf({ kind: "whole" }, "12"), 12);
  assert.equal(valueOf({ kind: "whole" }, "1.5"), "1.5");
  assert.equal(valueOf({ kind: "text" }, " "), undefined);
  assert.equal(valueOf({ kind: "text" }, "m*"), "m*");
  assert.deepEqual(valueOf({ kind: "texts" }, "ann:2  x"), ["ann:2", "x"]);
});

test("a position looks at itself and those before it", () => {
  assert.deepEqual(
    triangle([
      [1, 0],
      [0.4, 0.6],
    ]),
    [
      [1, null],
      [0.4, 0.6],
    ],
  );
  assert.match(sentence({ model: "an mlp", sees: 6 }), /an mlp sees the last 6 characters, and nothing else/);
  assert.match(sentence({ model: "a bigram", sees: 1 }), /the last character,/);
});

test("the cells of a map fit the width", () => {
  const measure = (text) => 7 * text.length;
  for (const [n, m] of [
    [64, 64],
    [7, 256],
    [41, 41],
    [1, 3],
  ]) {
    const values = Array.from({ length: n }, () => Array(m).fill(0));
    const place = layout({ rows: Array(n).fill("m"), columns: [], values }, 328, measure);
    assert.ok(place.width <= 328);
    assert.ok(place.across > 0 && place.down > 0);
  }
});
