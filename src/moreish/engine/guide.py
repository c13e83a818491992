"""A guide: numbers for prefixes of words, which the rows of a batch find by the random keys of their prefixes.

The key of the empty prefix is `bits(label, 0)`, with label 0 if words have none, and that of a longer one is
`bits(key of the prefix without its last token, the token)`. `packing.pack` gives the rows of a batch the same keys, if
equal prefixes share rows. Two different prefixes have the same key with a probability of 2**-64.
"""

from typing import NamedTuple

import numpy as np

from ..corpus.stream import END
from ..layers.random import bits_of


class Guide(NamedTuple):
    """Numbers for some prefixes.

    keys    (D,) int64: those of the prefixes, sorted, each once
    rows    (D, n) float32: the numbers of each
    """

    keys: np.ndarray
    rows: np.ndarray

    def entries(self, keys: np.ndarray) -> np.ndarray:
        """Return the entry of each key (N,) -> (N,), -1 for a key without one."""
        if not len(self.keys):
            return np.full(len(keys), -1)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        return np.where(self.keys[places] == keys, places, -1)


def prefix_keys(stream: np.ndarray, labels: np.ndarray | None = None) -> np.ndarray:
    """Return the key of the prefix before each token of a stream (1 + N,) -> (N,) int64.

    stream      words one after another, each ended by 0, after a first 0
    labels      (W,): the label of each word
    """
    at = np.flatnonzero(stream[:-1] == END)  # the place of the next token of each word, without the first 0
    keys = np.zeros(len(stream) - 1, np.int64)
    roots = np.zeros(len(at), np.int64) if labels is None else labels.astype(np.int64)
    here = bits_of(roots, np.zeros(len(at), np.int64))
    while at.size:
        keys[at] = here.astype(np.int64)
        tokens = stream[1 + at].astype(np.int64)
        on = tokens != END
        at, here = at[on] + 1, bits_of(here[on], tokens[on])
        inside = at < len(keys)  # a last word may lack its end
        at, here = at[inside], here[inside]
    return keys
