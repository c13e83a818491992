"""Pieces of a stream of tokens for several threads, each of whole words."""

from itertools import pairwise

import numpy as np

LOOK = 4096  # tokens that are looked through at a time


def pieces_of(stream: np.ndarray, n: int) -> list[tuple[int, int]]:
    """Up to n pieces of about equal length: piece (a, b) is stream[a : b + 1], from one end token to another."""
    last = len(stream) - 1
    ends = [0, *(_end_from(stream, last * place // n) for place in range(1, n)), last]
    return [(a, b) for a, b in pairwise(ends) if a < b] or [(0, last)]


def _end_from(stream: np.ndarray, at: int) -> int:
    """The first end token from a position on, or the last position."""
    while at < len(stream):
        found = np.flatnonzero(stream[at : at + LOOK] == 0)
        if found.size:
            return at + int(found[0])
        at += LOOK
    return len(stream) - 1
