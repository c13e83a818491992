"""Reading text with an automaton of counts in NumPy: the probability of every token.

All words of a block are read at the same time: a step takes the next token of each. It is a few operations on arrays of
nodes, which wait for memory together. Nothing is compiled, so a million words are read before Numba is imported.
"""

from functools import cached_property

import numpy as np

from ..corpus.stream import END
from .kernels import Graph, Probabilities

MAX_MASKED = 64  # tokens that a mask can hold
ONE = np.uint64(1)


class Reading:
    """Reads text with a graph and its probabilities."""

    def __init__(self, graph: Graph, probabilities: Probabilities):
        self.graph, self.probabilities = graph, probabilities

    def of_words(self, tokens: np.ndarray, ends: np.ndarray, nodes: np.ndarray | None = None) -> np.ndarray:
        """Return the probability of every token of words (N,), float64 (N,).

        ends    the places of end tokens, (W,)
        nodes   if not None, the node before every token is written there, (N,)
        """
        lengths = np.diff(ends, prepend=-1)
        longest_first = np.argsort(-lengths)
        lengths, at = lengths[longest_first], (ends - lengths)[longest_first]
        p, node = np.empty(len(tokens)), np.full(len(at), self.graph.start)
        for n in np.searchsorted(-lengths, -np.arange(lengths[0])).tolist():  # words that have another token
            at, node = at[:n] + 1, node[:n]
            if nodes is not None:
                nodes[at] = node
            p[at], node = self.of_tokens(node, tokens[at])
        return p

    def trace(self, level: np.ndarray, stream: np.ndarray, nodes: np.ndarray, entries: np.ndarray) -> None:
        """Write what `automaton.trace` writes."""
        tokens, at = stream[1:], np.empty(len(nodes), np.int32)
        self.of_words(tokens, np.flatnonzero(tokens == END), at)
        nodes.fill(-1)
        entries.fill(-1)
        here = np.arange(len(nodes))
        while here.size:
            nodes[here, level[at] - 1] = at
            found, missing = self.entries(at, tokens[here])
            entries[here, level[at] - 1] = np.where(missing, -1, found)
            here, at = here[at != 0], self.graph.parent[at[at != 0]]

    def of_tokens(self, nodes: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability of a token (N,) after each node (N,), float64 (N,), and the node after it (N,).

        A token without an entry has that of the parent, times the share that the node leaves to it, and so on up.
        """
        entries, missing = self.entries(nodes, tokens)
        weights, left = np.ones(len(tokens)), np.flatnonzero(missing & (nodes > 0))
        nodes = nodes[left]
        while left.size:
            weights[left] *= take(self.probabilities.share, nodes)
            nodes = take(self.graph.parent, nodes)
            entries[left], missing = self.entries(nodes, tokens[left])
            on = np.flatnonzero(missing & (nodes > 0))
            left, nodes = left[on], nodes[on]
        p, reached = take(self.probabilities.p, entries), take(self.graph.after, entries)
        if self.unseen.any() and (places := np.flatnonzero(self.unseen[tokens])).size:
            p[places] = self.probabilities.share[0] / self.probabilities.n_vocab
            reached[places] = 0
        p *= weights
        return p, reached

    def entries(self, nodes: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the entry of a token (N,) at each node (N,), int64 (N,), and True where there is none, bool (N,)."""
        end, char = take(self.graph.first[1:], nodes), self.graph.char
        if self.masks is not None:
            from_token = take(self.masks, nodes) >> tokens.astype(np.uint64)
            return end - np.bitwise_count(from_token), (from_token & ONE) == 0
        low = take(self.graph.first, nodes)
        size = np.minimum(end - low, tokens + 1)  # as in `entry_of`
        while (more := size > 1).any():
            half = size >> 1
            low += half * (more & (take(char, low + half) <= tokens))
            size -= half
        return low, (low >= end) | (take(char, low) != tokens)

    @cached_property
    def unseen(self) -> np.ndarray:
        """True for tokens without an entry at node 0, bool (V,): they share equally what it leaves."""
        unseen = np.ones(self.probabilities.n_vocab, bool)
        unseen[self.graph.char[: self.graph.first[1]]] = False
        return unseen

    @cached_property
    def masks(self) -> np.ndarray | None:
        """The tokens that have an entry at each node, as bits, uint64 (nodes,); None if the bits are too few."""
        if self.probabilities.n_vocab > MAX_MASKED:
            return None
        return np.bitwise_or.reduceat(ONE << self.graph.char.astype(np.uint64), self.graph.first[:-1])


def take(array: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return array[places]; a place after the end, where nothing was found, stands for the last one."""
    return np.take(array, places, mode="clip")
