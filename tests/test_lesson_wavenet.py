"""The checks of lesson 5 accept right answers and give hints for wrong ones that do not contain the answer."""

import dataclasses

import pytest
import torch

import moreish
from moreish.lessons.wavenet import (
    check_beat,
    check_dilated,
    check_flatten_consecutive,
    check_receptive_field,
    check_tree_parameters,
)
from moreish.models import make_config

CHECKS = (check_flatten_consecutive, check_dilated, check_receptive_field, check_tree_parameters, check_beat)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("nothing", [None, ...])
def test_a_placeholder_is_not_yet_right(check, nothing, capsys):
    assert not check(nothing)
    assert "not yet" in capsys.readouterr().out


@pytest.mark.parametrize("check", CHECKS[:-1])
def test_an_error_in_the_answer_is_printed(check, capsys):
    def broken(*arguments):
        raise KeyError("emma")

    assert not check(broken)
    assert "KeyError" in capsys.readouterr().out


@pytest.mark.parametrize("check", CHECKS[:-1])
def test_an_answer_that_returns_nothing_is_not_yet_right(check, capsys):
    assert not check(lambda *arguments: None)
    assert "should return a" in capsys.readouterr().out


def joined(x, n):
    B, T, C = x.shape
    y = x.reshape(B, T // n, n * C)
    return y.squeeze(1) if y.shape[1] == 1 else y


FLATTENS = {
    "its dimension is removed": lambda x, n: x.reshape(len(x), x.shape[1] // n, -1),
    "order": lambda x, n: joined(x.reshape(len(x), n, -1, x.shape[2]).transpose(1, 2).reshape(x.shape), n),
    "another": lambda x, n: joined(x, n).flip(0),
    "should be (3, 4, 10)": lambda x, n: x.reshape(len(x), n, -1),
}


def test_flatten_is_right_by_view_and_by_slices():
    def slices(x, n):
        y = torch.cat([x[:, i::n] for i in range(n)], 2)
        return y[:, 0] if y.shape[1] == 1 else y

    assert check_flatten_consecutive(joined)
    assert check_flatten_consecutive(slices)


@pytest.mark.parametrize("word", FLATTENS)
def test_a_wrong_flatten(word, capsys):
    assert not check_flatten_consecutive(FLATTENS[word])
    out = capsys.readouterr().out
    assert word in out
    assert "cat" not in out


def dilated(x, W, d):
    return torch.cat([x[:, :-d], x[:, d:]], 2) @ W


DILATEDS = {
    "halves": lambda x, W, d: torch.cat([x[:, d:], x[:, :-d]], 2) @ W,
    "back 1 position": lambda x, W, d: dilated(x, W, 1)[:, : x.shape[1] - d],
    "have no output": lambda x, W, d: torch.cat([x, x.roll(d, 1)], 2) @ W,
    "the numbers are not": lambda x, W, d: dilated(x, W, d).tanh(),
}


def test_dilated_is_right():
    assert check_dilated(dilated)


@pytest.mark.parametrize("word", DILATEDS)
def test_a_wrong_dilated(word, capsys):
    assert not check_dilated(DILATEDS[word])
    out = capsys.readouterr().out
    assert word in out
    assert "cat" not in out


def test_the_receptive_field_is_right():
    assert check_receptive_field(lambda dilations, kernel: 1 + sum(d * (kernel - 1) for d in dilations))


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda dilations, kernel: sum(d * (kernel - 1) for d in dilations), "too few"),  # without itself
        (lambda dilations, kernel: 2 ** len(dilations), "too many"),  # true of doubled dilations only
        (lambda dilations, kernel: 1 + sum(dilations), "too few"),  # kernels of 2 only
        (lambda dilations, kernel: 2.0 * max(dilations), "whole number"),
    ],
)
def test_a_wrong_receptive_field(wrong, word, capsys):
    assert not check_receptive_field(wrong)
    out = capsys.readouterr().out
    assert word in out
    assert "kernel - 1" not in out


def parameters(block_size, n_embd, n_hidden, n_vocab):
    levels = block_size.bit_length() - 1
    inside = 2 * n_embd * n_hidden + (levels - 1) * 2 * n_hidden**2
    return n_vocab * n_embd + inside + 2 * levels * n_hidden + (n_hidden + 1) * n_vocab


def test_the_parameters_of_a_tree_are_right():
    assert check_tree_parameters(parameters)


@pytest.mark.parametrize(
    ("off", "word"),
    [
        (lambda b, e, h, v: (b.bit_length() - 1) * h, "no bias"),
        (lambda b, e, h, v: (b.bit_length() - 1) * 2 * h, "not trained"),
        (lambda b, e, h, v: -(b.bit_length() - 1) * 2 * h, "BatchNorm has a gain"),
        (lambda b, e, h, v: -v * e, "embedding"),
        (lambda b, e, h, v: -v, "last layer"),
        (lambda b, e, h, v: h * h, "layer by layer"),
        (lambda b, e, h, v: 0.5, "whole number"),
    ],
)
def test_wrong_parameters_of_a_tree(off, word, capsys):
    assert not check_tree_parameters(lambda *sizes: parameters(*sizes) + off(*sizes))
    out = capsys.readouterr().out
    assert word in out
    assert "22,397" not in out


WORDS = [a + b + c for a in "bdklmnrst" for b in "aeiou" for c in "bdklmnrst"]


@pytest.fixture(scope="module")
def run():
    return moreish.train(WORDS, "mlp", n_hidden=8, n_embd=4, block_size=2, steps=50)


def test_a_run_beats_a_target_that_it_beats(run):
    assert check_beat(run, target=4.0)


def test_a_run_that_is_not_good_enough(run, capsys):
    assert not check_beat(run, target=0.5)
    assert "val is" in capsys.readouterr().out


def test_the_published_loss_is_on_names_txt_only(run, capsys):
    assert not check_beat(run)
    assert "names.txt" in capsys.readouterr().out


def test_a_count_is_no_net(capsys):
    assert not check_beat(moreish.train(WORDS, "ngram"), target=4.0)
    assert "about a net" in capsys.readouterr().out


def test_a_loss_on_another_split_is_not_comparable(run, capsys):
    other = moreish.Corpus(WORDS, split="distinct")
    assert not check_beat(dataclasses.replace(run, corpus=other), target=4.0)
    assert "lecture split" in capsys.readouterr().out


def test_a_loss_on_another_list_is_not_comparable(run, capsys):
    assert check_beat(run, target=4.0, corpus=moreish.Corpus(WORDS))
    assert not check_beat(run, target=4.0, corpus=moreish.Corpus(WORDS[::-1]))
    assert "another list" in capsys.readouterr().out


def test_a_loss_is_no_run(capsys):
    assert not check_beat(1.5, target=4.0)
    assert "moreish.train" in capsys.readouterr().out


def test_the_published_tree_has_the_size_that_the_lesson_says():
    vocab = moreish.Vocab("abcdefghijklmnopqrstuvwxyz")
    assert moreish.Model(make_config("wavenet", {}), vocab).n_parameters == 76_579
