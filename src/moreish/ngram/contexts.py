"""The nodes of an automaton of counts as contexts (see `sampling.contexts`)."""

import numpy as np

from .automaton import Automaton


class NodeContexts:
    """Contexts of an automaton: each is a node, as a row of one number."""

    def __init__(self, automaton: Automaton):
        self.automaton = automaton
        self.size = automaton.n_nodes
        self.begin = np.array([automaton.graph.start])

    def after(self, rows: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        return self.automaton.after(rows[:, 0], tokens)[:, None]

    def logits(self, rows: np.ndarray) -> np.ndarray:
        return self.automaton.logits_after(rows[:, 0])

    def table(self) -> tuple[np.ndarray, np.ndarray, int]:
        return np.arange(self.size)[:, None], self.automaton.followers, int(self.begin[0])
