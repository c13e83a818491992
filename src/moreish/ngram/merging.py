"""Merging counts: those of a list are the sums of those of its parts.

The windows of the highest order are enough: all shorter ones follow from them (see `tables`). Parts may have different
characters. Tokens are numbered in the order of the characters, so windows stay sorted when their tokens get the numbers
of a larger vocabulary.
"""

from dataclasses import dataclass

import numpy as np

from ..corpus import Vocab
from ..engine.batches import distinct_windows
from .windows import BYTES_PER_TOKEN, MAX_BITS, CountsInMemory, Windows, check_room, count_windows

KEPT = ("windows", "counts")  # arrays of a model


@dataclass(frozen=True)
class KeptCounts:
    """The windows of n tokens of a list, and how often each occurs.

    rows    the different windows, sorted: unsigned integers (D, n)
    counts  int64 (D,)
    """

    vocab: Vocab
    rows: np.ndarray
    counts: np.ndarray

    @classmethod
    def of(cls, stream: np.ndarray, weights: np.ndarray | None, order: int, vocab: Vocab, memory: int) -> "KeptCounts":
        """Count the windows of `order` tokens in a flat stream (see `Corpus.stream`).

        weights     a whole number for each word, how often it counts; None if all count once

        Raises InputError if there are so many that their tables would take more than `memory` bytes.
        """
        if weights is not None:
            rows, counts = distinct_windows(stream, order, weights=weights)
            check_room(len(rows), memory // (BYTES_PER_TOKEN * order), order, 1, memory)
        else:
            found = count_windows(stream, order, len(vocab), memory=memory)
            rows, counts = np.stack([found.at(place) for place in range(order)], axis=1), found.counts
        return cls(vocab, _small(rows, len(vocab) - 1), counts)

    @classmethod
    def from_arrays(cls, vocab: Vocab, arrays: dict[str, np.ndarray], order: int) -> "KeptCounts":
        """Return the counts in the arrays of a model. Raises KeyError or ValueError if they do not fit together."""
        rows, counts = (arrays[name] for name in KEPT)
        fit = rows.ndim == 2 and rows.shape[1] == order and counts.shape == rows.shape[:1] and len(rows)
        if not fit or rows.dtype.kind != "u" or counts.dtype.kind != "u":
            raise ValueError("its counts do not fit together")
        kept = cls(vocab, rows, counts.astype(np.int64))
        if rows.max() >= len(vocab) or kept.counts.min() < 1 or not kept._different():
            raise ValueError("its counts do not fit together")
        return kept

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """The arrays by which a model keeps the counts."""
        return dict(zip(KEPT, (self.rows, _small(self.counts, int(self.counts.max()))), strict=True))

    @property
    def windows(self) -> Windows:
        """The windows, to make tables of."""
        D, n = self.rows.shape
        return Windows(lambda place: self.rows[:, place], self.counts, np.full(D, n, np.int8))

    def __add__(self, other: "KeptCounts") -> "KeptCounts":
        """Add the counts of another part of the list."""
        vocab = Vocab(self.vocab.characters + other.vocab.characters)
        mine, theirs = self._in(vocab), other._in(vocab)
        n, bits = mine.shape[1], _bits(vocab)
        if n * bits > MAX_BITS:
            rows, of = np.unique(np.concatenate([mine, theirs]), axis=0, return_inverse=True)
            counts = np.bincount(of.ravel(), np.concatenate([self.counts, other.counts])).astype(np.int64)
            return KeptCounts(vocab, rows, counts)
        total = CountsInMemory(_packed(mine, bits), self.counts)
        total.add(_packed(theirs, bits), other.counts)
        rows = np.empty((len(total.keys), n), mine.dtype)
        for place in range(n):
            rows[:, place] = total.keys >> bits * (n - 1 - place) & (1 << bits) - 1
        return KeptCounts(vocab, rows, np.ascontiguousarray(total.counts))

    def _in(self, vocab: Vocab) -> np.ndarray:
        """Return the windows in the tokens of a larger vocabulary."""
        tokens = np.array([0, *(vocab.table[ord(c)] for c in self.vocab.characters)])
        return _small(tokens, len(vocab) - 1)[self.rows]

    def _different(self) -> bool:
        """Return True if the windows differ, and are sorted if they can be packed."""
        n, bits = self.rows.shape[1], _bits(self.vocab)
        if n * bits > MAX_BITS:
            return len(np.unique(self.rows, axis=0)) == len(self.rows)
        return bool((np.diff(_packed(self.rows, bits)) > 0).all())


def _bits(vocab: Vocab) -> int:
    """Return the bits of a token."""
    return max(1, (len(vocab) - 1).bit_length())


def _packed(rows: np.ndarray, bits: int) -> np.ndarray:
    """Return each window (D, n) as one number, int64 (D,)."""
    keys = np.zeros(len(rows), np.int64)
    for place in range(rows.shape[1]):
        keys <<= bits
        keys |= rows[:, place]
    return keys


def _small(numbers: np.ndarray, largest: int) -> np.ndarray:
    """Return whole numbers from 0 on in the smallest type that holds the largest one."""
    return numbers.astype(np.min_scalar_type(largest))
