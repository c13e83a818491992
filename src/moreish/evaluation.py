"""Losses on the parts of a split, with their units and confidence intervals."""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from .corpus import END, PARTS, Corpus, whole_words
from .display.shown import Shown, Table
from .errors import check_finite
from .models.model import Model

TOKENS = 1 << 20  # tokens whose losses are in memory at a time
RESAMPLES = 1000
GROUPS = 10_000  # a longer list is resampled in this many groups of words
COVERAGE = 0.95
Z = 1.959963984540054  # standard errors on either side: the normal quantile of (1 + COVERAGE) / 2
FEWEST = 20  # words; fewer give no interval

Interval = tuple[float, float]
NLL = Callable[..., np.ndarray]  # a stream, and with labels the number of one -> the nll of each token: `Model.nll`


@dataclass(frozen=True, repr=False)
class Evaluation(Shown):
    """Losses of a model by part of the split.

    loss        mean nll in nats per predicted token: every character of a word, and its end token
    tokens      number of predicted tokens
    interval    on request, 95% confidence intervals of the loss over other words of the same kind; None for a part with
                too few words
    in_train    with intervals, the loss of the words that are in train too
    new         with intervals, the loss of the words that are not in train
    each_once   for a list with weights, the loss with every word counted once

    All losses but `each_once` count words by their weights. With labels, a word is predicted given its label.
    """

    loss: dict[str, float]
    tokens: dict[str, int]
    interval: dict[str, Interval | None] = field(default_factory=dict)
    in_train: dict[str, float] = field(default_factory=dict)
    new: dict[str, float] = field(default_factory=dict)
    each_once: dict[str, float] = field(default_factory=dict)

    def _table(self) -> Table:
        rows = [
            [part, f"{loss:.4f}", f"{self.bits[part]:.4f}", f"{self.perplexity[part]:.4g}", f"{self.tokens[part]:,}"]
            for part, loss in self.loss.items()
        ]
        heading = ["", ">loss (nats)", ">bits", ">perplexity", ">tokens"]
        columns = {">words in train": self.in_train, ">other words": self.new, ">each word once": self.each_once}
        for name, losses in columns.items():
            if losses:
                heading.append(name)
                for row in rows:
                    row.append(f"{losses[row[0]]:.4f}" if row[0] in losses else "")
        if self.interval:
            heading.insert(2, ">95% interval")
            for row in rows:
                row.insert(2, shown_interval(self.interval[row[0]]))
        return Table("Loss per token", rows, heading)

    @property
    def bits(self) -> dict[str, float]:
        """Bits per predicted token: loss / ln 2."""
        return {part: loss / math.log(2) for part, loss in self.loss.items()}

    @property
    def perplexity(self) -> dict[str, float]:
        """e**loss: the number of equally likely tokens that would be as hard to predict."""
        return {part: math.exp(loss) if loss < 700 else math.inf for part, loss in self.loss.items()}

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain dictionaries."""
        names = ("loss", "interval", "bits", "perplexity", "tokens", "in_train", "new")
        more = {"each_once": self.each_once} if self.each_once else {}
        return {**{name: getattr(self, name) for name in names}, **more}


def evaluate(
    model: Model, corpus: Corpus, parts: Iterable[str] = PARTS, *, intervals: bool = False, most: int | None = None
) -> Evaluation:
    """Evaluate a model on every token of parts of a corpus.

    intervals   compute intervals too, and separate losses for words that are in train and for words that are not
    most        evaluate only so many tokens of a part, those of its first words, if the list has no weights or labels;
                words are in random order

    Raises InputError if their vocabularies differ, and if the model computes numbers that are not finite.
    """
    model.check_vocab(corpus)
    found = Evaluation({}, {})

    def finite_nll(stream: np.ndarray, **label: int) -> np.ndarray:
        nll = model.nll(stream, **label)
        check_finite(nll)
        return nll

    for part in parts:
        weights = corpus.weights(part)
        if not intervals and weights is None:
            found.tokens[part] = len(stream_of(corpus, part, most)) - 1
            found.loss[part] = part_loss(finite_nll, corpus, part, most)
            continue
        found.tokens[part] = len(corpus.stream(part)) - 1
        nll, tokens = part_nll(finite_nll, corpus, part)
        if weights is not None:
            found.each_once[part] = float(nll.sum() / tokens.sum())
            nll, tokens = nll * weights, tokens * weights
        found.loss[part] = float(nll.sum() / tokens.sum())
        if intervals:
            found.interval[part] = interval(nll, tokens)
            seen = corpus.stand_in_train(part)
            for kind, which in ((found.in_train, seen), (found.new, ~seen)):
                if which.any():
                    kind[part] = float(nll[which].sum() / tokens[which].sum())
    return found


def stream_of(corpus: Corpus, part: str, most: int | None = None) -> np.ndarray:
    """Return the stream of a part, or of its first words, with about `most` tokens, if it has no weights or labels."""
    stream = corpus.stream(part)
    if most is None or len(stream) <= most or corpus.words.has_columns:
        return stream
    return stream[: most + 1 + int(np.argmax(stream[most:] == END))]


def part_loss(nll: NLL, corpus: Corpus, part: str, most: int | None = None) -> float:
    """Return the mean nll in nats of the tokens of a part, by the weights of its words; for `most` see `evaluate`."""
    weights = corpus.weights(part)
    if weights is None and not corpus.label_names:
        return mean_nll(nll, stream_of(corpus, part, most))
    sums, tokens = part_nll(nll, corpus, part)
    return float(np.average(sums, weights=weights) / np.average(tokens, weights=weights))


def part_nll(nll: NLL, corpus: Corpus, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the nll of each word of a part, given its label if it has one, and its tokens: see `word_nll`."""
    if not corpus.label_names:
        return word_nll(nll, corpus.stream(part))
    labels = corpus.labels(part)
    sums, tokens = np.zeros(len(labels)), np.zeros(len(labels), np.int64)
    for label in np.unique(labels).tolist():
        here = labels == label
        sums[here], tokens[here] = word_nll(partial(nll, label=label), corpus.stream(part, label))
    return sums, tokens


