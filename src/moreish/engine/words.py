"""Batches of whole words, for layers that go along words.

A batch depends on (seed, step) alone, as that of contexts does: see `batches`.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from ..corpus.stream import END
from ..layers.jit import njit
from ..layers.levels import KEY, MAX_LEVELS, MAX_ROWS, Levels, levels_of, levels_size
from .batches import NO_WEIGHTS, choose, whole
from .guide import Guide
from .packing import SortedWords, pack, sort_words
from .rng import key_of_step

NO_PAIRS = np.zeros(0, np.int64)


class WordSource(NamedTuple):
    """The words that batches are drawn from.

    stream      (M,) int32: words one after another, each ended by 0, after a first 0
    begins      (W,) int64: the place of the first token of each word
    labels      (W,) int64: the label of each; empty if there are none
    ends        (W,) float64: sums of the words' weights, scaled so that the last is W; empty if all count once
    weights     (W,) int64: of a batch of all words, how often each counts; empty for batches that are drawn
    size        words in a batch
    shared      True if equal prefixes are one row
    seed        the batch of a step depends on the seed and the number of the step
    """

    stream: np.ndarray
    begins: np.ndarray
    labels: np.ndarray
    ends: np.ndarray
    weights: np.ndarray
    size: int
    shared: bool
    seed: int


@njit
def words_of_step(source, step):
    """The words of a step, sorted."""
    n, B = source.begins.size, source.size
    chosen, scratch = np.empty(B, np.int64), np.empty(B, np.int64)
    if source.weights.size:
        for i in range(B):
            chosen[i] = i
    else:
        choose(n, source.ends, source.seed, step * B, chosen)
    begins, order, common = np.empty(B, np.int64), np.empty(B, np.int64), np.empty(B, np.int64)
    labels, weights = np.empty(B if source.labels.size else 0, np.int64), np.empty(B, np.int64)
    for i in range(B):
        begins[i], order[i] = source.begins[chosen[i]], i
        weights[i] = source.weights[chosen[i]] if source.weights.size else 1
        if labels.size:
            labels[i] = source.labels[chosen[i]]
    words = SortedWords(source.stream, begins, labels, weights, order, common)
    sort_words(words, scratch)
    return words


class Packed(NamedTuple):
    """Whole words as rows, in memory of their own.

    contexts    (rows, 1) int64: the last token of each row's prefix; and in a second column its label, if there are any
    levels      of the rows
    total       of the counts of the whole batch, of which these words may be a part
    softness, guide     of the targets: see `WordBatches`
    """

    contexts: np.ndarray
    levels: Levels
    total: int
    softness: float = 0.0
    guide: Guide | None = None


def pack_words(
    words: SortedWords, first: int, last: int, *, shared: bool = True, key: int = 0, pairs: np.ndarray = NO_PAIRS
) -> Packed:
    """Pack words `first` ... `last` - 1, in sorted order. See `packing.pack` for pairs."""
    from .tape.compile import whole_words  # which imports this module

    lengths = words.lengths()
    of_part = lengths[words.order[first:last]]
    n_levels, room = int(of_part.max(initial=0)) + 1, int(of_part.sum()) + len(of_part)
    ints = np.zeros(levels_size(n_levels, room), np.int64)
    ints[MAX_LEVELS], ints[MAX_ROWS], ints[KEY] = n_levels, room, key
    contexts, levels = np.zeros((room, 2 if words.labels.size else 1), np.int64), levels_of(ints, 0)
    n = whole_words(pack)(words, first, last, shared, contexts, levels, np.zeros((4, n_levels), np.int64), pairs)
    return Packed(contexts[:n], levels, int(((lengths + 1) * words.weights)[words.order].sum()))


def ended(stream: np.ndarray, n_vocab: int) -> np.ndarray:
    """Return a stream (1 + N,) with the end of its last word. Raises ValueError for tokens not in 0 ... n_vocab - 1."""
    if stream.min() < 0 or stream.max() >= n_vocab:
        raise ValueError(f"tokens must be from 0 to {n_vocab - 1}")
    return stream if stream[-1] == END else np.append(stream, END).astype(np.int32)


def sorted_words(stream: np.ndarray) -> SortedWords:
    """All words of a stream, sorted; each counts once."""
    from .tape.compile import whole_words

    begins = np.flatnonzero(stream[:-1] == END) + 1
    n = len(begins)
    words = SortedWords(stream, begins, NO_PAIRS, np.ones(n, np.int64), np.arange(n), np.zeros(n, np.int64))
    whole_words(sort_words)(words, np.zeros(n, np.int64))
    return words


@dataclass(frozen=True)
class WordBatches:
    """The source of the batches of whole words for training.

    softness    of the targets, the share that is not the tokens themselves: see `layers.soft_loss`
    guide       with softness, a distribution (V,) for each of some prefixes; without a guide, the uniform one
    """

    source: WordSource
    softness: float = 0.0
    guide: Guide | None = None

    @property
    def size(self) -> int:
        """Words in a batch."""
        return self.source.size

    @property
    def n_examples(self) -> int:
        """Words in one pass over the data."""
        return len(self.source.begins)

    def of_size(self, size: int) -> "WordBatches":
        """Return batches of another size from the same words."""
        return replace(self, source=self.source._replace(size=size))

    @property
    def tokens(self) -> float:
        """The mean number of tokens in a batch."""
        weights = np.diff(self.source.ends, prepend=0) if self.source.ends.size else None
        return self.size * float(np.average(self._lengths + 1, weights=weights))

    @cached_property
    def longest(self) -> int:
        """Characters of the longest word."""
        return int(self._lengths.max())

    @cached_property
    def _lengths(self) -> np.ndarray:
        return _lengths_of(self.source)

    def room(self, parts: int) -> int:
        """The largest number of rows and of pairs in one of `parts` into which `packing.split_evenly` cuts a batch."""
        source, order = self.source, np.argsort(-self._lengths)
        if source.weights.size:  # the same batch at every step
            words = self.words(0)
            pairs = self._lengths[words.order] + 1 - np.maximum(words.common, 0)
            return -(-int(pairs.sum()) // parts) + 2 * (self.longest + 1)
        times = np.ones(len(order))
        if source.ends.size:  # a batch takes part of at most two passes, or of as many as it is large
            passes = 1 + -(-self.size // self.n_examples)
            times = passes * (1 + np.floor(np.diff(source.ends, prepend=0)))
        else:
            times *= -(-self.size // self.n_examples) + 1
        before = np.cumsum(times[order]) - times[order]
        taken = np.clip(self.size - before, 0, times[order])
        tokens = int((taken * (self._lengths[order] + 1)).sum())
        return -(-tokens // parts) + 2 * (self.longest + 1)

    def words(self, step: int) -> SortedWords:
        """Return the words of a step, sorted."""
        from .tape.compile import whole_words

        return whole_words(words_of_step)(self.source, step)

    def key(self, step: int) -> int:
        """Return the key of the random numbers of a step."""
        return int(key_of_step(self.source.seed, step))

    def packed(self, step: int, most: int | None = None, *, part: int = 0, parts: int = 1) -> Packed:
        """Return the batch of a step, or one of several parts of about equally many words.

        most    limit it to some words, evenly from all in sorted order
        """
        words = self.words(step)
        if most is not None and most < len(words.order):
            words = _thinned(words, most)
        n = len(words.order)
        first, last = n * part // parts, n * (part + 1) // parts
        packed = pack_words(words, first, last, shared=self.source.shared, key=self.key(step))
        return packed._replace(softness=self.softness, guide=self.guide)

    @classmethod
    def drawn(
        cls,
        stream: np.ndarray,
        size: int,
        seed: int,
        labels: np.ndarray | None = None,
        weights: np.ndarray | None = None,
        *,
        shared: bool = True,
    ) -> "WordBatches":
        """Batches of `size` words; labels and weights (W,) are those of each word.

        shared      make equal prefixes one row; without, which is for measurements, each word has rows of its own
        """
        ends = NO_WEIGHTS if weights is None else np.cumsum(weights)
        if weights is not None:
            ends = ends * (len(ends) / ends[-1])
        return cls(_source(stream, labels)._replace(ends=ends, size=size, seed=seed, shared=shared))

    @classmethod
    def of_all(
        cls, stream: np.ndarray, seed: int, labels: np.ndarray | None = None, weights: np.ndarray | None = None
    ) -> "WordBatches":
        """The batch of all words, at every step."""
        source = _source(stream, labels)
        counts = np.ones(len(source.begins)) if weights is None else weights
        counts = whole(counts, (counts * (1 + _lengths_of(source))).sum())
        return cls(source._replace(weights=counts, size=len(counts), seed=seed))


def _thinned(words: SortedWords, n: int) -> SortedWords:
    """Return n of the words, evenly from all in sorted order; neighbours have in common what all in between have."""
    places = np.linspace(0, len(words.order) - 1, n).astype(np.int64)
    common = np.minimum.reduceat(words.common, np.append(0, places[:-1] + 1))
    common[0] = -1
    return words._replace(order=words.order[places], common=common)


def _source(stream: np.ndarray, labels: np.ndarray | None) -> WordSource:
    begins = np.flatnonzero(stream[:-1] == END) + 1
    of_words = NO_PAIRS if labels is None else labels.astype(np.int64)
    return WordSource(stream, begins, of_words, NO_WEIGHTS, NO_PAIRS, 1, True, 0)


def _lengths_of(source: WordSource) -> np.ndarray:
    return np.diff(source.begins, append=len(source.stream)) - 1
