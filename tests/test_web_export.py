"""Models in the browser: their logits and draws are those of Python, in Node and in Chromium."""

import json
import os
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from browser import BROWSER, needs_browser
from conftest import made_up_words
from playwright.sync_api import sync_playwright

import moreish
from moreish.cli import run as command
from moreish.corpus import WordList
from moreish.engine.states import state_after
from moreish.export import arpa
from moreish.export.arrays import as_quantised, quantised
from moreish.export.web import cost_of_rounding, js
from moreish.models.gate import Features, Gate
from moreish.models.mixture import BY_CONTEXT, Mixture, MixtureReader
from moreish.models.model import Model
from moreish.training.arpa import from_arpa

NODE = shutil.which("node")
needs_node = pytest.mark.skipif(
    NODE is None and not os.environ.get("MOREISH_NEEDS_BROWSER"), reason="there is no Node on this machine"
)
STEPS: dict[str, Any] = {"steps": 20, "batch_size": 16}
KINDS: dict[str, dict[str, Any]] = {
    "mlp": {"n_layer": 2, "n_hidden": 16, "block_size": 3},
    "mlp relu": {"activation": "relu", "batch_norm": True, "n_hidden": 16, "block_size": 3},
    "bigram": {},
    "wavenet": {"block_size": 4, "n_hidden": 8},
    "wavenet-conv": {"block_size": 4, "n_hidden": 8},
    "bow": {"n_embd": 8, "n_hidden": 8, "n_positions": 4},
    "rnn": {"n_hidden": 8, "learn_start": True},
    "gru": {"n_hidden": 8, "n_layer": 2, "dropout": 0.2},
    "gru before": {"n_hidden": 8, "reset": "before"},
    "lstm": {"n_hidden": 8, "n_layer": 2, "learn_start": True},
    "transformer": {"n_embd": 8, "n_head": 2, "n_layer": 2, "n_positions": 4, "dropout": 0.1},
    "ngram": {},
    "arpa": {},
    "linear": {},
    "linear arpa": {},
    "log-linear": {},
    "linear by context": {},
    "log-linear by context": {},
}
SCRIPT = """
import fs from "node:fs";
const { default: words } = await import(process.argv[2]);
const asked = JSON.parse(fs.readFileSync(0, "utf8"));
const [reader] = words.readers;
const state = (text) =>
  [...text].reduce((before, character) => reader.after(before, words.tokens.get(character)), reader.begin());
console.log(JSON.stringify({
  logits: asked.prefixes.map((text) => [...reader.logits(state(text))]),
  samples: asked.samples.map((options) => words.sample(options)),
  scores: asked.words.map((word) => words.score(word)),
  next: asked.prefixes.map((text) => words.next(text, { temperature: 0.7 })),
}));
"""


def run_of(kind: str) -> moreish.Run:
    """A small trained model with weights that no part of a formula leaves at zero."""
    words = WordList.of(made_up_words(300))
    words.name = "made up"
    if "linear" in kind:
        counted = run_of("arpa") if kind.endswith("arpa") else moreish.train(words, "ngram")
        parts = [moreish.train(words, "mlp", n_hidden=8, **STEPS), counted]
        mixed = moreish.mix(parts, kind=kind.split()[0])
        return with_gate(mixed) if kind.endswith("by context") else mixed
    if kind == "arpa":
        return of_file(words)
    name = kind.split()[0]
    run = moreish.train(words, name, **KINDS[kind], **({} if name == "ngram" else STEPS))
    if run.model.layers:
        generator = np.random.default_rng(3)
        run.model.params += 0.2 * generator.standard_normal(run.model.params.size).astype(np.float32)
        for name, array in run.model.weights.items():
            if name.endswith("running_var"):
                array[...] = np.abs(array) + 0.1
    return run


def of_file(words: WordList) -> moreish.Run:
    """A run of an ARPA file with back-offs that are too small for float32."""
    text = b"".join(arpa.data(moreish.train(words, "ngram", order=3, smoothing="additive", added=1e-9))).decode()
    text, n = re.subn(r"\t-(?:[6-9]|1\d)\.\d+$", "\t-60.5", text, flags=re.MULTILINE)
    assert n > 5
    with TemporaryDirectory() as folder:
        path = Path(folder) / "small.arpa"
        path.write_text(text)
        return from_arpa(path, words)


def with_gate(run: moreish.Run) -> moreish.Run:
    """A mixture with random weights by context."""
    mixed, generator = run.model.engine, np.random.default_rng(4)
    assert isinstance(mixed, MixtureReader)
    n = Features([part.reader for part in mixed.parts]).n
    gate = Gate(generator.normal(0, 0.2, (2, 1 + n)), generator.normal(size=n), generator.uniform(0.3, 2, n))
    config = run.model.config
    assert isinstance(config, Mixture)
    config = replace(config, kind=config.kind + BY_CONTEXT)
    return replace(run, model=Model(config, run.model.vocab, arrays=run.model.weights | gate.arrays))


