"""Runs of recurrent nets: training to the same bytes, and every command on a run folder."""

import itertools
import json
import math
import re
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from conftest import made_up_words
from served import started

import moreish
from moreish.cli import run as command
from moreish.engine.tape import engine, shards
from moreish.plots.pictures import PICTURES
from moreish.training.checkpoint import CHECKPOINT
from moreish.training.fit import first_state
from moreish.training.folder import MODEL
from moreish.training.loop import Loop
from moreish.training.prepare import engine_of, prepare
from moreish.training.saving import begin_folder

SMALL: dict[str, Any] = {"n_hidden": 16, "n_embd": 4, "batch_size": 64, "steps": 60, "lr": 0.03, "schedule": "constant"}
ALL: dict[str, Any] = {
    **SMALL,
    "dropout": 0.1,
    "recurrent_dropout": 0.1,
    "average": 0.8,
    "grad_clip": 0.1,
    "label_smoothing": 0.1,
}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "rnn": ("rnn", {}),
    "gru": ("gru", {"n_layer": 2}),
    "gru, reset before": ("gru", {"reset": "before", "learn_start": True}),
    "lstm": ("lstm", {"learn_start": True}),
}
LABELS_AND_WEIGHTS = "labels and weights"


def given(words: list[str], what: str) -> tuple[list[str], dict[str, Any]]:
    """Words, and the options of a way to train on them."""
    if what == "full batch":
        return words, {"full_batch": True, "batch_size": None}
    if what == LABELS_AND_WEIGHTS:
        distinct = list(dict.fromkeys(words))
        weights = np.random.default_rng(1).uniform(0.5, 9, len(distinct))
        return distinct, {"labels": ["ab"[word < "d"] for word in distinct], "weights": weights}
    return words, {}


def flags(options: dict[str, Any]) -> list[str]:
    return [text for name, value in options.items() for text in (f"--{name.replace('_', '-')}", str(value))]


