"""Losses on the parts of a split, in the units that people quote, and how sure they are."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import Any

import numpy as np

from .corpus import END, PARTS, Corpus, whole_words
from .models.model import Model

TOKENS = 1 << 20  # whose losses are held in memory at a time
RESAMPLES = 1000
GROUPS = 10_000  # that words are put into at most, each to be drawn whole
COVERAGE = 0.95
Z = NormalDist().inv_cdf((1 + COVERAGE) / 2)  # standard errors to either side
FEWEST = 20  # words that tell anything about others

Interval = tuple[float, float]


@dataclass(frozen=True)
class Evaluation:
    """Losses of a model by part of the split.

    loss        mean nll in nats per predicted token: every character of a word, and its end token
    tokens      how many were predicted
    interval    where asked for, 95% intervals of the loss: what other words of the same kind would have given; None
                for a part of too few words to tell
    in_train, new   then also the loss of the words that stand in train too, and of those that do not
    """

    loss: dict[str, float]
    tokens: dict[str, int]
    interval: dict[str, Interval | None] = field(default_factory=dict)
    in_train: dict[str, float] = field(default_factory=dict)
    new: dict[str, float] = field(default_factory=dict)

    @property
    def bits(self) -> dict[str, float]:
        """Bits per predicted token: loss / ln 2."""
        return {part: loss / math.log(2) for part, loss in self.loss.items()}

    @property
    def perplexity(self) -> dict[str, float]:
        """e**loss: among how many equally likely tokens the model could as well be choosing."""
        return {part: math.exp(loss) if loss < 700 else math.inf for part, loss in self.loss.items()}

    def as_json(self) -> dict[str, Any]:
        """Everything as plain dictionaries."""
        names = ("loss", "interval", "bits", "perplexity", "tokens", "in_train", "new")
        return {name: getattr(self, name) for name in names}


def evaluate(model: Model, corpus: Corpus, parts: Iterable[str] = PARTS, *, intervals: bool = False) -> Evaluation:
    """Evaluate a model on every token of parts of a corpus. Raises InputError if their vocabularies differ.

    intervals   give intervals too, and the losses apart of words that stand in train and of words that do not
    """
    model.check_vocab(corpus)
    found = Evaluation({}, {})
    for part in parts:
        stream = corpus.stream(part)
        found.tokens[part] = len(stream) - 1
        if not intervals:
            found.loss[part] = mean_nll(model.nll, stream)
        else:
            nll, tokens = word_nll(model.nll, stream)
            found.loss[part] = float(nll.sum() / tokens.sum())
            found.interval[part] = interval(nll, tokens)
            seen = corpus.stand_in_train(part)
            for kind, which in ((found.in_train, seen), (found.new, ~seen)):
                if which.any():
                    kind[part] = float(nll[which].sum() / tokens[which].sum())
    return found


def word_nll(nll: Callable[[np.ndarray], np.ndarray], stream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The nll in nats of each word of a flat stream, end token included, and its tokens: (W,) float64, (W,) int64."""
    sums, tokens = zip(*_word_nll(nll, stream), strict=True)
    return np.concatenate(sums), np.concatenate(tokens)


def _word_nll(nll: Callable[[np.ndarray], np.ndarray], stream: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """What `word_nll` says, of some words at a time."""
    for words in whole_words(stream, TOKENS):
        ends = np.flatnonzero(words[1:] == END) + 1
        begins = np.concatenate([[0], ends[:-1]])
        yield np.add.reduceat(nll(words), begins), ends - begins


def mean_nll(nll: Callable[[np.ndarray], np.ndarray], stream: np.ndarray) -> float:
    """The mean nll in nats of every token of a flat stream after its first 0."""
    return sum(float(sums.sum()) for sums, _ in _word_nll(nll, stream)) / (len(stream) - 1)


def interval(nll: np.ndarray, tokens: np.ndarray, seed: int = 0) -> Interval | None:
    """A 95% interval of the loss per token, by the bootstrap: from words drawn again from the words that there are.

    nll, tokens (W,) of each word; None for fewer than FEWEST words. Words are drawn, and not tokens, since the tokens
    of a word go together. Of many words, groups made by chance are drawn, which vary as much.
    Efron and Tibshirani 1993, chapter 13: percentiles.
    """
    if len(nll) < FEWEST:
        return None
    generator = np.random.default_rng(seed)
    if len(nll) > GROUPS:
        group = generator.permutation(len(nll)) % GROUPS
        nll, tokens = (np.bincount(group, x, minlength=GROUPS) for x in (nll, tokens))
    losses = np.empty(RESAMPLES)
    for i in range(RESAMPLES):
        drawn = generator.integers(0, len(nll), len(nll))
        losses[i] = nll[drawn].sum() / tokens[drawn].sum()
    low, high = np.quantile(losses, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(low), float(high)


def share_interval(k: int, n: int) -> Interval | None:
    """A 95% interval of a share, of which k of n words were found; None for fewer than FEWEST words. Wilson 1927."""
    if n < FEWEST:
        return None
    middle, half = (k + Z * Z / 2) / (n + Z * Z), Z / (n + Z * Z) * math.sqrt(k * (n - k) / n + Z * Z / 4)
    return max(0.0, middle - half), min(1.0, middle + half)
