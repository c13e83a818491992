"""Weights of a mixture that depend on the context: they are a function of its features f(h), which begin with a 1.

    linear      w(h) = softmax over the parts of theta_i . f(h)
    log-linear  w_i(h) = exp(theta_i . f(h))

The features of a context are

    its length, which is the position in the word
    for each part, the entropy and the probability of the end of the word
    for each n-gram among the parts, the length of the longest context that it has counted, and the share of the
    probability that this one leaves to shorter contexts, which falls with its count

No feature depends on the next token, so the probabilities of all tokens sum to one.

Features are standardised: their mean over val is 0, their standard deviation 1.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..corpus import END
from ..engine.protocol import Reader
from ..ngram import Automaton

FURTHEST = 4.0  # standard deviations; a feature further from its mean counts as this far
LARGEST = 1e6  # size of a number in the arrays
LARGEST_SCORE = 30.0  # the logarithm of the largest log-linear weight


class Features:
    """Features of the contexts of a mixture's readers; `n` is their number, without the 1."""

    def __init__(self, readers: Sequence[Reader]):
        counted = [(i, reader) for i, reader in enumerate(readers) if isinstance(reader, Automaton)]
        self._of_nodes = [(i, of_nodes(reader)) for i, reader in counted]
        self.n = 2 + 2 * len(readers) + 2 * len(counted)

    def __call__(self, positions: np.ndarray, states: Sequence[np.ndarray], logs: np.ndarray) -> np.ndarray:
        """Return the features of N contexts, not standardised, float64 (N, n).

        positions   the number of tokens before each context's next one, (N,)
        states      of each part, (N, W) each
        logs        log-probabilities of every next token by each part, (parts, N, V)
        """
        at, p = positions[:, None], np.exp(logs)
        entropies, ends = -(p * logs).sum(2), p[:, :, END]
        counted = [table[states[i][:, 0]] for i, table in self._of_nodes]
        return np.concatenate([np.log1p(at), at == 0, entropies.T, ends.T, *counted], axis=1)


def of_nodes(reader: Automaton) -> np.ndarray:
    """Return the length of each node's context, and the logarithm of its share: float64 (nodes, 2)."""
    share, parent = reader.probabilities.share, reader.graph.parent
    lengths, at = np.zeros(len(share)), np.arange(len(share))
    for _ in range(reader.probabilities.order - 1):
        lengths += at > 0
        at = np.where(at > 0, parent[at], 0)
    return np.stack([lengths, np.log(share)], axis=1)


class Gate(NamedTuple):
    """The function from features to weights.

    theta           (parts, 1 + n), those of the 1 first
    centre, scale   mean and standard deviation of each feature, (n,)
    gain            nats per token by which it was better than fixed weights on held-out val words
    """

    theta: np.ndarray
    centre: np.ndarray
    scale: np.ndarray
    gain: float = 0.0

    @classmethod
    def of(cls, arrays: dict[str, np.ndarray]) -> "Gate":
        """Make a gate from the arrays of a mixture. Raises KeyError or ValueError if one is missing or wrong."""
        return cls(arrays["gate"], arrays["gate_centre"], arrays["gate_scale"], float(arrays["gate_gain"].item()))

    @classmethod
    def even(cls, readers: Sequence[Reader]) -> "Gate":
        """Return a gate that gives all parts the same weight in every context."""
        n = Features(readers).n
        return cls(np.zeros((len(readers), 1 + n)), np.zeros(n), np.ones(n))

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        gain = np.array([self.gain])
        return {"gate": self.theta, "gate_centre": self.centre, "gate_scale": self.scale, "gate_gain": gain}

    def check(self, n_parts: int, n: int) -> None:
        """Raise ValueError unless the arrays fit a number of parts and of features, and hold finite numbers."""
        if self.theta.shape != (n_parts, 1 + n) or not self.centre.shape == self.scale.shape == (n,):
            raise ValueError("its gate is not that of its parts")
        small = all((np.abs(array) < LARGEST).all() for array in self.arrays.values())  # and no NaN
        if not small or not (self.scale > 0).all():
            raise ValueError("its gate holds a number that is out of range")

    def standardised(self, features: np.ndarray) -> np.ndarray:
        """Return f(h) of features (N, n): float64 (N, 1 + n)."""
        far = np.clip((features - self.centre) / self.scale, -FURTHEST, FURTHEST)
        return np.concatenate([np.ones((len(far), 1)), far], axis=1)

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Return theta_i . f(h) of contexts with features (N, n): float64 (parts, N)."""
        return self.theta @ self.standardised(features).T

    def log_weights(self, kind: str, features: np.ndarray) -> np.ndarray:
        """Return the logarithm of each part's weight in contexts with features (N, n): float64 (parts, N)."""
        return log_weights(kind, self.scores(features))


def log_weights(kind: str, scores: np.ndarray) -> np.ndarray:
    """Return the logarithms of the weights that scores theta_i . f(h) (parts, N) make: float64 (parts, N)."""
    return scores - log_sum(scores) if kind == "linear" else np.minimum(scores, LARGEST_SCORE)


def log_sum(logs: np.ndarray) -> np.ndarray:
    """Return the logarithm of the sum of exp(logs) over the first dimension."""
    largest = logs.max(0)
    return largest + np.log(np.exp(logs - largest).sum(0))
