"""Splitting a stream of tokens at the ends of words, for several threads."""

from itertools import pairwise

import numpy as np

SEARCH_TOKENS = 4096  # tokens searched for an end at a time


def split_at_words(stream: np.ndarray, n: int) -> list[tuple[int, int]]:
    """Split a stream into up to n chunks of about equal length.

    Chunk (a, b) is stream[a : b + 1], from one end token to another.
    """
    last = len(stream) - 1
    ends = [0, *(_end_from(stream, last * place // n) for place in range(1, n)), last]
    return [(a, b) for a, b in pairwise(ends) if a < b] or [(0, last)]


def _end_from(stream: np.ndarray, at: int) -> int:
    """Return the position of the first end token from `at` on, or the last position."""
    while at < len(stream):
        found = np.flatnonzero(stream[at : at + SEARCH_TOKENS] == 0)
        if found.size:
            return at + int(found[0])
        at += SEARCH_TOKENS
    return len(stream) - 1
