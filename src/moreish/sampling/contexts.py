"""What a model's prediction depends on, as rows of numbers: the last tokens, or a node of an automaton of counts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np


class Contexts(Protocol):
    """The contexts of a model, rows of W numbers each."""

    @property
    def begin(self) -> np.ndarray:
        """The one at the beginning of a word, int64 (W,)."""
        ...

    @property
    def size(self) -> int:
        """How many there are in all."""
        ...

    def after(self, rows: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The contexts after a further token each: rows (N, W), tokens (N,) -> (N, W)."""
        ...

    def logits(self, rows: np.ndarray) -> np.ndarray:
        """Rows (N, W) -> logits of the next token (N, V)."""
        ...

    def table(self) -> tuple[np.ndarray, np.ndarray, int]:
        """All contexts (size, W), the number of the one after each token, int32 (size, V), and that of `begin`."""
        ...


@dataclass(frozen=True)
class TokenContexts:
    """The last n tokens, 0 where the word has not begun: what a net with a context of n characters sees.

    reads   the model: contexts (N, n) -> logits (N, V)
    """

    reads: Callable[[np.ndarray], np.ndarray]
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
        return self.reads(np.ascontiguousarray(rows))

    def table(self) -> tuple[np.ndarray, np.ndarray, int]:
        numbers = np.arange(self.size)[:, None]
        rows = numbers // self.V ** np.arange(self.n)[::-1] % self.V
        return rows, (numbers * self.V % self.size + np.arange(self.V)).astype(np.int32), 0
