"""Reading text with an automaton of counts in NumPy: the probability of every token.

All words of a block are read at the same time: a step takes the next token of each. It is a few operations on arrays of
nodes, which wait for memory together. Nothing is compiled, so a million words are read before Numba is imported.
"""

from functools import cached_property

import numpy as np

from ..corpus.stream import END
from .kernels import Graph, Probabilities

MAX_MASKED = 64  # tokens that a mask can hold
FEW_TOKENS = 4096  # fewer are found without masks
ONE = np.uint64(1)


class Reading:
    """Reads text with a graph and its probabilities."""

    def __init__(self, graph: Graph, probabilities: Probabilities):
        self.graph, self.probabilities = graph, probabilities

    def of_words(self, tokens: np.ndarray, ends: np.ndarray) -> np.ndarray:
        """Return the probability of every token of words (N,), float64 (N,); ends (W,) are the places of end tokens."""
        lengths = np.diff(ends, prepend=-1)
        longest_first = np.argsort(-lengths)
        lengths, at = lengths[longest_first], (ends - lengths)[longest_first]
        p, node = np.empty(len(tokens)), np.full(len(at), self.graph.start)
        for n in np.searchsorted(-lengths, -np.arange(lengths[0])).tolist():  # words that have another token
            at = at[:n] + 1
            p[at], node = self.of_tokens(node[:n], tokens[at])
        return p

    def of_tokens(self, nodes: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability of a token (N,) after each node (N,), float64 (N,), and the node after it (N,).

        A token without an entry has that of the parent, times the share that the node leaves to it, and so on up.
        """
        parent, after, share, n_vocab = (
            *(self.graph.parent, self.graph.after),
            *(self.probabilities.share, self.probabilities.n_vocab),
        )
        entries, found = self.entries(nodes, tokens)
        p, reached = take(self.probabilities.p, entries), take(after, entries)
        left = np.flatnonzero(~found)
        nodes, tokens, weight = nodes[left], tokens[left], np.ones(len(left))
        while left.size:
            if (top := nodes == 0).any():  # not even node 0 has an entry: all tokens share what it leaves
                p[left[top]] = weight[top] * (share[0] / n_vocab)
                reached[left[top]] = np.where(tokens[top] == END, self.graph.start, 0)
                left, nodes, tokens, weight = (x[~top] for x in (left, nodes, tokens, weight))
            weight *= take(share, nodes)
            nodes = take(parent, nodes)
            entries, found = self.entries(nodes, tokens)
            p[left], reached[left] = weight * take(self.probabilities.p, entries), take(after, entries)
            on = np.flatnonzero(~found)
            left, nodes, tokens, weight = (x[on] for x in (left, nodes, tokens, weight))
        return p, reached

    def entries(self, nodes: np.ndarray, tokens: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the entry of a token (N,) at each node (N,), int64 (N,), and True where there is one, bool (N,)."""
        first, char = self.graph.first, self.graph.char
        low = take(first, nodes)
        if self.masks is not None:
            bit = ONE << tokens.astype(np.uint64)
            mask = take(self.masks, nodes)
            return low + np.bitwise_count(mask & (bit - ONE)), (mask & bit) != 0
        end = take(first[1:], nodes)
        size = np.minimum(end - low, tokens + 1)  # as in `entry_of`
        while (more := size > 1).any():
            half = size >> 1
            low += half * (more & (take(char, low + half) <= tokens))
            size -= half
        return low, (low < end) & (take(char, low) == tokens)

    @cached_property
    def masks(self) -> np.ndarray | None:
        """The tokens that have an entry at each node, as bits, uint64 (nodes,); None if the bits are too few."""
        if self.probabilities.n_vocab > MAX_MASKED:
            return None
        return np.bitwise_or.reduceat(ONE << self.graph.char.astype(np.uint64), self.graph.first[:-1])


def take(array: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return array[places]; a place after the end, where nothing was found, stands for the last one."""
    return np.take(array, places, mode="clip")
