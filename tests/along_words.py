"""Shared by the tests of nets that go along whole words: a stream, training, and reading and drawing words."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from networks import V, word_stream
from small_models import LETTERS, conditional

from moreish import Model
from moreish.engine.protocol import Draw, Engine, Reader, Steps
from moreish.engine.registry import make_engine
from moreish.engine.words import WordBatches

STREAM = word_stream(60, V, 5)

DRAWN: list[dict[str, Any]] = [
    {},
    {"prefix": [2, 1]},
    {"temperature": 0.6},
    {"temperature": 1.7, "top_k": 2},
    {"top_p": 0.8},
]


def words_in(stream: np.ndarray) -> list[list[int]]:
    return [part.tolist()[1:] for part in np.split(stream, np.flatnonzero(stream == 0)[1:])[:-1]]


def stream_of(words: Sequence[Sequence[int]]) -> np.ndarray:
    return np.array([0, *(token for word in words for token in (*word, 0))], np.int32)


def relative(ours: Any, theirs: Any) -> float:
    """Largest |difference| / largest |theirs|."""
    assert np.shape(ours) == np.shape(theirs)
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())


def nll_by(logits_of_word: Callable[[list[int]], np.ndarray], stream: np.ndarray) -> np.ndarray:
    """The nll of every token of a stream, from a function that gives the logits after each prefix of a word."""
    found = []
    for word in words_in(stream):
        logits = logits_of_word(word)
        log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
        found.append(-log_p[np.arange(len(word) + 1), [*word, 0]])
    return np.concatenate(found)


def read(reader: Reader, params: np.ndarray, word: Sequence[int]) -> np.ndarray:
    """The logits after each prefix of a word, (n + 1, V), read token by token."""
    states = [reader.begin(params)]
    for token in word:
        states.append(reader.after(params, states[-1], np.array([token])))
    return np.concatenate([reader.logits(params, state) for state in states])


def words_of(batches: WordBatches, step: int) -> list[list[int]]:
    words = batches.words(step)
    return [words.stream[b : b + n].tolist() for b, n in zip(words.begins, words.lengths(), strict=True)]


def read_by(module: Any, words: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """The logits of a PyTorch module after each prefix of some words, and the tokens that follow: (N, V) and (N,)."""
    import torch

    T = 1 + max(map(len, words))
    contexts, targets, there = (torch.zeros((len(words), T), dtype=torch.int64) for _ in range(3))
    for i, word in enumerate(words):
        contexts[i, 1 : len(word) + 1] = targets[i, : len(word)] = torch.tensor(word)
        there[i, : len(word) + 1] = 1
    return module(contexts)[there == 1], targets[there == 1]


def train(engine: Engine, *arguments: Any) -> np.ndarray:
    return engine.train(*arguments)


def steps(n: int, optimizer: str = "adamw", rate: float = 0.01, first: int = 0, **settings: Any) -> Steps:
    return Steps(optimizer, 0.01, first, np.full(n, rate), **settings)


def spelled(model: Model, tokens: np.ndarray) -> list[str]:
    """The words that an engine has drawn."""
    return [
        "".join(model.vocab.characters[t - 1] for t in part[part > 0])
        for part in np.split(tokens, np.flatnonzero(tokens == 0) + 1)[:-1]
    ]


def drawn(model: Model, n: int, **options: Any) -> list[str]:
    """Words drawn by a new engine."""
    engine = make_engine("tape", model.layers, 1, len(model.vocab))
    return spelled(model, engine.generate(model.params, n, Draw(**options)))


def assert_drawn_as_often_as_probable(model: Model, options: dict[str, Any]) -> None:
    """The probability of a word is the product of those of its characters; the last one may be cut off."""
    longest, n, p = 4, 20_000, {}

    def grow(prefix: str, share: float) -> None:
        if len(prefix) == longest:
            p[prefix] = share
            return
        ways = conditional(model, prefix, options)
        for token in np.flatnonzero(ways):
            if token == 0:
                p[prefix] = share * ways[0]
            else:
                grow(prefix + LETTERS[token - 1], share * ways[token])

    grow("".join(LETTERS[t - 1] for t in options.get("prefix", [])), 1.0)
    assert sum(p.values()) == pytest.approx(1, rel=1e-5)
    words = drawn(model, n, **options, seed=9, max_length=longest)
    assert set(words) <= set(p)
    expected = n * np.array(list(p.values()))
    counts = np.array([words.count(word) for word in p])
    often = expected >= 5
    statistic = ((counts - expected)[often] ** 2 / expected[often]).sum()
    assert often.sum() > 3
    assert (statistic - often.sum()) / math.sqrt(2 * often.sum()) < 5
