"""The checks of lesson 2 accept right answers and give hints for wrong ones that do not contain the answer."""

import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F

import moreish
from moreish.lessons.mlp import (
    check_beats,
    check_cross_entropy,
    check_tables,
    check_weight_decay,
    check_zero_start,
)

SMALL: dict[str, Any] = {"model": "mlp", "n_hidden": 16, "n_embd": 4, "steps": 200, "batch_size": 32}


@pytest.fixture
def said(capsys):
    """Return the text printed since the last call."""
    return lambda: capsys.readouterr().out


def by_window(X, C, W1, b1):
    return C[X].flatten(1) @ W1 + b1


def by_tables(X, C, W1, b1):
    T = X.shape[1]
    tables = C @ W1.view(T, C.shape[1], -1)
    return sum(tables[t][X[:, t]] for t in range(T)) + b1


def stable(logits, Y):
    shifted = logits - logits.max(1, keepdim=True).values
    return (shifted.exp().sum(1).log() - shifted[torch.arange(len(Y)), Y]).mean()


def picked(x, Y):
    return x[torch.arange(len(Y)), Y]


def test_zero_start(said):
    assert check_zero_start(math.log(27), 27, 27)
    assert check_zero_start(torch.tensor(math.log(9)), torch.tensor(9), 9)
    assert "not yet" not in said()


@pytest.mark.parametrize(
    ("first", "moving", "word"),
    [(..., ..., "two numbers"), (None, 27, "two numbers"), (0.0, 27, "too low"), (3.296, 11_897, "too high")],
)
def test_zero_start_not_yet(said, first, moving, word):
    assert not check_zero_start(first, moving, 27)
    printed = said()
    assert word in printed
    assert "not yet" in printed
    assert "27" not in printed
    assert "3.2958" not in printed


def test_tables(said):
    assert check_tables(by_tables)
    assert "right" in said()


@pytest.mark.parametrize(
    ("preactivations", "word"),
    [
        (lambda X, C, W1, b1: ..., "nothing"),
        (by_window, "each of the windows"),
        (lambda X, C, W1, b1: F.linear(C[X].flatten(1), W1.T, b1), "each of the windows"),
        (lambda X, C, W1, b1: by_tables(X, C, W1, 0 * b1), "are wrong"),
        (lambda X, C, W1, b1: by_tables(X.flip(1), C, W1, b1), "are wrong"),
        (lambda X, C, W1, b1: (C @ W1.view(3, 5, -1))[torch.arange(3), X] + b1, "shape"),
        (lambda X, C, W1, b1: by_tables(X, C, W1.detach(), b1), "gradients"),
    ],
)
def test_tables_not_yet(said, preactivations, word):
    assert not check_tables(preactivations)
    printed = said()
    assert "not yet" in printed
    assert word in printed


@pytest.mark.parametrize(
    "nll",
    [
        stable,
        lambda x, Y: (
            -picked(
                x - x.amax(1, keepdim=True) - (x - x.amax(1, keepdim=True)).exp().sum(1, keepdim=True).log(), Y
            ).mean()
        ),
    ],
)
def test_cross_entropy(said, nll):
    assert check_cross_entropy(nll)
    assert "right" in said()


@pytest.mark.parametrize(
    ("nll", "word"),
    [
        (lambda x, Y: ..., "nothing"),
        (lambda x, Y: -picked(x.exp() / x.exp().sum(1, keepdim=True), Y).log().mean(), "around 300"),
        (
            lambda x, Y: -picked((x - x.amax()).exp() / (x - x.amax()).exp().sum(1, keepdim=True), Y).log().mean(),
            "300 below",
        ),
        (lambda x, Y: -picked(x.exp() / x.exp().sum(1, keepdim=True), Y).log().sum(), "ordinary"),
        (lambda x, Y: -picked(x.exp() / x.exp().sum(1, keepdim=True), Y).log(), "shape"),
        (lambda x, Y: stable(x.detach(), Y), "gradient"),
        (F.cross_entropy, "PyTorch's own"),
        (lambda x, Y: F.nll_loss(F.log_softmax(x, 1), Y), "PyTorch's own"),
    ],
)
def test_cross_entropy_not_yet(said, nll, word):
    assert not check_cross_entropy(nll)
    printed = said()
    assert "not yet" in printed
    assert word in printed


def test_weight_decay(said, corpus):
    # Few words and a net far too large for them: a decay of this size must lower val.
    few = moreish.Corpus(corpus.words[:60])
    options: dict[str, Any] = {**SMALL, "n_hidden": 64, "steps": 3000, "optimizer": "sgd", "lr": 0.3, "keep": "last"}
    without, with_decay, crushed = (moreish.train(few, **options, weight_decay=d) for d in (0.0, 0.003, 0.3))
    assert without.loss["val"] - with_decay.loss["val"] > 0.05
    assert check_weight_decay(without, with_decay, by=0.05)
    assert "right" in said()
    other = moreish.train(few, **dict(options, steps=300), weight_decay=0.003)
    elsewhere = moreish.train(corpus, **options, weight_decay=0.003)
    for first, second, word in (
        (..., ..., "two runs"),
        (without, ..., "two runs"),
        (without, without, "decays are 0 and 0"),
        (with_decay, without, "only the first must be 0"),
        (without, other, "more than their weight decay"),
        (without, elsewhere, "different lists"),
        (without, crushed, "try less decay"),
    ):
        assert not check_weight_decay(first, second, by=0.05)
        printed = said()
        assert "not yet" in printed
        assert word in printed
    gain = without.loss["val"] - with_decay.loss["val"]
    assert not check_weight_decay(without, with_decay, by=gain + 0.01)
    assert "not yet" in said()


def test_beats(said, words, corpus):
    run = moreish.train(corpus, **SMALL, block_size=3)
    val, module = run.loss["val"], run.model.to_torch()
    assert check_beats(run, val + 0.01, corpus)
    assert check_beats(module, val + 0.01, corpus, block_size=3)
    assert "not yet" not in said()
    again = moreish.train(words[::-1], **SMALL, block_size=3)
    for yours, below, block_size, word in (
        (..., val, None, "run of moreish.train"),
        (None, val, 3, "run of moreish.train"),
        (module, val + 1, None, "block_size"),
        (run, val - 0.01, None, f"{val:.4f}"),
        (module, val - 0.01, 3, f"{val:.4f}"),
        (again, 9.0, None, "another list"),
        (lambda X: ..., 9.0, 3, "nothing"),
        (lambda X: module(X)[:, :2], 9.0, 3, "shape"),
        (lambda X: module(X[:, :2]), 9.0, 3, "ValueError"),
    ):
        assert not check_beats(yours, below, corpus, block_size)
        printed = said()
        assert "not yet" in printed
        assert word in printed
