"""Reading and drawing words with an automaton of counts, compiled."""

# pyright: reportMissingParameterType=false

from functools import lru_cache, partial

import numpy as np

from ..corpus.stream import END, whole_words
from ..engine.compiler import compiler
from ..engine.protocol import Draw
from ..engine.threads import reserved_threads, run_parallel
from .chunks import split_at_words
from .kernels import Graph, Probabilities, distribution, entry_of, next_node
from .reading import Reading
from .sampler import DrawOptions, Sampler
from .small import is_small
from .tables import Tables

TOKENS_PER_THREAD = 1 << 14  # fewer do not pay for a thread
TOKENS_AT_A_TIME = 1 << 18  # read together, which bounds the memory
LONGEST = 256  # characters of words that are read together, a step for each; longer ones are walked along
LARGEST_P = 1 + 1e-6  # of a probability that is rounded


def trace(graph, level, stream, nodes, entries):
    """Write the contexts of every token and its entries in them, by order, to nodes and entries (M - 1, order).

    A place is -1 where there is no such context or entry.
    """
    node = graph.start
    nodes.fill(-1)
    entries.fill(-1)
    for i in range(nodes.shape[0]):
        token, at = stream[i + 1], node
        while True:
            nodes[i, level[at] - 1] = at
            entries[i, level[at] - 1] = entry_of(graph, at, token)
            if at == 0:
                break
            at = graph.parent[at]
        node = next_node(graph, node, token)


def walk(graph, stream, nodes):
    """Write the node before every token of stream (M,) after the first to nodes (M - 1,)."""
    node = graph.start
    for i in range(nodes.size):
        nodes[i] = node
        node = next_node(graph, node, stream[i + 1])


def predict(graph, probabilities, nodes, logits):
    """Write the log-probability of every token after each node (N,) to logits (N, V)."""
    path = np.zeros(probabilities.order, np.int64)
    for i in range(nodes.size):
        distribution(graph, probabilities, nodes[i], path, logits[i])
        for v in range(probabilities.n_vocab):
            logits[i, v] = np.log(logits[i, v])


def follow(graph, nodes, tokens, reached):
    """Write the node after a token at each node to reached (N,)."""
    for i in range(nodes.size):
        reached[i] = next_node(graph, nodes[i], tokens[i])


SIGNATURES = {
    trace: "void(Graph, int32[::1], int32[::1], int32[:, ::1], int32[:, ::1])",
    walk: "void(Graph, int32[::1], int32[::1])",
    predict: "void(Graph, Probabilities, int64[::1], float64[:, ::1])",
    follow: "void(Graph, int64[::1], int64[::1], int64[::1])",
}
compiled = compiler(SIGNATURES, "n-gram scoring")


