import assert from "node:assert/strict";
import { test } from "node:test";
import { times, widths } from "../../src/moreish/lab/page/architecture.js";
import { about } from "../../src/moreish/lab/page/embedding.js";
import { moved, strength } from "../../src/moreish/lab/page/heat.js";
import { decimal, noProblem, outline, scientific } from "../../src/moreish/lab/page/layers.js";
import { cellText, marked, parseCell, percent } from "../../src/moreish/lab/page/pairs.js";
import { neighbours, outlines, square } from "../../src/moreish/lab/page/scatter.js";
import { counted } from "../../src/moreish/lab/page/words.js";

test("arrow keys stay within a table; Home and End lead to the ends of a row", () => {
  const at = (...keys) => keys.reduce((place, key) => moved(place, key, 4, 7), [1, 2]);
  assert.deepEqual(at("ArrowRight", "ArrowDown"), [2, 3]);
  assert.deepEqual(at("ArrowUp", "ArrowUp", "ArrowLeft"), [0, 1]);
  assert.deepEqual(at("End"), [1, 6]);
  assert.deepEqual(at("End", "ArrowRight", "PageDown", "ArrowDown"), [3, 6]);
  assert.deepEqual(at("Home", "ArrowLeft", "PageUp"), [0, 0]);
  assert.equal(moved([1, 2], "a", 4, 7), null);
});

test("the strength of a colour is the root of a share, at most 1", () => {
  assert.deepEqual([0, 0.04, -0.25, 1, 3].map(strength), [0, 0.2, 0.5, 1, 1]);
});

test("a pair is marked wherever it is in a word", () => {
  const shown = (word, before, after) =>
    marked(word, before, after)
      .map(({ text, marked: own }) => (own ? `[${text}]` : text))
      .join("");
  assert.equal(shown("banana", "a", "n"), "b[anan]a");
  assert.equal(shown("anna", "n", "n"), "a[nn]a");
  assert.equal(shown("anna", "", "a"), "[a]nna");
  assert.equal(shown("anna", "a", ""), "ann[a]");
  assert.equal(shown("a", "", "a"), "[a]");
  assert.equal(shown("x\u{1F600}yx\u{1F600}", "x", "\u{1F600}"), "[x\u{1F600}]y[x\u{1F600}]");
  assert.equal(shown("bob", "a", "n"), "bob");
});

test("every cell of a table returns from its text", () => {
  const characters = ["", "a", "s", "\u{1F600}", " "];
  for (const [i, before] of characters.entries())
    for (const [j, after] of characters.entries())
      assert.deepEqual(parseCell(cellText(before, after), characters), [i, j]);
  assert.deepEqual(parseCell("start a", ["", "a", "b"]), [0, 1]);
  for (const text of ["", "a", "a c", "a b c"]) assert.equal(parseCell(text, ["", "a", "b"]), null);
});

test("percentages have a sign where it matters, and none if they are zero", () => {
  assert.deepEqual(
    [0.0812, 0, null, 1].map((share) => percent(share)),
    ["8.1%", "0.0%", "none", "100.0%"],
  );
  assert.deepEqual(
    [0.002, -0.104, -0.0001].map((share) => percent(share, true)),
    ["+0.2%", "\u221210.4%", "0.0%"],
  );
});

test("the square of a map holds all points, and stays while they move a little", () => {
  const points = [
    [0, 0],
    [4, 1],
    [1, 3],
  ];
  const first = square(points, null);
  for (const [x, y] of points) assert.ok(Math.abs(x - first.x) <= first.half && Math.abs(y - first.y) <= first.half);
  const near = points.map(([x, y]) => [x + 0.1, y - 0.1]);
  assert.equal(square(near, first), first);
  const far = points.map(([x, y]) => [10 * x, y]);
  const wider = square(far, first);
  assert.ok(Math.abs(40 - wider.x) <= wider.half && Math.abs(wider.x) <= wider.half);
  assert.ok(square(points, wider).half < wider.half / 5);
  assert.ok(square([[2, 2]], null).half > 0);
});

test("neighbours are in the order of their distance", () => {
  const points = [
    [0, 0],
    [3, 4],
    [-1, 0],
    [0, 2],
  ];
  assert.deepEqual(neighbours(points, 0, 2), [2, 3]);
  assert.deepEqual(neighbours(points, 1, 9), [3, 0, 2]);
});

test("each kind has an outline of its own", () => assert.equal(new Set(outlines(5)).size, 4));

test("the highest bin of a histogram has all the height", () => {
  assert.equal(outline([0.25, 0.5, 0], 3, 20), "M0 20V10.0H3V0.0H6V20.0H9V20z");
  assert.equal(outline([], 3, 20), "");
  assert.equal(outline([0, 0], 3, 20), "");
});

test("numbers of layers are short", () => {
  assert.deepEqual([1.23456, -0.5, null].map(decimal), ["1.235", "\u22120.500", "none"]);
  assert.deepEqual([0.00034, 12, 0, 1, undefined].map(scientific), [
    "3 \u00b7 10\u207b\u2074",
    "1 \u00b7 10\u00b9",
    "0",
    "1 \u00b7 10\u2070",
    "none",
  ]);
  assert.equal(times([6, 1024]), "6 \u00d7 1,024");
});

test("wider outputs have wider boxes", () => {
  const [embedding, same, small] = widths([[6, 24], [144], [27]]);
  assert.equal(embedding, same);
  assert.equal(embedding, 100);
  assert.ok(small < embedding && small > 40);
});

test("what is said of words, maps and problems follows what there is", () => {
  assert.equal(counted(["new", "train", "new"]), "2 of 3 are new: no part of the list has them.");
  assert.match(about(24, 0.314), /24 numbers each.*31%/);
  assert.doesNotMatch(about(2, 1), /%/);
  assert.equal(new Set([noProblem(true, true), noProblem(false, true), noProblem(false, false)]).size, 3);
});
