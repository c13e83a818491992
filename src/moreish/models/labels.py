"""Labels: kinds of words, such as languages, that a model with labels tells apart.

Given a label, such a model is an ordinary one: `Model.given`. Without a label it is the sum over labels,

    p(word) = sum over labels of p(label) p(word | label)

where p(label) is the share of the label in train.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..corpus import Corpus
from ..corpus.stream import END
from ..display.shown import first
from ..errors import unknown


@dataclass(frozen=True, eq=False, repr=False)
class Labels:
    """The labels of a list.

    names   sorted
    shares  the share of each in train, float64 (labels,)
    """

    names: tuple[str, ...]
    shares: np.ndarray

    def __repr__(self) -> str:
        return f"Labels({', '.join(first(self.names))})"

    @classmethod
    def of(cls, corpus: Corpus) -> "Labels | None":
        """Return the labels of a corpus; None if it has none."""
        return cls(corpus.label_names, corpus.label_shares) if corpus.label_names else None

    def __len__(self) -> int:
        return len(self.names)

    def number(self, name: str) -> int:
        """Return the number of a label. Raises InputError for an unknown one, with the nearest."""
        if name not in self.names:
            raise unknown("label", name, self.names)
        return self.names.index(name)


def sum_over_labels(nlls: Iterable[np.ndarray], shares: np.ndarray, stream: np.ndarray) -> np.ndarray:
    """Return the nll of each token of a stream (1 + N,) without its label, from the nll given each label, (N,) each.

    The probability of a word's first k characters is a sum over labels, so that of a character is a ratio of two sums.
    """
    ends = np.flatnonzero(stream[1:] == END)
    begins = np.concatenate([[0], ends[:-1] + 1])
    log_p = np.full(len(stream) - 1, -np.inf)  # of each word up to and with this token
    for nll, share in zip(nlls, shares, strict=True):
        log_p = np.logaddexp(log_p, np.log(share) - _summed(nll, begins, ends))
    shorter = np.concatenate([[0.0], log_p[:-1]])
    shorter[begins] = 0
    return shorter - log_p


def _summed(nll: np.ndarray, begins: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the sum of the nll (N,) from the beginning of a word to each token; no word changes that of another.

    The words begin and end at the places begins and ends (W,). A step adds a token of each word that has one left.
    """
    sums, at = nll.copy(), begins
    while (on := at < ends).any():
        at, ends = at[on], ends[on]
        sums[at + 1] += sums[at]
        at = at + 1
    return sums
