"""Counting, reading and drawing with NumPy, for lists that take less time than importing Numba.

Each function gives what the compiled one gives, to the bit. So logarithms and exponentials are those of the C library,
number by number: NumPy has its own, which may differ in the last bit.
"""

import math
from collections.abc import Callable
from functools import cached_property

import numpy as np

from ..engine.rng import uniforms
from ..layers.jit import COMPILES, numba_is_imported
from ..layers.random import bits_of
from .kernels import Graph, Probabilities
from .numbering import Numbering

MAX_TOKENS = 1 << 19  # of a stream to count or to read
MAX_DRAWN = 1 << 14  # characters


def is_small(n: int, most: int) -> bool:
    """Return True if n tokens are not worth the time to import Numba."""
    return n <= most and COMPILES and not numba_is_imported()


def count_windows(stream: np.ndarray, n: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the different windows of n tokens of a stream (M,), packed and sorted, and the count of each."""
    context = stream[:-1].astype(np.int64)  # the token k places before each, 0 where the word begins in between
    windows = stream[1:].astype(np.int64)
    for k in range(1, n):
        windows |= context << bits * k
        context[1:] = np.where(context[1:] != 0, context[:-1], 0)
    return np.unique(windows, return_counts=True)


class SmallReader:
    """Reads streams with an automaton, all words side by side."""

    def __init__(self, graph: Graph, n_vocab: int):
        self.graph, self.n_vocab = graph, n_vocab

    @cached_property
    def _entries(self) -> Numbering:
        node = np.repeat(np.arange(len(self.graph.parent)), np.diff(self.graph.first))
        return Numbering(node * self.n_vocab + self.graph.char, len(self.graph.parent) * self.n_vocab)

    def _entry_of(self, nodes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        return self._entries.of(nodes.astype(np.int64) * self.n_vocab + tokens)

    def _first_entry(self, nodes: np.ndarray, tokens: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the entry of each token (N,) at its node or the next one above, and the product of shares below."""
        entries, weights = self._entry_of(nodes, tokens), np.ones(len(nodes))
        left = np.flatnonzero((entries < 0) & (nodes != 0))
        at = nodes[left]
        while left.size:
            weights[left] *= share[at]
            at = self.graph.parent[at]
            entries[left] = found = self._entry_of(at, tokens[left])
            higher = (found < 0) & (at != 0)
            left, at = left[higher], at[higher]
        return entries, weights

    def walk(self, stream: np.ndarray, share: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return the node before every token of a stream (M,) after the first, the token's entry, and its weight.

        The entry is at the node or the next one above that has one, -1 if none has; the weight is the product of the
        shares (nodes,) below it. All are (M - 1,).
        """
        graph, begins = self.graph, np.flatnonzero(stream[:-1] == 0)
        lengths = np.diff(begins, append=len(stream) - 1)
        begins = begins[np.argsort(-lengths, kind="stable")]
        alive = len(begins) - np.cumsum(np.bincount(lengths))  # words longer than 0, 1, ...
        nodes, entries = np.zeros((2, len(stream) - 1), np.int32)
        weights, now = np.zeros(len(nodes)), np.full(len(begins), graph.start, np.int32)
        for place, n in enumerate(alive[:-1]):
            at, now = begins[:n] + place, now[:n]
            nodes[at] = now
            entries[at], weights[at] = self._first_entry(now, stream[at + 1], share)
            now = np.where(entries[at] >= 0, graph.after[entries[at]], 0)
        return nodes, entries, weights

    def nll(self, probabilities: Probabilities, stream: np.ndarray) -> np.ndarray:
        """Return what `automaton.read` writes."""
        p, share = probabilities.p, probabilities.share
        _, entries, weights = self.walk(stream, share)
        return -_each(math.log, weights * np.where(entries >= 0, p[entries], share[0] / probabilities.n_vocab))

    def trace(self, level: np.ndarray, stream: np.ndarray, nodes: np.ndarray, entries: np.ndarray) -> None:
        """Write what `automaton.trace` writes."""
        nodes.fill(-1)
        entries.fill(-1)
        at, which = self.walk(stream, np.ones(len(level)))[0], np.arange(len(nodes))
        while which.size:
            nodes[which, level[at] - 1] = at
            entries[which, level[at] - 1] = self._entry_of(at, stream[which + 1])
            which, at = which[at != 0], self.graph.parent[at[at != 0]]


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
