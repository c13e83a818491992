"""Iterating over a flat stream of tokens, in runs of whole words."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

END = 0  # the token that ends every word and pads the context before it; no character


class Words(NamedTuple):
    """Words as a flat stream (1 + N,), and how often each counts, float64 (words,); None if all count once."""

    stream: np.ndarray
    weights: np.ndarray | None = None


def whole_words(stream: np.ndarray, n: int) -> Iterator[np.ndarray]:
    """Yield a stream (M,) in runs of about n tokens: views from the 0 before a word to the 0 after one."""
    start = 0
    while start < len(stream) - 1:
        stop = min(start + n, len(stream) - 1)
        while stream[stop] != END:
            stop += 1
        yield stream[start : stop + 1]
        start = stop


def in_batches(words: Iterable[str], characters: int = 1 << 18) -> Iterator[list[str]]:
    """Yield words in lists of about a number of characters; one word may have more."""
    batch, n = [], 0
    for word in words:
        batch.append(word)
        n += len(word) + 1
        if n >= characters:
            yield batch
            batch, n = [], 0
    if batch:
        yield batch


def per_token(stream: np.ndarray, of_words: np.ndarray) -> np.ndarray:
    """Repeat a value of each word (W,) for every token after the first of a stream (1 + N,): (N,)."""
    ends = np.flatnonzero(stream[1:] == END)
    return np.repeat(of_words, np.diff(ends, prepend=-1))
