"""Numbering the different values of an array in their order, without sorting them."""

import numpy as np

BITS_PER_VALUE = 128  # more bits than this for each value would take more memory than sorting
AT_A_TIME = 1 << 18  # values looked up


class Numbering:
    """The different ones of some whole numbers (N,) from 0 to size - 1, numbered from 0 in their order.

    A bit for each possible number says if it is there. With the count of bits before each 64, a number is found in one
    step. If there are too many possible numbers, the different ones are sorted instead, and found by bisection.

    sorted  the different numbers, int64 (D,)
    """

    def __init__(self, values: np.ndarray, size: int):
        self._bits = self._before = None
        if size > BITS_PER_VALUE * len(values) + AT_A_TIME:
            self.sorted = np.unique(values)
            return
        there = np.zeros(-(-size // 64) * 64, bool)
        there[values] = True
        self.sorted = np.flatnonzero(there)
        self._bits = np.packbits(there, bitorder="little").view("<u8")
        counts = np.bitwise_count(self._bits)
        self._before = np.cumsum(counts, dtype=np.int32) - counts

    def __len__(self) -> int:
        return len(self.sorted)

    def of(self, wanted: np.ndarray) -> np.ndarray:
        """Return the number of each wanted value (W,), -1 if it is not there: int32 (W,)."""
        found = np.empty(len(wanted), np.int32)
        for first in range(0, len(wanted), AT_A_TIME):
            here = slice(first, first + AT_A_TIME)
            found[here] = self._of(wanted[here])
        return found

    def _of(self, wanted: np.ndarray) -> np.ndarray:
        if self._bits is None or self._before is None:
            at = np.minimum(np.searchsorted(self.sorted, wanted), max(len(self.sorted) - 1, 0))
            return np.where(self.sorted[at] == wanted, at, -1) if len(self.sorted) else np.full(len(wanted), -1)
        at, place = wanted >> 6, (wanted & 63).astype(np.uint64)
        bits, one = self._bits[at], np.uint64(1)
        below = np.bitwise_count(bits & ((one << place) - one))
        return np.where(bits >> place & one, self._before[at] + below, -1)
