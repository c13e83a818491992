import assert from "node:assert/strict";
import { test } from "node:test";
import { nearestStop, stops } from "../../src/moreish/lab/page/field.js";
import { columnsOf, facts } from "../../src/moreish/lab/page/lists.js";
import {
  controlsOf,
  dashed,
  named,
  parseOption,
  same,
  withModel,
  withOption,
} from "../../src/moreish/lab/page/settings.js";
import { parseState } from "../../src/moreish/lab/page/state.js";
import { describe } from "../../src/moreish/lab/page/transport.js";

const control = (name, kind, more = {}) => ({ name, kind, choices: [], slider: null, first: true, ...more });
const init = control("init", "choice", { choices: ["kaiming", "naive"] });
const hidden = control("n_hidden", "whole");
const CONTROLS = {
  models: {
    mlp: { summary: "", net: true, options: [init, hidden, control("batch_norm", "boolean")] },
    rnn: { summary: "", net: true, options: [init, hidden, control("dropout", "number")] },
    ngram: { summary: "", net: false, options: [control("order", "whole")] },
  },
  training: ["lr", "batch_size", "full_batch", "epochs", "steps", "seed", "split"].map((name) =>
    control(name, "number"),
  ),
};
const SETTINGS = { list: "names", model: "mlp", options: { lr: 0.1 } };
const state = (fragment) => parseState(fragment);
const of = (fragment) => {
  const values = state(fragment);
  return named(
    { get: (name, otherwise = "") => values.get(name) ?? otherwise, has: (name) => values.has(name) },
    CONTROLS,
    SETTINGS,
  );
};

test("an address names a list, a model and its options, on top of the server's", () => {
  assert.deepEqual(of("#list=dinosaurs&model=rnn&n-hidden=64&dropout=0.1"), {
    list: "dinosaurs",
    model: "rnn",
    options: { n_hidden: 64, dropout: 0.1 },
  });
  assert.deepEqual(of("#lr=0.5"), { list: "names", model: "mlp", options: { lr: 0.5 } });
  assert.deepEqual(of("#batch-norm=true&init=naive").options, { batch_norm: true, init: "naive" });
});

test("an address without settings names none, and options of other models do not count", () => {
  assert.equal(of(""), null);
  assert.equal(of("#next.prefix=ma&pace=10"), null);
  assert.equal(of("#dropout=0.5"), null);
});

test("a text that is no value is left to the server", () => {
  assert.equal(parseOption(hidden, "many"), "many");
  assert.equal(parseOption(hidden, ""), "");
  assert.equal(parseOption(hidden, " 1_000 "), 1000);
  assert.equal(parseOption(control("lr", "number"), "1e-3"), 0.001);
  assert.equal(parseOption(control("batch_norm", "boolean"), "yes"), "yes");
  assert.equal(parseOption(control("batch_norm", "boolean"), "false"), false);
});

test("settings are the same if list, model and all options are", () => {
  assert.ok(same(SETTINGS, { ...SETTINGS, options: { lr: 0.1 } }));
  for (const other of [{ list: "places" }, { model: "rnn" }, { options: {} }, { options: { lr: 0.1, seed: 1 } }])
    assert.ok(!same(SETTINGS, { ...SETTINGS, ...other }));
});

test("another model keeps the options that it has too", () => {
  const wanted = { list: "names", model: "mlp", options: { n_hidden: 64, batch_norm: true, lr: 0.1, seed: 3 } };
  assert.deepEqual(withModel(wanted, CONTROLS, "rnn").options, { n_hidden: 64, lr: 0.1, seed: 3 });
  assert.deepEqual(withModel(wanted, CONTROLS, "ngram").options, { seed: 3 });
});

test("an option drops what it excludes, and null drops the option", () => {
  const wanted = { ...SETTINGS, options: { epochs: 2, batch_size: 32, lr: 1 } };
  assert.deepEqual(withOption(wanted, "steps", 9).options, { batch_size: 32, lr: 1, steps: 9 });
  assert.deepEqual(withOption(wanted, "full_batch", true).options, { epochs: 2, lr: 1, full_batch: true });
  assert.deepEqual(withOption(wanted, "full_batch", false).options, { ...wanted.options, full_batch: false });
  assert.deepEqual(withOption(wanted, "lr", null).options, { epochs: 2, batch_size: 32 });
  assert.deepEqual(wanted.options, { epochs: 2, batch_size: 32, lr: 1 });
});