def trace_stream(tables: Tables, stream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the contexts of every token and its entries in them: int32 (M - 1, order) each, -1 where there is none."""
    nodes, entries = np.zeros((2, len(stream) - 1, tables.order), np.int32)
    t = tables
    graph = Graph(t.first, t.parent, t.char, t.after, t.start)
    if is_small(len(stream)):
        Reading(graph, Probabilities(np.ones(len(t.char)), np.ones(len(t.parent)), t.n_vocab, t.order)).trace(
            t.level, stream, nodes, entries
        )
    else:
        compiled(trace)(graph, t.level, stream, nodes, entries)
    return nodes, entries


def _within(order: int, parent: np.ndarray) -> bool:
    """Return True if no node (nodes,) has `order` nodes above it: a context has up to order - 1 characters."""
    at = np.arange(len(parent))
    for _ in range(order):
        if not at.any():
            return True
        at = np.where(at > 0, parent[at], 0)
    return False


class Automaton:
    """An automaton of counts that reads and draws words, as an engine does.

    order, n_vocab  see `Tables`
    arrays          first, parent, char, after, start: see `Tables`; p (entries,), the probabilities of characters seen
                    after a context; share (nodes,), the probability that a context leaves to its parent

    Raises KeyError or ValueError if the arrays do not fit together.
    """

    def __init__(self, order: int, n_vocab: int, arrays: dict[str, np.ndarray]):
        first, parent, char, after, start, p, share = (
            arrays[name] for name in ("first", "parent", "char", "after", "start", "p", "share")
        )
        self.size, n_entries = len(share), len(p)
        shapes_fit = first.shape == (self.size + 1,) and parent.shape == (self.size,)
        shapes_fit &= char.shape == after.shape == p.shape == (n_entries,) and start.shape == (1,)
        shapes_fit &= share.shape == (self.size,)
        dtypes = [array.dtype for array in (first, parent, char, after, start, p, share)]
        if not shapes_fit or dtypes != [np.int64, *[np.int32] * 3, np.int64, *[np.float64] * 2]:
            raise ValueError("its arrays do not fit together")
        inside = (parent[1:] < np.arange(1, self.size)).all() and parent.min() >= 0 and parent[0] == 0
        inside &= after.min() >= 0 and max(after.max(), start[0]) < self.size and start[0] >= 0
        inside &= char.min() >= 0 and char.max() < n_vocab and (np.diff(first) > 0).all()
        if not inside or first[0] != 0 or first[-1] != n_entries:
            raise ValueError("its arrays point outside each other")
        sorted_chars = np.diff(char) > 0
        sorted_chars[first[1:-1] - 1] = True  # from one node to the next
        if not sorted_chars.all() or not _within(order, parent):
            raise ValueError("its contexts are not in order, or longer than its order")
        if not ((p > 0) & (p <= LARGEST_P)).all() or not ((share > 0) & (share < np.inf)).all():
            raise ValueError("it holds a number that is no probability")
        self.n_vocab = n_vocab
        self.graph = Graph(first, parent, char, after, int(start[0]))
        self.probabilities = Probabilities(p, share, n_vocab, order)
        self._reading = Reading(self.graph, self.probabilities)
        self._sampler = lru_cache(1)(lambda options: Sampler(self.graph, self.probabilities, options))

    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        """Return the nll in nats of every token of a flat stream (1 + N,) after its first 0, float64 (N,)."""
        if stream.min() < 0 or stream.max() >= self.n_vocab:
            raise ValueError(f"tokens must be from 0 to {self.n_vocab - 1}")
        if stream[-1] != END:
            return self.nll(params, np.append(stream, np.int32(END)))[:-1]
        nll = np.empty(len(stream) - 1)
        with reserved_threads(len(nll) // TOKENS_PER_THREAD) as n_threads:
            chunks = split_at_words(stream, n_threads)
            run_parallel([partial(self._read, stream[a : b + 1], nll[a:b]) for a, b in chunks])
        return nll

    def _read(self, stream: np.ndarray, nll: np.ndarray) -> None:
        """Write the nll in nats of every token of a stream (1 + N,) after the first to nll (N,)."""
        at = 0
        for words in whole_words(stream, TOKENS_AT_A_TIME):
            tokens = words[1:]
            ends = np.flatnonzero(tokens == END)
            if np.diff(ends, prepend=-1).max() <= LONGEST:
                p = self._reading.of_words(tokens, ends)
            else:
                p, _ = self._reading.of_tokens(self.nodes(words), tokens)
            with np.errstate(divide="ignore"):  # a p of 0 costs infinitely much
                nll[at : at + len(p)] = -np.log(p)
            at += len(p)

    def nodes(self, stream: np.ndarray) -> np.ndarray:
        """Return the node before every token of a flat stream (1 + N,) after its first 0, int32 (N,)."""
        nodes = np.empty(len(stream) - 1, np.int32)
        compiled(walk)(self.graph, stream, nodes)
        return nodes

    def begin(self, params: np.ndarray) -> np.ndarray:
        """Return the state at the beginning of a word: the number of its node, int64 (1, 1)."""
        return np.array([[self.graph.start]], np.int64)

    def after(self, params: np.ndarray, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """Return the node after each token (N,) at each node: int64 (N, 1) -> (N, 1)."""
        nodes, reached = np.ascontiguousarray(states[:, 0]), np.empty(len(states), np.int64)
        compiled(follow)(self.graph, nodes, np.ascontiguousarray(tokens, np.int64), reached)
        return reached[:, None]

    def logits(self, params: np.ndarray, states: np.ndarray) -> np.ndarray:
        """Nodes (N, 1) -> log-probabilities of the next token, float64 (N, n_vocab)."""
        logits = np.empty((len(states), self.n_vocab))
        compiled(predict)(self.graph, self.probabilities, np.ascontiguousarray(states[:, 0]), logits)
        return logits

    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray:
        """Draw n words: a flat array of tokens, int32, each word ended by 0. No word is empty or over max_length."""
        return self._sampler(DrawOptions(float(draw.temperature), draw.top_k, float(draw.top_p))).draw(n, draw)
