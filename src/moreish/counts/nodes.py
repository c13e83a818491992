"""The nodes of an automaton of counts as contexts (see `steering.contexts`): what it knows of what has been read."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import types

from ..tape.compiled import compiled_function
from .automaton import Automaton
from .walking import PROBABILITIES, WALK, advance, distribution


def follow(first, parent, char, after, start, nodes, tokens, reached):
    """The node after a token at each node -> reached (N,)."""
    for i in range(nodes.size):
        reached[i] = advance(first, parent, char, after, start, nodes[i], tokens[i])


def predict_after(first, parent, char, after, start, p, share, n_vocab, order, nodes, logits):
    """The log-probability of every token after each node -> logits (N, V)."""
    path = np.zeros(order, np.int64)
    for i in range(nodes.size):
        distribution(first, parent, char, p, share, n_vocab, nodes[i], path, logits[i])
        for v in range(n_vocab):
            logits[i, v] = np.log(logits[i, v])


@cache
def _compiled() -> tuple[Callable, Callable]:
    nodes, count = types.int64[::1], types.int64
    return (
        compiled_function(follow, types.void(*WALK, nodes, nodes, nodes)),
        compiled_function(predict_after, types.void(*WALK, *PROBABILITIES, count, nodes, types.float64[:, ::1])),
    )


class NodeContexts:
    """A context is a node, as a row of one number."""

    def __init__(self, automaton: Automaton):
        self.automaton = automaton
        self.size = len(automaton.probabilities[1])
        self.begin = np.array([automaton.walk[-1]])

    def after(self, rows: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        nodes, reached = np.ascontiguousarray(rows[:, 0]), np.empty(len(rows), np.int64)
        _compiled()[0](*self.automaton.walk, nodes, np.ascontiguousarray(tokens, np.int64), reached)
        return reached[:, None]

    def logits(self, rows: np.ndarray) -> np.ndarray:
        a, logits = self.automaton, np.empty((len(rows), self.automaton.n_vocab))
        _compiled()[1](*a.walk, *a.probabilities, a.order, np.ascontiguousarray(rows[:, 0]), logits)
        return logits

    def table(self) -> tuple[np.ndarray, np.ndarray, int]:
        rows, V = np.arange(self.size)[:, None], self.automaton.n_vocab
        reached = self.after(np.repeat(rows, V, axis=0), np.tile(np.arange(V), self.size))
        return rows, reached.reshape(self.size, V).astype(np.int32), int(self.begin[0])