def in_node(run: moreish.Run, folder, **asked):
    (folder / "model.mjs").write_bytes(js(run))
    (folder / "ask.mjs").write_text(SCRIPT)
    argv = [NODE or "node", str(folder / "ask.mjs"), str(folder / "model.mjs")]
    asked = {"prefixes": [], "samples": [], "words": []} | asked
    done = subprocess.run(argv, input=json.dumps(asked), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@needs_node
@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_words_are_those_of_python(kind, tmp_path):
    run = run_of(kind)
    model = run.model
    words = list(run.corpus.words)[:40] + ["bacadafegabacadafega"]
    prefixes = [word[:n] for word in words for n in range(len(word) + 1)]
    samples: list[dict[str, Any]] = [
        {"n": 50, "seed": 5},
        {"n": 50, "seed": 2**52 + 3, "temperature": 0.6, "top_p": 0.8},
        {"n": 20, "seed": 1, "top_k": 3, "prefix": "ba"},
        {"n": 3, "seed": 1, "temperature": 0},
    ]
    found = in_node(run, tmp_path, prefixes=prefixes, samples=samples, words=[*words, "xba"])
    for prefix, logits in zip(prefixes, found["logits"], strict=True):
        state = state_after(model.engine, model.params, model.vocab.encode(prefix))
        ours = model.engine.logits(model.params, state)[0]
        assert np.abs(ours - np.array(logits)).max() < 1e-5
    for options, drawn in zip(samples, found["samples"], strict=True):
        assert drawn == list(model.sample(**options))
    for word, score in zip([*words, "xba"], found["scores"], strict=True):
        ours = model.score(word)
        assert [each["nats"] for each in score["chars"]] == pytest.approx(ours.per_char, abs=1e-5)
        assert score["nats"] == pytest.approx(ours.nll, abs=1e-5)
    for prefix, each in zip(prefixes[:20], found["next"], strict=False):
        ours = model.next(prefix, temperature=0.7)
        assert {c["char"]: c["p"] for c in each} == pytest.approx(ours, abs=1e-5)


@needs_node
def test_a_pattern_is_met_and_an_impossible_one_refused(tmp_path):
    run = run_of("mlp")
    (drawn, classes) = in_node(
        run, tmp_path, samples=[{"n": 8, "pattern": "b*[ae]"}, {"n": 4, "pattern": "[bc]a??", "distinct": True}]
    )["samples"]
    assert all(word[0] == "b" and word[-1] in "ae" for word in drawn)
    assert all(word[0] in "bc" and word[1] == "a" and len(word) == 4 for word in classes)
    assert len(set(classes)) == 4
    with pytest.raises(AssertionError, match="does not know the character x"):
        in_node(run, tmp_path, samples=[{"prefix": "x"}])


@needs_node
def test_each_label_has_its_own_model(tmp_path):
    words = made_up_words(300)
    run = moreish.train(words, "mlp", labels=["long" if len(w) > 3 else "short" for w in words], n_hidden=8, **STEPS)
    samples: list[dict[str, Any]] = [{"n": 30, "seed": 3, "label": label} for label in ("long", "short")]
    found = in_node(run, tmp_path, samples=[*samples, {"n": 20}], words=["baca"], prefixes=["ba"])
    for options, drawn in zip(samples, found["samples"], strict=False):
        assert drawn == list(run.model.sample(**options))
    assert len(found["samples"][2]) == 20
    score = run.model.score("baca")
    assert [c["nats"] for c in found["scores"][0]["chars"]] == pytest.approx(score.per_char, abs=1e-5)
    assert {c["char"]: c["p"] for c in found["next"][0]} == pytest.approx(
        run.model.next("ba", temperature=0.7), abs=1e-5
    )


def test_rounding_to_8_bits_moves_no_weight_by_more_than_half_a_step():
    weights = np.random.default_rng(2).standard_normal((7, 13)).astype(np.float32)
    weights[3] = 0
    whole, scale = quantised(weights)
    assert np.abs(weights - whole * scale[:, None]).max() <= (0.5001 * scale).max()
    assert (np.abs(whole) <= 127).all()
    run = run_of("gru")
    exact, rounded = cost_of_rounding(run)
    assert exact == run.loss["val"]
    assert 0 < abs(rounded - exact) < 0.05
    assert as_quantised(run.model).score("baca").nll == pytest.approx(run.model.score("baca").nll, abs=0.05)


@needs_browser
@pytest.mark.parametrize("kind", ["gru", "ngram", "arpa"])
def test_the_page_works_alone(kind, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run = run_of(kind).save(tmp_path / "run")
    assert command(["export", "run", "--to", "html", "--out", "page.html"]) == 0
    text = (tmp_path / "page.html").read_text()
    assert "fetch" not in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")
    said, asked = [], []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=BROWSER, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 360, "height": 700}, color_scheme="dark")
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto((tmp_path / "page.html").as_uri())
        page.wait_for_selector("#panel-draw li")
        shown = page.locator("#panel-draw li").all_inner_texts()
        assert [word.strip() for word in shown] == list(run.model.sample(20, seed=42))
        assert page.evaluate("moreish.sample({n: 5, seed: 9})") == list(run.model.sample(5, seed=9))
        page.locator("#panel-score input").fill("bada")
        total = run.model.score("bada").nll * 5
        page.get_by_text(f"{total:.2f} nats in all").wait_for()
        page.locator("#panel-next .bars button").first.click()
        assert page.locator("#panel-next input[type=text]").input_value() in run.model.vocab.characters
        page.locator("#panel-draw input").nth(1).fill("zzz")
        page.get_by_text("does not know the character z").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith("data:")] == [(tmp_path / "page.html").as_uri()]
