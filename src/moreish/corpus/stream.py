"""Going over a flat stream of tokens, some whole words at a time."""

from collections.abc import Iterator

import numpy as np

END = 0  # the token that ends every word, and stands for all that comes before one; it is no character


def whole_words(stream: np.ndarray, n: int) -> Iterator[np.ndarray]:
    """Runs of a stream (M,), of about n tokens each: views that begin with the 0 before a word and end with one."""
    start = 0
    while start < len(stream) - 1:
        stop = min(start + n, len(stream) - 1)
        while stream[stop] != END:
            stop += 1
        yield stream[start : stop + 1]
        start = stop
