"""The checks of lesson 8 accept right answers and give hints for wrong ones that do not contain the answer."""

import math
from statistics import fmean

import pytest
import torch

import moreish
from moreish.lessons.counting import (
    check_back_off,
    check_counted,
    check_exact_ratio,
    check_log_linear,
    check_share_of_new,
)

CHECKS = (check_back_off, check_share_of_new, check_log_linear, check_exact_ratio, check_counted)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("nothing", [None, ...])
def test_a_placeholder_is_not_yet_right(check, nothing, capsys):
    assert check(nothing) is None
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
    assert "TypeError" in capsys.readouterr().out


def back_off(n, D, below):
    row = (n - D).clamp(min=0) / n.sum()
    alpha = (1 - row.sum()) / below[n == 0].sum()
    row[n == 0] = alpha * below[n == 0]
    return row


def spread_evenly(n, D, below):
    return torch.where(n == 0, (n > 0).sum() * D / n.sum() / (n == 0).sum(), (n - D) / n.sum())


BACK_OFFS = {
    "get nothing from the shorter context": lambda n, D, below: (
        (n - D).clamp(min=0) / n.sum() + (n > 0).sum() * D / n.sum() * below
    ),
    "How much is left": lambda n, D, below: torch.where(n == 0, (n > 0).sum() * D / n.sum() * below, (n - D) / n.sum()),
    "in proportion": spread_evenly,
    "one number for each character": lambda n, D, below: back_off(n, D, below)[n > 0],
}


def test_back_off_is_right():
    assert check_back_off(back_off)


@pytest.mark.parametrize("word", BACK_OFFS)
def test_a_wrong_back_off(word, capsys):
    assert not check_back_off(BACK_OFFS[word])
    out = capsys.readouterr().out
    assert word in out
    assert "sum()" not in out


def every(rows):
    return [n for row in rows.values() for n in row.values()]


SHARES = {
    "different n-grams": lambda rows: every(rows).count(1) / len(every(rows)),
    "when it first came": lambda rows: len(every(rows)) / sum(every(rows)),
    "too high": lambda rows: 1.0,
    "too low": lambda rows: 0.0,
}


def test_the_share_of_new_n_grams_is_right():
    assert check_share_of_new(lambda rows: every(rows).count(1) / sum(every(rows)))


@pytest.mark.parametrize("word", SHARES)
def test_a_wrong_share_of_new_n_grams(word, capsys):
    assert not check_share_of_new(SHARES[word])
    out = capsys.readouterr().out
    assert word in out
    assert "once" not in out


def log_linear(logs, w):
    product = torch.einsum("m,mnv->nv", w, logs)
    return product - product.logsumexp(-1, keepdim=True)


LOG_LINEARS = {
    "adds the probabilities": lambda logs, w: (w[:, None, None] / w.sum() * logs.exp()).sum(0).log(),
    "should add up to 1": lambda logs, w: torch.einsum("m,mnv->nv", w, logs),
    "not finite": lambda logs, w: (logs.exp() ** w[:, None, None]).prod(0).div(1e-300).log().sub(math.inf),
    "shape is": lambda logs, w: log_linear(logs, w).T,
    "not the product": lambda logs, w: logs.sum(0).log_softmax(-1),
}


def test_a_log_linear_mixture_is_right():
    assert check_log_linear(log_linear)


@pytest.mark.parametrize("word", LOG_LINEARS)
def test_a_wrong_log_linear_mixture(word, capsys):
    assert not check_log_linear(LOG_LINEARS[word])
    out = capsys.readouterr().out
    assert word in out
    assert "softmax" not in out


def test_probabilities_that_underflow_are_not_finite(capsys):
    def by_probabilities(logs, w):
        p = (logs.exp() ** w[:, None, None]).prod(0)
        return (p / p.sum(-1, keepdim=True)).log()

    assert not check_log_linear(by_probabilities)
    assert "not finite" in capsys.readouterr().out


def word_logs(model, words):
    return [-sum(model.score(word).per_char) for word in words]


def mean(model, words):
    return fmean(map(math.exp, word_logs(model, words)))


RATIOS = {
    "upside down": lambda model, a, b: mean(model, b) / mean(model, a),
    "ratio of sums": lambda model, a, b: len(a) * mean(model, a) / (len(b) * mean(model, b)),
    "mean of the logarithms": lambda model, a, b: math.exp(fmean(word_logs(model, a)) - fmean(word_logs(model, b))),
    "mean loss of the tokens": lambda model, a, b: (
        fmean(math.exp(-model.score(w).nll) for w in a) / fmean(math.exp(-model.score(w).nll) for w in b)
    ),
    "too high": lambda model, a, b: 1e9,
    "too low": lambda model, a, b: 0.0,
}


def test_the_exact_ratio_is_right():
    assert check_exact_ratio(lambda model, a, b: mean(model, a) / mean(model, b))


@pytest.mark.parametrize("word", RATIOS)
def test_a_wrong_exact_ratio(word, capsys):
    assert not check_exact_ratio(RATIOS[word])
    assert word in capsys.readouterr().out


WORDS = [a + b + c for a in "bdklmnrst" for b in "aeiou" for c in "bdklmnrst"]


@pytest.fixture(scope="module")
def counted():
    return moreish.train(WORDS, "ngram", order=3)


@pytest.fixture(scope="module")
def net():
    return moreish.train(WORDS, "mlp", n_hidden=8, n_embd=4, block_size=2, steps=50)


def test_counts_that_beat_a_target(counted):
    assert check_counted(counted, 4.0)
    assert check_counted(moreish.mix([counted, moreish.train(WORDS, "ngram", order=2)]), 4.0, moreish.Corpus(WORDS))


def test_counts_that_are_not_good_enough(counted, capsys):
    assert not check_counted(counted, 0.5)
    assert "val loss is" in capsys.readouterr().out


def test_a_net_is_no_count(counted, net, capsys):
    assert not check_counted(net, 4.0)
    assert not check_counted(moreish.mix([counted, net]), 4.0)
    assert capsys.readouterr().out.count("counts alone") == 2


def test_a_loss_on_another_list_is_not_comparable(counted, capsys):
    assert not check_counted(counted, 4.0, moreish.Corpus(WORDS[::-1]))
    assert "another list" in capsys.readouterr().out


def test_a_loss_is_no_run(capsys):
    assert not check_counted(1.5, 4.0)
    assert "moreish.train" in capsys.readouterr().out