@pytest.fixture(scope="module")
def words_file(words, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("list") / "words.txt"
    path.write_text("\n".join(words), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def folder(words_file) -> Path:
    """The run of a gru with two layers, made by the command. Tests must not change it."""
    path = words_file.parent / "gru"
    options = flags({**ALL, "model": "gru", "n_layer": 2, "steps": 200})
    assert command(["train", str(words_file), *options, "--out", str(path)]) == 0
    return path


@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize("what", ["drawn", "full batch", LABELS_AND_WEIGHTS])
@pytest.mark.parametrize("name", KINDS)
def test_no_number_of_threads_changes_a_byte(name, what, words, tmp_path, made_by, monkeypatch):
    monkeypatch.setattr(shards, "MIN_RECURRENT_TOKENS", 40)
    monkeypatch.setattr(shards, "SHARD_FLOPS", 100.0)
    (model, of_kind), (listed, more), made = KINDS[name], given(words, what), made_by(engine)
    options, found = {**ALL, **of_kind, **more}, []
    for n in (1, 2, 3):
        moreish.set_threads(n)
        run = moreish.train(listed, model, **options, out=tmp_path / str(n))
        found.append((tmp_path / str(n) / MODEL).read_bytes())
        assert run.loss["train"] < math.log(len(run.corpus.vocab))
    assert found[0] == found[1] == found[2]
    assert set(made) == {1, 2, 3}


@pytest.mark.parametrize("what", ["drawn", "full batch", LABELS_AND_WEIGHTS])
@pytest.mark.parametrize("name", KINDS)
def test_a_stopped_run_is_resumed_to_the_same_bytes(name, what, words, tmp_path):
    """With dropout, an average of the weights and clipped gradients."""
    (model, of_kind), (listed, more) = KINDS[name], given(words, what)
    options = {**ALL, **of_kind, **more}
    whole = moreish.train(listed, model, **options, out=tmp_path / "whole")
    task = prepare(listed, model, options)
    stopped = task.start()
    state = first_state(stopped)
    for at in Loop(stopped, state, task.need_steps(), engine_of(stopped)):
        if at.step >= 15:
            break
    assert 0 < state.step < 60
    begin_folder(stopped, tmp_path / "stopped", CHECKPOINT, state.to_bytes())
    resumed = moreish.resume(tmp_path / "stopped")
    assert (tmp_path / "stopped" / MODEL).read_bytes() == (tmp_path / "whole" / MODEL).read_bytes()
    assert resumed.loss == whole.loss == moreish.load(tmp_path / "whole").loss
    assert resumed.model.sample(20, seed=3) == whole.model.sample(20, seed=3)


@pytest.mark.parametrize("name", ["dropout", "recurrent_dropout", "average", "grad_clip", "label_smoothing"])
def test_these_options_change_what_is_learnt(name, words):
    """So the runs above show something."""
    of_option = {name: ALL[name]}
    plain, other = (moreish.train(words, "gru", **SMALL, **options) for options in ({}, of_option))
    assert plain.loss["val"] != other.loss["val"]


def test_training_goes_on_from_a_run_with_more_characters(folder):
    others = made_up_words(80, seed=9, alphabet="aekmz")
    begun = moreish.train(others, from_run=folder, steps=30, batch_size=32)
    assert begun.model.config == moreish.load(folder).model.config
    assert {*"kmz", *"abcdefg"} == set(begun.model.vocab.characters)
    assert set("".join(begun.model.sample(200))) & set("kmz")


def answer(capsys, *arguments: object) -> Any:
    """Run a command with --json and return what it prints."""
    assert command([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def told(capsys, *arguments: object) -> str:
    """Run a command and return what it prints."""
    assert command([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_eval_score_and_novelty(folder, capsys):
    run = moreish.load(folder)
    assert answer(capsys, "eval", folder)["loss"] == pytest.approx(run.loss, rel=1e-6)
    scored = answer(capsys, "score", folder, "bada", "--false-positive-rate", 0.1)
    assert scored["nll"] == pytest.approx(run.model.score("bada").nll, abs=1e-4)
    ways = run.model.next("bad")
    assert scored["chars"][3] == pytest.approx(-math.log(ways["a"]), abs=1e-4)
    assert sum(ways.values()) == pytest.approx(1)
    assert answer(capsys, "novelty", folder, "-n", 100)


def test_sample_fill_and_vary_under_constraints(folder, capsys):
    drawn = answer(capsys, "sample", folder, "-n", 9, "--pattern", "b*d?", "--max-length", 6, "--without", "gg")[
        "samples"
    ]
    assert len(drawn) == 9
    assert all(re.fullmatch("b.*d.", at["word"]) and len(at["word"]) <= 6 for at in drawn)
    assert all("gg" not in at["word"] for at in drawn)
    filled = answer(capsys, "fill", folder, "b_d_", "-n", 4)
    model, letters = moreish.load(folder).model, "abcdefg"
    by_score = sorted((f"b{x}d{y}" for x, y in itertools.product(letters, letters)), key=lambda w: model.score(w).nll)
    assert [at["word"] for at in filled["likeliest"]] == by_score[:4]
    assert filled["proven"]
    near = answer(capsys, "vary", folder, "bada", "-n", 3)["likeliest"]
    assert len(near) == 3
    assert all(abs(len(at["word"]) - 4) <= 1 for at in near)
    plain = told(capsys, "sample", folder, "-n", 5, "--seed", 3).split()
    assert plain == model.sample(5, seed=3)


def test_mix_and_compare(folder, words_file, tmp_path, capsys):
    other = tmp_path / "ngram"
    told(capsys, "train", words_file, "--model", "ngram", "--order", 3, "--out", other)
    told(capsys, "mix", folder, other, "--out", tmp_path / "mixed")
    losses = {path: moreish.load(path).loss["val"] for path in (folder, other, tmp_path / "mixed")}
    assert losses[tmp_path / "mixed"] <= min(losses[folder], losses[other]) + 1e-3
    found = json.dumps(answer(capsys, "compare", folder, other))
    assert "gru" in found
    assert "ngram" in found


def test_tune_and_lr_find(words_file, tmp_path, capsys):
    fixed = flags({**SMALL, "steps": 10})
    told(capsys, "tune", words_file, "--model", "lstm", "--trials", 2, *fixed, "--out", tmp_path / "study")
    best = next((tmp_path / "study").rglob(MODEL))
    assert moreish.load(best.parent).model.name == "lstm"
    found = answer(capsys, "lr-find", words_file, "--model", "gru", *flags({"n_hidden": 16, "n_embd": 4}))
    assert 1e-5 < found["suggested"] < 1


def test_diagnose_plot_and_report(folder, tmp_path, capsys):
    found = answer(capsys, "diagnose", folder)
    names = [layer["name"] for layer in found["start"]["layers"]]
    assert names == ["0.embedding", "1.linear", "2.gru", "3.dropout", "4.linear", "5.gru", "6.dropout", "7.linear"]
    told(capsys, "plot", folder, "--out", tmp_path / "pictures")
    assert {"loss", "architecture", "activations", "gradients"} <= {p.stem for p in (tmp_path / "pictures").iterdir()}
    assert {p.stem for p in (tmp_path / "pictures").iterdir()} <= set(PICTURES)
    told(capsys, "report", folder, "--out", tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f"{moreish.load(folder).loss['val']:.4f}" in page
    assert "picture-architecture" in page


def test_show_prints_the_levels(folder, capsys):
    run = moreish.load(folder)
    out = told(capsys, "show", folder)
    assert f"{run.model.n_parameters:,} parameters" in out
    rows = [
        [int(cell.replace(",", "")) for cell in row]
        for row in re.findall(r"^(\d+) +([\d,]+) +([\d,]+) +([\d,]+)$", out, re.M)
    ]
    assert [row[0] for row in rows] == list(range(len(rows)))
    tokens, prefixes = (sum(row[n] for row in rows) for n in (1, 2))
    assert rows[0][2] == 1, "all words have the beginning in common"
    assert all(row[3] <= row[2] <= row[1] for row in rows)
    assert f"{tokens:,} tokens, {prefixes:,} rows: equal prefixes are computed once." in out


def test_gradcheck(capsys):
    found = answer(capsys, "gradcheck", "rnn")["models"]["rnn"]
    assert found["ok"]
    assert {"2.rnn.U", "1.linear.W", "0.embedding.C"} <= {tensor["name"] for tensor in found["tensors"]}


def test_serve(folder):
    run = moreish.load(folder)
    with (
        started("-m", "moreish", "serve", folder, "--port", 0, "--false-positive-rate", 0.1) as (_, address),
        httpx.Client(base_url=address, timeout=60) as client,
    ):
        drawn = client.post("/sample", json={"n": 12, "seed": 4, "suffix": "a"}).json()["samples"]
        assert [at["word"] for at in drawn] == run.model.sample(12, seed=4, suffix="a")
        (scored,) = client.post("/score", json={"words": ["bada"]}).json()["scores"]
        assert scored["nll"] == pytest.approx(run.model.score("bada").nll, rel=1e-6)
        after = client.get("/next", params={"prefix": "ba"}).json()
        ways = {"": after["end"], **{at["char"]: at["probability"] for at in after["next"]}}
        assert ways == pytest.approx(run.model.next("ba"), rel=1e-6)
