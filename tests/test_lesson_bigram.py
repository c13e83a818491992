"""The checks of lesson 1 accept right answers and give hints for wrong ones."""

import numpy as np
import pytest

from moreish import Corpus
from moreish.lessons.bigram import (
    check_index_for_one_hot,
    check_trigram_losses,
    check_trigrams,
    check_tuned_smoothing,
)

WORDS = ["ab", "b", "abba"]


def trigrams() -> np.ndarray:
    stoi, found = {c: i for i, c in enumerate(".ab")}, np.zeros((3, 3, 3), int)
    for w in WORDS:
        for a, b, c in zip(".." + w, "." + w, w + ".", strict=False):
            found[stoi[a], stoi[b], stoi[c]] += 1
    return found


def test_trigrams_are_counted(capsys):
    assert check_trigrams(trigrams(), WORDS)
    assert capsys.readouterr().out == "trigram counts: right\n"


@pytest.mark.parametrize(
    ("wrong", "hint"),
    [
        (lambda right: ..., "There are no counts"),
        (lambda right: right[0], "shape is"),
        (lambda right: np.maximum(right - 1, 0), "fewer windows"),
        (lambda right: right * 2, "more windows"),
        (lambda right: right.transpose(2, 1, 0), "counts[0, 0] is wrong"),
        (lambda right: right[:, ::-1], "counts[0, 0] is wrong"),
    ],
)
def test_wrong_trigrams_get_different_hints(wrong, hint, capsys):
    assert not check_trigrams(wrong(trigrams()), WORDS)
    assert hint in capsys.readouterr().out


def test_trigrams_of_train_words_alone(words, capsys):
    corpus = Corpus(words)
    V, losses = len(corpus.vocab), {}
    T = np.ones((V, V, V))
    contexts, targets = corpus.windows("train", 2)
    np.add.at(T, (*contexts.T, targets), 1)
    for part in ("train", "val"):
        contexts, targets = corpus.windows(part, 2)
        losses[part] = -np.log((T / T.sum(2, keepdims=True))[*contexts.T, targets]).mean()
    assert check_trigram_losses(losses["train"], losses["val"], corpus)
    assert not check_trigram_losses(losses["train"], losses["train"], corpus)
    assert "too low" in capsys.readouterr().out
    assert check_trigram_losses(..., ..., corpus) is None


def test_smoothing_is_tuned_where_the_loss_is_least(capsys):
    def loss(added):
        return 2.0 + (np.log10(added) - 0.5) ** 2

    assert check_tuned_smoothing(10**0.5, loss)
    assert not check_tuned_smoothing(1.0, loss)
    assert "Another amount gives a lower val loss" in capsys.readouterr().out
    assert not check_tuned_smoothing(0.0, loss)
    assert "impossible" in capsys.readouterr().out
    assert check_tuned_smoothing(..., loss) is None


def test_a_lookup_is_one_hot_times_the_matrix(capsys):
    torch = pytest.importorskip("torch")
    W = torch.randn(5, 3)
    assert check_index_for_one_hot(lambda W, tokens: W[tokens], W)
    assert not check_index_for_one_hot(lambda W, tokens: W[tokens + 1], W)
    assert "other tokens" in capsys.readouterr().out
    assert not check_index_for_one_hot(lambda W, tokens: W.T[tokens % 3], W)
    assert "a row of W for each" in capsys.readouterr().out
    assert check_index_for_one_hot(..., W) is None
