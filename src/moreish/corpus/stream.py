"""Iterating over a flat stream of tokens, in runs of whole words."""

from collections.abc import Iterator

import numpy as np

END = 0  # the token that ends every word and pads the context before it; no character


def whole_words(stream: np.ndarray, n: int) -> Iterator[np.ndarray]:
    """Yield a stream (M,) in runs of about n tokens: views from the 0 before a word to the 0 after one."""
    start = 0
    while start < len(stream) - 1:
        stop = min(start + n, len(stream) - 1)
        while stream[stop] != END:
            stop += 1
        yield stream[start : stop + 1]
        start = stop