test("a counted model has the options of the split, and not those of steps", () => {
  assert.deepEqual(
    controlsOf(CONTROLS, "ngram").training.map(({ name }) => name),
    ["seed", "split"],
  );
  assert.equal(controlsOf(CONTROLS, "mlp").training.length, CONTROLS.training.length);
  assert.equal(dashed("label_smoothing"), "label-smoothing");
});

test("stops of a slider rise from its low end to its high end", () => {
  const sliders = [
    ["number", [1e-4, 10, true]],
    ["number", [0.25, 256, true]],
    ["number", [0, 0.99, false]],
    ["number", [0, 5, false]],
    ["whole", [4, 1024, true]],
    ["whole", [1, 4096, true]],
    ["whole", [1, 16, false]],
  ];
  for (const [kind, slider] of sliders) {
    const all = stops({ kind, slider });
    assert.equal(all[0], slider[0]);
    assert.equal(all.at(-1), slider[1]);
    assert.ok(all.length >= 10 && all.length <= 205);
    all.forEach((value, i) => assert.ok(i === 0 || value > all[i - 1]));
    if (kind === "whole") assert.ok(all.every(Number.isInteger));
    all.forEach((value, i) => assert.equal(nearestStop(all, value), i));
  }
  assert.deepEqual(stops({ kind: "whole", slider: [1, 5, false] }), [1, 2, 3, 4, 5]);
  for (const power of [4, 8, 16, 64, 256, 1024])
    assert.ok(stops({ kind: "whole", slider: [4, 1024, true] }).includes(power));
  for (const round of [0.001, 0.01, 0.1, 0.5, 1])
    assert.ok(stops({ kind: "number", slider: [1e-4, 10, true] }).includes(round));
  assert.deepEqual(stops({ kind: "number", slider: null }), []);
});

test("the nearest stop is that of a search through all", () => {
  const all = [1, 2, 4, 8, 16];
  for (let value = -1; value < 20; value += 0.3) {
    const least = Math.min(...all.map((stop) => Math.abs(stop - value)));
    assert.equal(Math.abs(all[nearestStop(all, value)] - value), least);
  }
});

test("the error of a table proposes its columns", () => {
  const message =
    "x.csv: a table: columns 1 (name), 2 (n); read it with: moreish train x.csv --column name --weights 'how many' (or --format text)";
  assert.deepEqual(columnsOf(message), { column: "name", weights: "how many" });
  assert.equal(columnsOf("x.csv: no words in it"), null);
});

test("a list is described in the words of the command line", () => {
  const found = {
    words: 1200,
    distinct: 1199,
    repeats: 1,
    alphabet: "abc",
    length: { min: 2, max: 9, mean: 4.25 },
    labels: {},
    weights: null,
  };
  assert.deepEqual(facts(found), [
    "1,200 words, 1,199 distinct (1 repeat)",
    "3 characters: abc",
    "length 2 to 9, mean 4.3",
  ]);
  assert.equal(facts({ ...found, repeats: 0, weights: 5, labels: { a: 1, b: 2 } }).at(-1), "labels: a, b");
});

test("the line of state says where a training stands", () => {
  const status = {
    training: 1,
    step: 1200,
    steps: 5930,
    playing: true,
    ended: false,
    pace: 0,
    train: 2.5,
    val: 2.75,
    lr: 0.012,
    seconds: 3.21,
    rate: 812.3,
    losses: null,
    waiting: "",
  };
  assert.equal(
    describe(status),
    "step 1,200 of 5,930 · train 2.5000 · val 2.7500 · lr 0.012 · 3.2 s · 812 steps a second",
  );
  assert.ok(describe({ ...status, pace: 200 }).endsWith("200 steps a second"));
  const ended = { ...status, playing: false, losses: { train: 2, val: 2.25, test: 2.5 } };
  assert.equal(describe(ended), "step 1,200 of 5,930 · loss: train 2.0000, val 2.2500, test 2.5000 · 3.2 s");
  assert.match(describe({ ...status, training: 0, waiting: "compiling" }), /^compiling$/);
});