def word_nll(nll: Callable[[np.ndarray], np.ndarray], stream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nll in nats of each word of a flat stream, end token included, float64 (W,), and its number of tokens,
    int64 (W,).
    """
    sums, tokens = zip(*_word_nll(nll, stream), strict=True)
    return np.concatenate(sums), np.concatenate(tokens)


def _word_nll(nll: Callable[[np.ndarray], np.ndarray], stream: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the values of `word_nll`, for a piece of the stream at a time."""
    for words in whole_words(stream, TOKENS):
        ends = np.flatnonzero(words[1:] == END) + 1
        begins = np.concatenate([[0], ends[:-1]])
        yield np.add.reduceat(nll(words), begins), ends - begins


def mean_nll(nll: Callable[[np.ndarray], np.ndarray], stream: np.ndarray) -> float:
    """Return the mean nll in nats of the tokens of a flat stream after its first 0."""
    return sum(float(sums.sum()) for sums, _ in _word_nll(nll, stream)) / (len(stream) - 1)


def interval(nll: np.ndarray, tokens: np.ndarray, seed: int = 0) -> Interval | None:
    """Return a 95% interval of the loss per token, by the bootstrap over words.

    nll and tokens (W,) are those of each word; fewer than FEWEST words give None. Words are resampled rather than
    tokens, because the tokens of a word are not independent. A long list is resampled in random groups of words, which
    vary as much. Efron and Tibshirani 1993, chapter 13: percentiles.
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


def shown_interval(found: Interval | None, sign: str = "") -> str:
    """Return an interval as text; `sign` is a format flag such as "+"."""
    return "too few words" if found is None else f"{found[0]:{sign}.4f} to {found[1]:{sign}.4f}"


def share_interval(k: int, n: int) -> Interval | None:
    """Return a 95% interval of a proportion, k of n words; None for fewer than FEWEST words. Wilson 1927."""
    if n < FEWEST:
        return None
    middle, half = (k + Z * Z / 2) / (n + Z * Z), Z / (n + Z * Z) * math.sqrt(k * (n - k) / n + Z * Z / 4)
    return max(0.0, middle - half), min(1.0, middle + half)
