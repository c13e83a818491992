"""Nets trained with an n-gram inside: counts that leave the example out, the loss and its gradients, and the runs."""

from collections import Counter

import numpy as np
import pytest

import moreish
from moreish.ngram import count_tables
from moreish.ngram.automaton import trace_stream
from moreish.ngram.leave_out import log_left_out

WORDS = ["anna", "ana", "nan", "anna", "bab", "a", "ban", "naab"]


def interpolated_by_hand(words, order, n_vocab, strengths, without=None) -> dict[tuple[int, int], np.ndarray]:
    """Return p(. | h) at every token (word, place) of words, by counting; or at one token, without its occurrence."""
    padded = [[0] * (order - 1) + word + [0] for word in words]
    places = [(i, j) for i, word in enumerate(words) for j in range(len(word) + 1)]
    counts = [Counter[tuple[int, ...]]() for _ in range(order)]
    for i, j in places:
        end = j + order - 1
        for k in range(order):
            counts[k][tuple(padded[i][end - k : end + 1])] += 1 - ((i, j) == without)
    found = {}
    for i, j in places if without is None else [without]:
        p, end = np.full(n_vocab, 1 / n_vocab), j + order - 1
        for k, (a, b, d) in enumerate(strengths.T):
            n = np.array([counts[k][(*padded[i][end - k : end], v)] for v in range(n_vocab)])
            N, t = n.sum(), (n > 0).sum()
            m = a * t + b
            p = (np.maximum(n - d, 0) + (m + d * t) * p) / (N + m) if N else p
        found[i, j] = p
    return found


@pytest.mark.parametrize("order", [1, 2, 4])
def test_leaving_a_token_out_is_to_count_the_words_without_it(order):
    corpus = moreish.Corpus([*WORDS, "nab"] * 2, "lecture")
    vocab, generator = corpus.vocab, np.random.default_rng(order)
    strengths = np.array([generator.uniform(*bounds, order) for bounds in ((0.3, 3), (0.1, 2), (0.1, 0.9))])
    stream = vocab.stream(WORDS)
    tables = count_tables(stream, order, len(vocab))
    nodes, entries = trace_stream(tables, stream)
    found = np.exp(log_left_out(tables, strengths, nodes, entries).astype(np.float64))
    encoded = [vocab.encode(word) for word in WORDS]
    places = [(i, j) for i, word in enumerate(encoded) for j in range(len(word) + 1)]
    for row, place in zip(found, places, strict=True):
        expected = interpolated_by_hand(encoded, order, len(vocab), strengths, without=place)[place]
        np.testing.assert_allclose(row, expected, rtol=1e-6)
    whole = interpolated_by_hand(encoded, order, len(vocab), strengths)
    assert max(np.abs(whole[place] - row).max() for place, row in zip(places, found, strict=True)) > 0.01
