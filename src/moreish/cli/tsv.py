"""Scores of plain lines, separated by tabs: a whole block of lines at once, without a Python object for each word.

A line is a row of a structured array, whose fields take texts from tables by number: of whole parts, of four decimals,
of percentiles with verdicts. Shorter texts have zero bytes after them, which are removed at the end.
"""

import math
from functools import cache, cached_property

import numpy as np

from ..analysis.scoring import Scorer

PLAIN = bytes(set(range(0x21, 0x7F)) - {ord("\\")}) + b"\n"  # characters that are printed as they are
MOST_PADDED = 8  # times the size of a block: that of its words, all as long as the longest
DECIMALS = 10_000
LARGEST = 10_000.0  # nats per token
DOUBT = 1e-6  # from a half: there a product, which is rounded, may be on the other side


class PlainLines:
    """Scores blocks of plain lines and formats them, as `tsv_lines` does for any words.

    neither     text of no verdict
    """

    def __init__(self, scorer: Scorer, neither: str = ""):
        self.scorer, self.neither = scorer, neither

    def rows(self, block: bytes) -> bytes | None:
        """Score lines, each with a line feed at its end; None for a block that is not plain, or has unusual numbers."""
        if block.translate(None, PLAIN):
            return None
        characters = np.frombuffer(block, np.uint8)
        in_word = characters != ord("\n")
        lengths = np.diff(np.flatnonzero(~in_word), prepend=-1) - 1
        longest = max(1, int(lengths.max()))
        if longest * len(lengths) > MOST_PADDED * len(block):
            return None
        nll, places = self.scorer.of_lines(block)
        if np.signbit(nll).any() or nll.max() > LARGEST:
            return None
        words = np.zeros((len(lengths), longest), np.uint8)
        words[np.arange(longest) < lengths[:, None]] = characters[in_word]
        columns = [words.view(f"S{longest}")[:, 0], *texts(nll), *texts(nll / math.log(2)), self.ends[places]]
        rows = np.empty(len(lengths), [(str(i), column.dtype) for i, column in enumerate(columns)])
        for i, column in enumerate(columns):
            rows[str(i)] = column
        return rows.tobytes().translate(None, b"\0")

    @cached_property
    def ends(self) -> np.ndarray:
        """The ends of lines, with percentile and verdict, by place (see `Bands`), bytes (places,)."""
        bands = self.scorer.bands
        words = {True: "true", False: "false", None: self.neither}
        rows = zip(bands.percentile.tolist(), bands.likely.tolist(), strict=True)
        return np.array([f"\t{percentile:.2f}\t{words[likely]}\n".encode() for percentile, likely in rows])


def texts(numbers: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Format numbers (W,) with four decimals after a tab: their whole parts and their decimals, bytes (W,) each.

    The numbers must be from 0 to about LARGEST. They are rounded as Python rounds, exactly.
    """
    scaled = numbers * DECIMALS
    rounded = np.rint(scaled).astype(np.int64)
    for i in np.flatnonzero(np.abs(scaled % 1 - 0.5) < DOUBT).tolist():
        rounded[i] = int(f"{numbers[i]:.4f}".replace(".", ""))
    whole, decimals = np.divmod(rounded, DECIMALS)
    return whole_parts(1 << int(whole.max()).bit_length())[whole], all_decimals()[decimals]


@cache
def whole_parts(n: int) -> np.ndarray:
    """The numbers below n as texts, each after a tab."""
    return np.array([b"\t%d" % i for i in range(n)])


@cache
def all_decimals() -> np.ndarray:
    """Four decimals as texts, each after a point."""
    return np.array([b".%04d" % i for i in range(DECIMALS)])
