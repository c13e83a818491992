"""Reading and writing words with an automaton of counts, compiled."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit, types

from ..tape import Draw
from ..tape.compiled import compiled_function
from ..tape.generate import pick_token, weights
from ..tape.rng import draw_number
from .tables import Tables


@njit
def entry_of(first, char, node, token):
    """The entry of a token at a node, or -1."""
    low, high = first[node], first[node + 1]
    while low < high:
        middle = (low + high) // 2
        if char[middle] < token:
            low = middle + 1
        else:
            high = middle
    return low if low < first[node + 1] and char[low] == token else -1


@njit
def advance(first, parent, char, after, start, node, token):
    """The longest known context once a token has been read after that of `node`."""
    while True:
        entry = entry_of(first, char, node, token)
        if entry >= 0:
            return after[entry]
        if node == 0:
            return start if token == 0 else 0
        node = parent[node]


def read(first, parent, char, after, start, p, share, n_vocab, stream, nll):
    """The nll in nats of every token of stream (M,) after the first -> nll (M - 1,)."""
    node = start
    for i in range(nll.size):
        token, weight, at = stream[i + 1], 1.0, node
        entry = entry_of(first, char, at, token)
        while entry < 0 and at != 0:
            weight *= share[at]
            at = parent[at]
            entry = entry_of(first, char, at, token)
        nll[i] = -np.log(weight * (p[entry] if entry >= 0 else share[0] / n_vocab))
        if entry >= 0:
            node = after[entry]
        else:
            node = start if token == 0 else 0


def trace(first, parent, char, after, start, level, stream, nodes, entries):
    """Every token's contexts and its entries in them, by order -> nodes, entries (M - 1, order), -1 where none."""
    node = start
    nodes.fill(-1)
    entries.fill(-1)
    for i in range(nodes.shape[0]):
        token, at = stream[i + 1], node
        while True:
            nodes[i, level[at] - 1] = at
            entries[i, level[at] - 1] = entry_of(first, char, at, token)
            if at == 0:
                break
            at = parent[at]
        node = advance(first, parent, char, after, start, node, token)


@njit
def distribution(first, parent, char, p, share, n_vocab, node, path, out):
    """The probability of every token after a context -> out (V,). path (order,) is scratch."""
    length = 0
    while node != 0:
        path[length] = node
        length += 1
        node = parent[node]
    path[length] = 0
    out.fill(1 / n_vocab)
    for k in range(length, -1, -1):
        at = path[k]
        for v in range(out.size):
            out[v] *= share[at]
        for entry in range(first[at], first[at + 1]):
            out[char[entry]] = p[entry]


def predict(first, parent, char, after, start, p, share, n_vocab, order, contexts, logits):
    """Contexts (N, T), 0 where the word has not begun -> the log-probability of every next token (N, V)."""
    path = np.zeros(order, np.int64)
    for i in range(contexts.shape[0]):
        node = start
        for k in range(contexts.shape[1]):
            if contexts[i, k] != 0:
                node = advance(first, parent, char, after, start, node, contexts[i, k])
        distribution(first, parent, char, p, share, n_vocab, node, path, logits[i])
        for v in range(n_vocab):
            logits[i, v] = np.log(logits[i, v])


def write(
    first,
    parent,
    char,
    after,
    start,
    p,
    share,
    n_vocab,
    order,
    prefix,
    temperature,
    top_k,
    seed,
    max_length,
    words,
    lengths,
):
    """Draw n words, by the numbers by which the tape draws them -> words (n, max_length + 1), lengths (n,)."""
    path, out, weight = np.zeros(order, np.int64), np.zeros(n_vocab), np.zeros(n_vocab)
    for j in range(lengths.size):
        node, length = start, 0
        for k in range(prefix.size):
            words[j, k] = prefix[k]
            node = advance(first, parent, char, after, start, node, prefix[k])
        length = prefix.size
        while length < max_length:
            distribution(first, parent, char, p, share, n_vocab, node, path, out)
            for v in range(n_vocab):
                out[v] = np.log(out[v])
            total = weights(out, temperature, top_k, length > 0, weight)
            token = pick_token(weight, total, draw_number(seed, j, length))
            if token == 0:
                break
            words[j, length] = token
            length += 1
            node = advance(first, parent, char, after, start, node, token)
        lengths[j] = length


