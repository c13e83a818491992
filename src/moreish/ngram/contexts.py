"""The nodes of an automaton of counts as contexts (see `steering.contexts`): what it knows of what has been read."""

# pyright: reportMissingParameterType=false

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import types

from ..engine.tape.compile import compiled_function
from .automaton import Automaton
from .kernels import PROBABILITIES, WALK, distribution


def predict_after(first, parent, char, after, start, p, share, n_vocab, order, nodes, logits):
    """The log-probability of every token after each node -> logits (N, V)."""
    path = np.zeros(order, np.int64)
    for i in range(nodes.size):
        distribution(first, parent, char, p, share, n_vocab, nodes[i], path, logits[i])
        for v in range(n_vocab):
            logits[i, v] = np.log(logits[i, v])


@cache
def _compiled() -> Callable:
    of_nodes = types.void(*WALK, *PROBABILITIES, types.int64, types.int64[::1], types.float64[:, ::1])
    return compiled_function(predict_after, of_nodes)


class NodeContexts:
    """A context is a node, as a row of one number."""

    def __init__(self, automaton: Automaton):
        self.automaton = automaton
        self.size = len(automaton.probabilities[1])
        self.begin = np.array([automaton.walk[-1]])

    def after(self, rows: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        return self.automaton.after(rows[:, 0], tokens)[:, None]

    def logits(self, rows: np.ndarray) -> np.ndarray:
        a, logits = self.automaton, np.empty((len(rows), self.automaton.n_vocab))
        _compiled()(*a.walk, *a.probabilities, a.order, np.ascontiguousarray(rows[:, 0]), logits)
        return logits

    def table(self) -> tuple[np.ndarray, np.ndarray, int]:
        return np.arange(self.size)[:, None], self.automaton.followers, int(self.begin[0])
