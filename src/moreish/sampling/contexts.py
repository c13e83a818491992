"""Contexts: all states of a model, where these are few enough for a table. Dynamic programming needs the table.

The contexts of a net are all sequences of the last n tokens, and those of a counted model the nodes of its automaton.
"""

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ..engine.protocol import Reader


class Contexts(Protocol):
    """The contexts of a model."""

    @property
    def size(self) -> float:
        """Number of contexts; infinite if it has no limit or is not known."""
        ...

    def table(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Return the state of each context (size, W), the number of the next context after each token (size, V), int32,
        and the number of the context at the beginning of a word.
        """
        ...


@dataclass(frozen=True)
class TokenContexts:
    """The last n tokens, 0 before the word, for a reader that sees no more of a word; None for one that sees all."""

    reader: Reader
    params: np.ndarray
    n: int | None
    V: int

    @property
    def size(self) -> float:
        return math.inf if self.n is None else self.V**self.n

    def table(self) -> tuple[np.ndarray, np.ndarray, int]:
        assert self.n is not None
        begin = states = self.reader.begin(self.params)
        for _ in range(self.n):
            tokens = np.tile(np.arange(self.V), len(states))
            states = self.reader.after(self.params, np.repeat(states, self.V, 0), tokens)
            states[:1] = begin  # of a context without a character
        numbers = np.arange(len(states))[:, None]
        return states, (numbers * self.V % len(states) + np.arange(self.V)).astype(np.int32), 0
