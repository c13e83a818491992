"""Counting and drawing with NumPy, for lists that are counted before Numba is imported or has compiled.

Each function gives what the compiled one gives, to the bit. So logarithms and exponentials are those of the C library,
number by number: NumPy has its own, which may differ in the last bit.
"""

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from ..engine.rng import uniforms
from ..layers.jit import COMPILES, numba_is_imported
from ..layers.random import bits_of
from .kernels import Graph, Probabilities
from .numbering import Numbering
from .orders import Columns, Windows

MAX_TOKENS = 1 << 19  # of a stream to count or to trace
MAX_DRAWN = 1 << 14  # characters


def is_small(n: int) -> bool:
    """Return True if n tokens are so few that NumPy counts and traces them about as fast as compiled code.

    Words of some thousand characters take longer: NumPy takes a step for each character of the longest.
    """
    return n <= MAX_TOKENS and COMPILES


def is_short(n: int) -> bool:
    """Return True if n characters to draw are not worth the time to import Numba."""
    return n <= MAX_DRAWN and COMPILES and not numba_is_imported()


def count_windows(stream: np.ndarray, n: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the different windows of n tokens of a stream (M,), packed and sorted, and the count of each."""
    context = stream[:-1].astype(np.int64)  # the token k places before each, 0 where the word begins in between
    windows = stream[1:].astype(np.int64)
    for k in range(1, n):
        windows |= context << bits * (n - k)
        context[1:] = np.where(context[1:] != 0, context[:-1], 0)
    return np.unique(windows, return_counts=True)


def lengths_with_one_end(windows: Windows) -> np.ndarray:
    """Return the lengths (D,) that `orders.keep_one_end` writes."""
    lengths, still = windows.lengths.copy(), np.ones(len(windows.counts), bool)
    for place in range(windows.n - 2):
        still &= (windows.at(place) == 0) & (windows.at(place + 1) == 0)
        lengths[still] = np.minimum(lengths[still], windows.n - 1 - place)
    return lengths


def columns_of(windows: Windows, n_vocab: int) -> tuple[Columns, list[int]]:
    """Return the columns of tables, order after order, and the first node of each order, with the number of all."""
    found, nodes = [], [0]
    target, outer = windows.at(windows.n - 1), np.zeros(len(windows.counts), np.int64)
    begins = np.arange(len(target)) == 0  # True for a window with another context than the one before it
    node = np.zeros(len(target), np.int64)  # of each window at the order before
    for k in range(1, windows.n + 1):
        if k > 1:
            outer = windows.at(windows.n - k)
            begins[1:] |= outer[1:] != outer[:-1]
        here = np.flatnonzero(windows.lengths >= k)
        context = np.cumsum(begins)[here]
        first = np.flatnonzero(np.diff(context, prepend=-1))  # window of each node
        parent = node[here[first]]
        node[here] = np.cumsum(np.diff(context, prepend=-1) != 0) - 1 + nodes[-1]
        keys = (node[here] - nodes[-1]) * n_vocab + target[here]
        entries = Numbering(keys, len(first) * n_vocab)
        counts = np.bincount(entries.of(keys), windows.counts[here]).astype(np.int64)
        of_node, char = np.divmod(entries.sorted, n_vocab)
        found.append((np.bincount(of_node), parent, outer[here[first]] * (k > 1), char, counts))
        nodes.append(nodes[-1] + len(first))
    size, *others = (np.concatenate(column) for column in zip(*found, strict=True))
    parent, outer, char, count = others
    first = np.concatenate([[0], np.cumsum(size)])
    return Columns(first, parent.astype(np.int32), outer.astype(np.int32), char.astype(np.int32), count), nodes


def link(graph: Graph, level: np.ndarray, outer: np.ndarray, lower: np.ndarray, n_vocab: int, nodes: list[int]) -> None:
    """Write `lower` and `after` of all entries, as `orders.link` does for each order, whose first nodes are given."""
    first, parent, char, after, start = graph
    node = np.repeat(np.arange(len(parent)), np.diff(first))
    entries = Numbering(node * n_vocab + char, len(parent) * n_vocab)
    children = Numbering(parent[1:].astype(np.int64) * n_vocab + outer[1:], len(parent) * n_vocab)
    for begin, end in pairwise(nodes):
        here = slice(first[begin], first[end])
        at, token = node[here], char[here]
        lower[here] = entries.of(parent[at].astype(np.int64) * n_vocab + token) if begin else -1
        short = after[lower[here]] if begin else np.zeros(len(at), np.int32)
        longer = 1 + children.of(short.astype(np.int64) * n_vocab + (outer[at] if begin else token))
        full = (level[short] == level[at]) & (longer > 0)  # else a context on the way has been left out
        after[here] = np.where(token == 0, start, np.where(full, longer, short))


class SmallSampler:
    """Draws words with an automaton, one after the other, at a temperature."""

    def __init__(self, graph: Graph, probabilities: Probabilities, temperature: float):
        self.graph, self.probabilities, self.temperature = graph, probabilities, temperature
        self._rows: dict[tuple[int, bool], np.ndarray] = {}

    def draw(self, prefix: np.ndarray, max_length: int, seed: int, first: int, last: int) -> np.ndarray:
        """Return what `sampler.write` writes: the words numbered first, ..., last - 1, each ended by 0, int32."""
        keys = bits_of(seed, np.arange(first, last, dtype=np.uint64))
        drawn: list[int] = []
        head = self.graph.start
        for token in prefix.tolist():
            head = self._next(head, token)
        for key in keys:
            node, word = head, prefix.tolist()
            numbers = uniforms(key, np.arange(max_length, dtype=np.uint64))
            while len(word) < max_length:
                token = _pick(self._row(node, len(word) > 0), numbers[len(word)])
                if token == 0:
                    break
                word.append(token)
                node = self._next(node, token)
            drawn += [*word, 0]
        return np.array(drawn, np.int32)

    def _path(self, node: int) -> list[int]:
        """Return a node and those above it, the root last."""
        path = [node]
        while path[-1] != 0:
            path.append(int(self.graph.parent[path[-1]]))
        return path

    def _next(self, node: int, token: int) -> int:
        first, char = self.graph.first, self.graph.char
        for at in self._path(node):
            here = np.flatnonzero(char[first[at] : first[at + 1]] == token)
            if here.size:
                return int(self.graph.after[first[at] + here[0]])
        return 0

    def _row(self, node: int, may_end: bool) -> np.ndarray:
        """Return the cumulated weights of all tokens after a node, (V,)."""
        if (node, may_end) not in self._rows:
            first, p = self.graph.first, np.full(self.probabilities.n_vocab, 1 / self.probabilities.n_vocab)
            for at in reversed(self._path(node)):
                p *= self.probabilities.share[at]
                p[self.graph.char[first[at] : first[at + 1]]] = self.probabilities.p[first[at] : first[at + 1]]
            logs = _each(math.log, p)
            if not may_end:
                logs[0] = -np.inf
            self._rows[node, may_end] = np.cumsum(_each(math.exp, (logs - logs.max()) * (1 / self.temperature)))
        return self._rows[node, may_end]


def _each(function: Callable[[float], float], values: np.ndarray) -> np.ndarray:
    return np.fromiter(map(function, values.tolist()), np.float64, len(values))


def _pick(row: np.ndarray, u: float) -> int:
    token = min(int(np.searchsorted(row, u * row[-1], side="right")), len(row) - 1)
    while token > 0 and row[token] == row[token - 1]:  # rounding may pass the last token with a weight
        token -= 1
    return token
