"""Reading and writing words with an automaton of counts, compiled."""

# pyright: reportMissingParameterType=false

from collections.abc import Callable
from functools import cache, cached_property, lru_cache, partial

import numpy as np
from numba import types

from ..engine.protocol import Draw
from ..engine.tape.compile import compiled_function
from ..engine.threads import reserved_threads, run_parallel
from .chunks import pieces_of
from .kernels import NUMBERS, PROBABILITIES, WALK, advance, distribution, entry_of
from .sampler import Sampler
from .tables import Tables

PIECE = 1 << 14  # tokens that make a thread of its own worth while


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


def follow(first, parent, char, after, start, nodes, tokens, reached):
    """The node after a token at each node -> reached (N,)."""
    for i in range(nodes.size):
        reached[i] = advance(first, parent, char, after, start, nodes[i], tokens[i])


@cache
def _compiled() -> tuple[Callable, ...]:
    count, table = types.int64, types.int32[:, ::1]
    return (
        compiled_function(read, types.void(*WALK, *PROBABILITIES, types.int32[::1], NUMBERS)),
        compiled_function(trace, types.void(*WALK, types.int32[::1], types.int32[::1], table, table)),
        compiled_function(follow, types.void(*WALK, *[types.int64[::1]] * 3)),
        compiled_function(
            predict, types.void(*WALK, *PROBABILITIES, count, types.int64[:, ::1], types.float64[:, ::1])
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
        self._sampler = lru_cache(1)(lambda how: Sampler(self.walk, self.probabilities, order, how))
        self.walk, self.probabilities = (first, parent, char, after, int(start[0])), (p, share, n_vocab)

    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        """The nll in nats of every token of a flat stream (1 + N,) after its first 0, as float64 (N,)."""
        if stream.min() < 0 or stream.max() >= self.n_vocab:
            raise ValueError(f"tokens must be from 0 to {self.n_vocab - 1}")
        nll = np.zeros(len(stream) - 1)
        read = partial(_compiled()[0], *self.walk, *self.probabilities)
        with reserved_threads(len(nll) // PIECE) as size:
            run_parallel([partial(read, stream[a : b + 1], nll[a:b]) for a, b in pieces_of(stream, size)])
        return nll

    def after(self, nodes: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The node that a token leads to from each node: int64 (N,) all of them."""
        reached = np.empty(len(nodes), np.int64)
        _compiled()[2](*self.walk, np.ascontiguousarray(nodes), np.ascontiguousarray(tokens, np.int64), reached)
        return reached

    @cached_property
    def followers(self) -> np.ndarray:
        """The node that every token leads to from every node: int32 (nodes, n_vocab)."""
        nodes, V = len(self.probabilities[1]), self.n_vocab
        reached = self.after(np.repeat(np.arange(nodes), V), np.tile(np.arange(V), nodes))
        return reached.reshape(nodes, V).astype(np.int32)

    def logits(self, params: np.ndarray, contexts: np.ndarray) -> np.ndarray:
        """Contexts (N, T), T at least order - 1 -> log-probabilities, float64 (N, n_vocab)."""
        logits = np.zeros((len(contexts), self.n_vocab))
        _compiled()[3](*self.walk, *self.probabilities, self.order, contexts, logits)
        return logits

    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray:
        """Draw n words: a flat run of tokens, int32, each word ended by 0. No word is empty or over max_length."""
        return self._sampler((draw.temperature, draw.top_k, draw.top_p)).draw(n, draw)
