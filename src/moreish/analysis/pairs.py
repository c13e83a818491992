"""Pairs of neighbouring characters: their counts in words, and what a model expects after each character."""

import numpy as np

from ..corpus import END, Corpus, whole_words
from ..corpus.stream import Words, per_token
from ..engine.states import read
from ..models.model import Model

PAIRS_PER_CHUNK = 1 << 20  # counted at a time


def frequent(corpus: Corpus, most: int) -> np.ndarray:
    """Return the end token, then the tokens of the most frequent characters of train: at most `most` in all."""
    stream, weights = corpus.stream("train"), corpus.weights("train")
    of_tokens = None if weights is None else per_token(stream, weights)
    counts = np.bincount(stream[1:], of_tokens, minlength=len(corpus.vocab))
    return np.append(END, 1 + np.argsort(-counts[1:], kind="stable"))[:most]


def pair_counts(stream: np.ndarray, tokens: np.ndarray, n_vocab: int, weights: np.ndarray | None = None) -> np.ndarray:
    """Count pairs of tokens in a flat stream: (n, n + 1), in the order of `tokens` (n,).

    Rows are the first tokens of the pairs, columns the second ones; the last column is for all other tokens. weights
    (words,) are those of each word; without any, counts are whole numbers.
    """
    n = len(tokens)
    place = _places(tokens, n_vocab)
    of_pairs = None if weights is None else per_token(stream, weights)
    counts = np.zeros((n + 1) ** 2, np.int64 if weights is None else np.float64)
    for first in range(0, len(stream) - 1, PAIRS_PER_CHUNK):
        places = place[stream[first : first + PAIRS_PER_CHUNK + 1]]
        here = None if of_pairs is None else of_pairs[first : first + len(places) - 1]
        counts += np.bincount(places[:-1] * (n + 1) + places[1:], here, minlength=counts.size).astype(counts.dtype)
    return counts.reshape(n + 1, n + 1)[:n]


def expected_pairs(model: Model, corpus: Corpus, tokens: np.ndarray, most: int) -> tuple[np.ndarray, int]:
    """Return what a model expects after each token, float64 (n, n), and the number of words that it has read for this.

    Element [a, b] is the mean probability that the model gives to token b, over the places of train words where token a
    comes before; so it has read all characters so far. A model that has learnt the pairs of the list by heart gives
    their relative counts. Words count by their weights, and are read given their labels. Of a large list, the first
    words with about `most` tokens are read: they are in random order. A row of a token that they do not have is nan.
    """
    n, place = len(tokens), _places(tokens, len(corpus.vocab))
    sums, n_words = np.zeros((n, n + 1)), 0
    for of_label, words in _by_label(model, corpus):
        stream = next(whole_words(words.stream, max(1, most * len(words.stream) // len(corpus.stream("train")))))
        n_read = int(np.count_nonzero(stream[1:] == END))
        weights = np.ones(n_read) if words.weights is None else words.weights[:n_read]
        weights = per_token(stream, weights) * ((len(words.stream) - 1) / (len(stream) - 1))
        n_words += n_read
        for first, states, of in read(of_label.engine, of_label.params, stream):
            here = slice(first, first + len(of))
            row = place[stream[here]]
            shown = row < n
            at = row[shown] * len(states) + of[shown]
            times = np.bincount(at, weights[here][shown], minlength=n * len(states)).reshape(n, -1)
            p = _softmax(of_label.engine.logits(of_label.params, states))
            sums[:, :n] += times @ p[:, tokens]
            sums[:, n] += times.sum(1)
    with np.errstate(invalid="ignore"):
        return sums[:, :n] / sums[:, n:], n_words


def words_with_pair(corpus: Corpus, before: int, after: int, most: int) -> tuple[list[str], int, int]:
    """Return the first different train words with a pair of tokens, at most `most`; how many words have it; and how
    often it occurs in all.
    """
    stream = corpus.stream("train")
    at = np.flatnonzero((stream[:-1] == before) & (stream[1:] == after))
    ends = np.flatnonzero(stream == END)  # the first is before the first word
    words = np.unique(np.searchsorted(ends, at, side="right") - 1)
    found: dict[str, None] = {}
    for word in words.tolist():
        found |= dict.fromkeys(corpus.vocab.split(stream[ends[word] + 1 : ends[word + 1] + 1]))
        if len(found) == most:
            break
    return list(found), len(words), len(at)


def _by_label(model: Model, corpus: Corpus) -> list[tuple[Model, Words]]:
    """Return the train words of each label and the model given it; all of both without labels."""
    if model.labels is None:
        return [(model, Words(corpus.stream("train"), corpus.weights("train")))]
    words = corpus.by_label("train")
    return [(model.of_label(label), words[label]) for label in range(len(words)) if len(words[label].stream) > 1]


def _places(tokens: np.ndarray, n_vocab: int) -> np.ndarray:
    """Return the place of each token of the vocabulary in `tokens` (n,), int64 (n_vocab,); n for all others."""
    place = np.full(n_vocab, len(tokens))
    place[tokens] = np.arange(len(tokens))
    return place


def _softmax(logits: np.ndarray) -> np.ndarray:
    p = np.exp(logits - logits.max(1, keepdims=True), dtype=np.float64)
    return p / p.sum(1, keepdims=True)
