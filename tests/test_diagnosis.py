"""Verdicts: each trouble is named in a run that was broken on purpose; a healthy run has none."""

import dataclasses
import json
import random
from typing import Any

import pytest

import moreish
from moreish import WorkError
from moreish.cli import run


def troubles(found: moreish.Run) -> list[str]:
    return [verdict.trouble for verdict in moreish.diagnose(found).verdicts]


@pytest.fixture(scope="module")
def names() -> moreish.Corpus:
    return moreish.Corpus(moreish.bundled("names"))


@pytest.mark.parametrize("model", ["mlp", "wavenet", "wavenet-conv", "bigram"])
def test_a_healthy_run_has_none(names, model):
    steps: dict[str, Any] = {} if model in ("mlp", "bigram") else {"steps": 300}
    assert troubles(moreish.train(names, model, **steps)) == []


@pytest.mark.parametrize(
    "options",
    [
        {"activation": "relu"},
        {"n_layer": 3, "steps": 400},
        {"batch_norm": True, "steps": 400},
        {"optimizer": "sgd", "lr": 0.1, "steps": 3000, "batch_size": 32, "n_embd": 10, "n_hidden": 200},
        {"n_layer": 12, "activation": "relu", "batch_norm": True, "steps": 200, "n_hidden": 64},
    ],
)
def test_nor_have_healthy_nets_of_other_kinds(names, options):
    assert troubles(moreish.train(names, "mlp", **options)) == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"init": "naive"}, ["first loss", "saturation"]),
        ({"init": "zero"}, ["zero weights"]),
        ({"lr": 0.3}, ["rate too high"]),
        ({"optimizer": "sgd", "lr": 1.0}, ["rate too high"]),
        ({"lr": 1e-4}, ["rate too low"]),
        ({"optimizer": "sgd", "lr": 0.003}, ["rate too low"]),
        ({"activation": "relu", "lr": 0.2}, ["dead units"]),
        ({"init": "small", "n_layer": 3, "n_hidden": 64}, ["vanishing gradient"]),
        ({"init": "naive", "n_layer": 6, "n_hidden": 64, "activation": "relu"}, ["first loss", "exploding gradient"]),
    ],
)
def test_trouble_is_named(names, options, named):
    all_options: dict[str, Any] = {"steps": 500, **options}
    found = troubles(moreish.train(names, "mlp", **all_options))
    assert [trouble for trouble in named if trouble not in found] == []
    if named[0] not in ("rate too high", "vanishing gradient", "first loss"):  # which cause others
        assert found == named


def test_a_first_batch_that_is_harder_than_most_says_nothing_of_the_rate(names):
    options: dict[str, Any] = {
        "block_size": 3,
        "n_embd": 10,
        "n_layer": 6,
        "n_hidden": 100,
        "batch_size": 32,
        "keep": "last",
    }
    run = moreish.train(names, init="naive", steps=300, optimizer="sgd", lr=0.05, diagnostics=True, **options)
    harder = [{**run.history[0], "train": 2 * run.history[0]["train"]}, *run.history[1:]]
    assert run.history[0]["step"] == 1
    found = troubles(dataclasses.replace(run, history=harder))
    assert "first loss" in found
    assert "rate too high" not in found


def test_overfitting_is_named():
    few = random.Random(1).sample(list(moreish.bundled("names")), 300)
    assert troubles(moreish.train(few, steps=1500, batch_size=64)) == ["overfitting"]


def test_a_loss_that_ended_in_no_number_is_named(names, tmp_path):
    with pytest.raises(WorkError):
        moreish.train(names, out=tmp_path / "run", steps=400, optimizer="sgd", lr=1e6, init="naive")
    found = moreish.load(tmp_path / "run")
    assert found.diverged
    assert "rate too high" in troubles(found)


def test_the_command_tells_numbers_and_verdicts(words, tmp_path, capsys):
    moreish.train(words, n_hidden=16, n_embd=4, steps=100, init="naive", out=tmp_path / "run", diagnostics=True)
    assert run(["diagnose", str(tmp_path / "run")]) == 0
    out = capsys.readouterr().out
    assert "first loss: the loss starts at" in out
    assert "3.tanh" in out
    assert run(["diagnose", str(tmp_path / "run"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert not found["replayed"]
    assert {"trouble", "seen", "remedy"} == set(found["verdicts"][0])
    row = next(row for row in found["start"]["layers"] if row["name"] == "3.tanh")
    assert f"layer 3.tanh: {row['saturated']:.0%} saturated at step 0" in out
