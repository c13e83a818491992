"""Verdicts: each trouble is named in a run that was broken on purpose; a healthy run has none."""

import dataclasses
import json
import random
from typing import Any

import pytest

import moreish
from moreish import WorkError
from moreish.analysis.verdicts import verdicts_of
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


@pytest.mark.parametrize(
    ("model", "options", "named"),
    [
        ("transformer", {}, []),
        ("bow", {}, []),
        ("transformer", {"init": "small"}, []),
        ("transformer", {"init": "naive"}, ["first loss"]),
        ("transformer", {"init": "zero"}, ["zero weights"]),
        ("transformer", {"lr": 1e-5}, ["rate too low"]),
        ("transformer", {"lr": 0.3}, ["rate too high"]),
        ("transformer", {"lr": 3.0}, ["rate too high"]),
        ("bow", {"init": "naive"}, ["first loss", "saturation"]),
        ("bow", {"init": "zero"}, ["zero weights"]),
        ("bow", {"lr": 1e-5}, ["rate too low"]),
    ],
)
def test_nets_with_residuals_are_judged_by_the_same_measures(names, model, options, named):
    small = {"n_layer": 2, "n_embd": 32} if model == "transformer" else {}
    all_options: dict[str, Any] = {"steps": 300, "diagnostics": True, **small, **options}
    assert troubles(moreish.train(names, model, **all_options)) == named


def test_a_gradient_is_compared_between_the_sums_of_residuals(names):
    run = moreish.train(names, "transformer", n_layer=2, n_embd=8, n_head=2, dropout=0.1, steps=2)
    start = moreish.diagnose(run).start
    sums = [row for row in start["layers"] if row["name"].count(".") == 1 and row["name"].endswith("residual")]
    assert [row["name"] for row in sums] == ["3.residual", "4.residual", "5.residual", "6.residual"]
    for factor, named in ((1e-3, ["vanishing gradient"]), (0.1, []), (10.0, []), (1e3, ["exploding gradient"])):
        changed = [dict(row) for row in start["layers"]]
        next(row for row in changed if row["name"] == "3.residual")["gradient"] = factor * sums[-1]["gradient"]
        found = verdicts_of(run, 3.3, {**start, "layers": changed}, start, [])
        assert [verdict.trouble for verdict in found] == named
        assert not named or "over 4 residuals" in str(found[0])


def test_a_remedy_is_an_option_of_the_model(names):
    for model, extra in (("mlp", {"activation": "relu", "lr": 0.2}), ("bow", {"lr": 1.0})):
        options: dict[str, Any] = {"steps": 500 if model == "mlp" else 300, **extra}
        run = moreish.train(names, model, **options)
        (dead,) = [verdict for verdict in moreish.diagnose(run).verdicts if verdict.trouble == "dead units"]
        assert ("--batch-norm" in dead.remedy) == (model == "mlp")


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
