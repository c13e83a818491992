"""Contexts, the part of a word that a prediction depends on, as rows of integers.

A context is the last n tokens for a net, and a node of the automaton for a counted model.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Contexts(Protocol):
    """The contexts of a model, rows of W integers each."""

    @property
    def begin(self) -> np.ndarray:
        """The context at the beginning of a word, int64 (W,)."""
        ...

    @property
    def size(self) -> int:
        """Number of contexts."""
        ...

    def after(self, rows: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Append a token to each context: rows (N, W), tokens (N,) -> rows (N, W)."""
        ...

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Rows (N, W) -> logits of the next token (N, V)."""
        ...

    def table(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Return all contexts (size, W), the number of the next one after each token (size, V), and that of `begin`."""
        ...


@dataclass(frozen=True)
class TokenContexts:
    """The last n tokens, 0 before the word: the contexts of a net with a block size of n.

    predict     the model: contexts (N, n) -> logits (N, V)
    """

    predict: Callable[[np.ndarray], np.ndarray]
    n: int
    V: int

    @property
    def begin(self) -> np.ndarray:
        return np.zeros(self.n, np.int64)

    @property
    def size(self) -> int:
        return self.V**self.n

    def after(self, rows: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        return np.concatenate([rows[:, 1:], tokens[:, None]], axis=1)

    def logits(self, rows: np.ndarray) -> np.ndarray:
        return self.predict(np.ascontiguousarray(rows))

    def table(self) -> tuple[np.ndarray, np.ndarray, int]:
        numbers = np.arange(self.size)[:, None]
        rows = numbers // self.V ** np.arange(self.n)[::-1] % self.V
        return rows, (numbers * self.V % self.size + np.arange(self.V)).astype(np.int32), 0
