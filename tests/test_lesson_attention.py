"""The checks of lesson 7 accept right answers and give hints for wrong ones that do not contain the answer."""

import pytest
import torch

import moreish
from moreish.lessons.attention import (
    check_cost,
    check_keys,
    check_layernorm,
    check_order,
    check_softmax,
    check_transformer,
)

CHECKS = (check_softmax, check_keys, check_layernorm)


def softmax(a, da):
    jacobian = torch.diag_embed(a) - a[:, :, None] * a[:, None]  # (N, T, T)
    return (jacobian @ da[:, :, None])[:, :, 0]


def keys(q, ds):
    return torch.einsum("nm,nc->mc", ds, q) / q.shape[1] ** 0.5


def layernorm(xhat, s, gamma, dy):
    C, d = len(gamma), gamma * dy
    return s / C * (C * d - d.sum(1, keepdim=True) - xhat * (d * xhat).sum(1, keepdim=True))


def over_rows(xhat, d):
    return d - d.mean(0) - xhat * (d * xhat).mean(0)


RIGHT = [
    (check_softmax, softmax),
    (check_softmax, lambda a, da: a * (da - (a * da).sum(1, keepdim=True))),
    (check_softmax, lambda a, da: softmax(a, da).float()),
    (check_keys, keys),
    (check_keys, lambda q, ds: ds.T @ q / 2),
    (check_layernorm, layernorm),
]

WRONG = [
    (check_softmax, lambda a, da: a * da, "own numerator alone"),
    (check_softmax, lambda a, da: a * (1 - a) * da, "changes the other weights"),
    (check_softmax, lambda a, da: a * (da - da.sum(1, keepdim=True)), "has the sum of da"),
    (check_softmax, lambda a, da: a * (da - da.mean(1, keepdim=True)), "has the plain mean of da"),
    (check_softmax, lambda a, da: a * (da - (a * da).sum()), "summed over all rows"),
    (check_softmax, lambda a, da: -softmax(a, da), "wrong sign"),
    (check_softmax, lambda a, da: da, "wrong everywhere"),
    (check_softmax, lambda a, da: a @ da, "raised RuntimeError"),
    (check_softmax, lambda a, da: softmax(a, da).tolist(), "should be a tensor"),
    (check_keys, lambda q, ds: ds @ q / 2, "which index is summed over"),
    (check_keys, lambda q, ds: ds @ q, "which index is summed over"),
    (check_keys, lambda q, ds: ds.T @ q, "One factor of the score is missing"),
    (check_keys, lambda q, ds: ds.T @ q / 4, "the factor of the score"),
    (check_keys, lambda q, ds: ds.T, "its shape is (6, 6), but the shape of k is (6, 4)"),
    (check_layernorm, lambda xhat, s, gamma, dy: s * gamma * dy, "direct path alone"),
    (check_layernorm, lambda xhat, s, gamma, dy: s * over_rows(xhat, gamma * dy), "average"),
    (check_layernorm, lambda xhat, s, gamma, dy: gamma * s * over_rows(xhat, dy), "average"),
    (
        check_layernorm,
        lambda xhat, s, gamma, dy: gamma * layernorm(xhat, s, torch.ones_like(gamma), dy),
        "in front of a mean",
    ),
    (check_layernorm, lambda xhat, s, gamma, dy: 4 * layernorm(xhat, s, gamma, dy), "4 times too large"),
]


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_a_right_gradient_is_right(check, answer, capsys):
    assert check(answer)
    assert capsys.readouterr().out.endswith(": right\n")


@pytest.mark.parametrize(("check", "answer", "word"), WRONG)
def test_a_wrong_gradient_gets_a_hint_without_the_answer(check, answer, word, capsys):
    assert not check(answer)
    said = capsys.readouterr().out
    assert ": not yet. " in said
    assert word in said


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("nothing", [..., None])
def test_a_function_that_returns_nothing_is_not_yet_right(check, nothing, capsys):
    assert not check(lambda *arguments: nothing)
    assert ": not yet. " in capsys.readouterr().out


@pytest.mark.parametrize("check", [check_order, check_cost, check_transformer])
@pytest.mark.parametrize("nothing", [..., None])
def test_a_placeholder_is_not_yet_right(check, nothing, capsys):
    assert not check(nothing)
    assert "not yet. There is no answer yet." in capsys.readouterr().out


@pytest.mark.parametrize("pair", [("nina", "inna"), ["abc", "bac"], ("marina", "aminra")])
def test_words_that_only_two_blocks_tell_apart(pair):
    assert check_order(pair)


@pytest.mark.parametrize(
    ("pair", "word"),
    [
        (("anna", "otto"), "query of the last position"),
        (("abc", "acb"), "query of the last position"),
        (("anna", "ana"), "how many of each"),
        (("bca", "bba"), "how many of each"),
        (("anna", "anna"), "two different words"),
        (("", "a"), "empty word"),
        ("anna", "Give two words"),
        (("anna", 3), "Give two words"),
        (("a", "b", "c"), "Give two words"),
    ],
)
def test_words_that_are_no_answer(pair, word, capsys):
    assert not check_order(pair)
    assert word in capsys.readouterr().out


def test_the_multiplications_are_right():
    assert check_cost(lambda T, C: T * (T + 1) * C)


@pytest.mark.parametrize(
    ("wrong", "word"),
    [
        (lambda T, C: 2 * T * T * C, "those after it"),
        (lambda T, C: T * (T - 1) * C, "looks at itself"),
        (lambda T, C: T * (T + 1) * C // 2, "two products"),
        (lambda T, C: 12 * C * C * T, "for one position first"),
        (lambda T, C: T * (T + 1) * C / 1, "whole number"),
        (lambda T, C: [][T], "IndexError"),
    ],
)
def test_wrong_multiplications(wrong, word, capsys):
    assert not check_cost(wrong)
    said = capsys.readouterr().out
    assert word in said
    assert "T + 1" not in said


WORDS = [a + b + c for a in "bdklmnrst" for b in "aeiou" for c in "bdklmnrst"]


@pytest.fixture(scope="module")
def run():
    return moreish.train(WORDS, "transformer", n_layer=1, n_head=2, n_embd=8, steps=50)


def test_a_run_is_compared_with_its_target(run, capsys):
    assert check_transformer(run, 4.0, moreish.Corpus(WORDS))
    assert not check_transformer(run, 0.5)
    assert "val is" in capsys.readouterr().out


def test_another_list_or_model_is_no_answer(run, capsys):
    assert not check_transformer(run, 4.0, moreish.Corpus(WORDS[::-1]))
    assert "another list" in capsys.readouterr().out
    assert not check_transformer(moreish.train(WORDS, "ngram"), 4.0)
    assert "about a Transformer" in capsys.readouterr().out
    assert not check_transformer(1.5, 4.0)
    assert "moreish.train" in capsys.readouterr().out