@cache
def _compiled() -> tuple[Callable, ...]:
    count, number, small = types.int64, types.float64, types.int32[::1]
    counts, numbers, table = types.int64[::1], types.float64[::1], types.int32[:, ::1]
    walk = (counts, small, small, small, count)  # first, parent, char, after, start
    probabilities = (numbers, numbers, count)  # p, share, n_vocab
    return (
        compiled_function(read, types.void(*walk, *probabilities, small, numbers)),
        compiled_function(trace, types.void(*walk, small, small, table, table)),
        compiled_function(
            write,
            types.void(*walk, *probabilities, count, small, number, count, count, count, table, counts),
        ),
        compiled_function(
            predict, types.void(*walk, *probabilities, count, types.int64[:, ::1], types.float64[:, ::1])
        ),
    )


def traced(tables: Tables, stream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Every token's contexts and its entries in them, by order: int32 (M - 1, order) each, -1 where there is none."""
    nodes, entries = np.zeros((2, len(stream) - 1, tables.order), np.int32)
    t = tables
    _compiled()[1](t.first, t.parent, t.char, t.after, t.start, t.level, stream, nodes, entries)
    return nodes, entries


class Automaton:
    """Reads and draws words by probabilities over an automaton of counts, as an engine does.

    first, parent, char, after, start: see `Tables`. p (entries,) are the probabilities of characters seen after a
    context, share (nodes,) what a context leaves for those that were not, to be taken from its parent. Raises KeyError
    or ValueError if the arrays do not fit together.
    """

    def __init__(self, order: int, n_vocab: int, arrays: dict[str, np.ndarray]):
        first, parent, char, after, start, p, share = (
            arrays[name] for name in ("first", "parent", "char", "after", "start", "p", "share")
        )
        nodes, entries = len(share), len(p)
        shapes = first.shape == (nodes + 1,) and parent.shape == (nodes,) and char.shape == after.shape == (entries,)
        kinds = [array.dtype for array in (first, parent, char, after, start, p, share)]
        if not shapes or start.shape != (1,) or kinds != [np.int64, *[np.int32] * 3, np.int64, *[np.float64] * 2]:
            raise ValueError("its arrays do not fit together")
        inside = (parent[1:] < np.arange(1, nodes)).all() and parent.min() >= 0
        inside &= after.min() >= 0 and max(after.max(), start[0]) < nodes and start[0] >= 0
        inside &= char.min() >= 0 and char.max() < n_vocab and (np.diff(first) > 0).all()
        if not inside or first[0] != 0 or first[-1] != entries or not (p > 0).all() or not (share > 0).all():
            raise ValueError("its arrays point nowhere, or hold what is no probability")
        self.order, self.n_vocab = order, n_vocab
        self._walk, self._probabilities = (first, parent, char, after, int(start[0])), (p, share, n_vocab)

    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        """The nll in nats of every token of a flat stream (1 + N,) after its first 0, as float64 (N,)."""
        if stream.min() < 0 or stream.max() >= self.n_vocab:
            raise ValueError(f"tokens must be from 0 to {self.n_vocab - 1}")
        nll = np.zeros(len(stream) - 1)
        _compiled()[0](*self._walk, *self._probabilities, stream, nll)
        return nll

    def logits(self, params: np.ndarray, contexts: np.ndarray) -> np.ndarray:
        """Contexts (N, T), T at least order - 1 -> log-probabilities, float64 (N, n_vocab)."""
        logits = np.zeros((len(contexts), self.n_vocab))
        _compiled()[3](*self._walk, *self._probabilities, self.order, contexts, logits)
        return logits

    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray:
        """Draw n words: a flat run of tokens, int32, each word ended by 0. No word is empty or over max_length."""
        words, lengths = np.zeros((n, draw.max_length + 1), np.int32), np.zeros(n, np.int64)
        _compiled()[2](
            *(*self._walk, *self._probabilities, self.order, np.array(draw.prefix, np.int32)),
            *(draw.temperature, draw.top_k, draw.seed, draw.max_length, words, lengths),
        )
        return words[np.arange(draw.max_length + 1) <= lengths[:, None]]
