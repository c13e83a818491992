"""Merging counts: those of a list are the sums of those of its parts.

The windows of the highest order are enough: all shorter ones follow from them (see `tables`). Parts may have different
characters. Tokens are numbered in the order of the characters, so windows stay sorted when their tokens get the numbers
of a larger vocabulary.
"""

from dataclasses import dataclass

import numpy as np

from ..corpus import Vocab
from ..engine.batches import distinct_windows
from .orders import Windows
from .windows import (
    BYTES_PER_TOKEN,
    MAX_BITS,
    check_room,
    compiled,
    count_new,
    count_windows,
    in_order,
    merge,
)

KEPT = ("windows", "counts")  # arrays of a model


@dataclass(frozen=True)
class KeptCounts:
    """The windows of n tokens of a list, and how often each occurs.

    rows    the different windows, in the order of `Windows`: unsigned integers (D, n)
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
            found = in_order(*distinct_windows(stream, order, weights=weights), _bits(vocab))
            check_room(len(found.counts), memory // (BYTES_PER_TOKEN * order), order, 1, memory)
        else:
            found = count_windows(stream, order, len(vocab), memory=memory)
        return cls._of(found, vocab)

    @classmethod
    def _of(cls, found: Windows, vocab: Vocab) -> "KeptCounts":
        rows = np.stack([_small(found.at(place), len(vocab) - 1) for place in range(found.n)], axis=1)
        return cls(vocab, rows, found.counts)

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
        return in_order(self.rows, self.counts, _bits(self.vocab))

    def __add__(self, other: "KeptCounts") -> "KeptCounts":
        """Add the counts of another part of the list."""
        vocab = Vocab(self.vocab.characters + other.vocab.characters)
        mine, theirs = self._in(vocab), other._in(vocab)
        n, bits = mine.shape[1], _bits(vocab)
        if n * bits > MAX_BITS:
            rows, of = np.unique(np.concatenate([mine, theirs]), axis=0, return_inverse=True)
            counts = np.bincount(of.ravel(), np.concatenate([self.counts, other.counts])).astype(np.int64)
            return KeptCounts._of(in_order(rows, counts, bits), vocab)
        more, size = _packed(theirs, bits), len(mine)
        keys = _packed(mine, bits)
        total = size + compiled(count_new)(keys, more)
        keys, counts = (np.append(array, np.zeros(total - size, np.int64)) for array in (keys, self.counts))
        compiled(merge)(keys, counts, size, more, other.counts)
        rows = np.empty((total, n), mine.dtype)
        for place, column in enumerate(rows.T):
            column[:] = keys >> bits * ((place + 1) % n) & (1 << bits) - 1
        return KeptCounts(vocab, rows, counts)

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
    """Return each window (D, n) as one number, as `Windows` has it: int64 (D,)."""
    keys, n = np.zeros(len(rows), np.int64), rows.shape[1]
    for place, column in enumerate(rows.T):
        keys |= column.astype(np.int64) << bits * ((place + 1) % n)
    return keys


def _small(numbers: np.ndarray, largest: int) -> np.ndarray:
    """Return whole numbers from 0 on in the smallest type that holds the largest one."""
    return numbers.astype(np.min_scalar_type(largest))
