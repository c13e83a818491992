"""Contexts of a model, where these are few enough for a table. Dynamic programming needs the table.

The contexts of a net are all sequences of the last n tokens, and those of a counted model the nodes of its automaton. A
counted model keeps entries only for the characters that it has seen after a context, and takes the others from its
parent. The table keeps this form, so that a product with another automaton costs a step for each entry, however many
characters the alphabet has.
"""

# pyright: reportMissingParameterType=false

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from ..engine.compiler import compiler
from ..engine.protocol import Reader
from ..layers.jit import fields
from ..ngram import Automaton
from ..ngram.kernels import Graph, entry_of, next_node
from .deadline import check_time
from .options import SamplingOptions

LOGITS_AT_A_TIME = 1 << 22
LEAST_TEMPERATURE = 0.1  # below, powers of probabilities may be too small for float64


@fields(
    *("int64[::1]", "int32[::1]", "int32[::1]", "float64[::1]", "int32[::1]", "float64[::1]"),
    *("float64[::1]", "int32[::1]", "float64[::1]"),
)
class Table(NamedTuple):
    """A graph of C contexts with E entries. The last context is the beginning of a word, where it may not end.

    first       the entries of context c are first[c] to first[c + 1] - 1, int64 (C + 1,)
    char, after the character of an entry and the context that it leads to, int32 (E,); entries of the end are ignored
    p           probability of the character after the context, float64 (E,)
    parent      int32 (C,): the context that has the other characters, always an earlier one
    share       float64 (C,): what the probabilities at the parent are multiplied by; 0 if all characters have entries
    lower, lower_after      of an entry's character by way of the parent: the probability and the context after it,
                float64 and int32 (E,); or empty, if no context has a share
    end         float64 (C,): probability of the end of the word
    """

    first: np.ndarray
    char: np.ndarray
    after: np.ndarray
    p: np.ndarray
    parent: np.ndarray
    share: np.ndarray
    lower: np.ndarray
    lower_after: np.ndarray
    end: np.ndarray


class Contexts(Protocol):
    """The contexts of a model."""

    @property
    def size(self) -> float:
        """Number of contexts; infinite if it has no limit or is not known."""
        ...

    def entries(self, options: SamplingOptions) -> float:
        """Return the number of entries of the table."""
        ...

    def table(self, options: SamplingOptions) -> Table:
        """Return the contexts as a table of the probabilities to draw by."""
        ...


@dataclass(frozen=True)
class TokenContexts:
    """The last n tokens, 0 before the word, for a reader that sees no more of a word; None for one that sees all."""

    reader: Reader
    params: np.ndarray
    n: int | None
    V: int

    @property
    def size(self) -> float:
        return math.inf if self.n is None else self.V**self.n

    def entries(self, options: SamplingOptions) -> float:
        return self.size * self.V

    def table(self, options: SamplingOptions) -> Table:
        assert self.n is not None
        begin = states = self.reader.begin(self.params)
        for _ in range(self.n):
            tokens = np.tile(np.arange(self.V), len(states))
            states = self.reader.after(self.params, np.repeat(states, self.V, 0), tokens)
            states[:1] = begin  # of a context without a character
        numbers = np.arange(len(states))[:, None]
        after = (numbers * self.V % len(states) + np.arange(self.V)).astype(np.int32)
        return dense(self.reader, self.params, states, after, 0, options)


def dense(
    reader: Reader, params: np.ndarray, states: np.ndarray, after: np.ndarray, begin: int, options: SamplingOptions
) -> Table:
    """Return a table in which every context has an entry for every token.

    states (N, W) are those of the contexts, after (N, V) the numbers of the next ones, and begin that of the first.
    """
    N, V = after.shape
    p = np.empty((N + 1, V))
    step = max(1, LOGITS_AT_A_TIME // V)
    for first in range(0, N, step):
        check_time()
        chunk = slice(first, min(first + step, N))
        p[chunk] = options.probabilities(reader.logits(params, states[chunk]), True)
    p[N] = options.probabilities(reader.logits(params, states[begin : begin + 1]), False)[0]
    return Table(
        first=np.arange(0, p.size + 1, V),
        char=np.tile(np.arange(V, dtype=np.int32), N + 1),
        after=np.concatenate([after, after[begin : begin + 1]]).astype(np.int32).ravel(),
        p=p.ravel(),
        parent=np.zeros(N + 1, np.int32),
        share=np.zeros(N + 1),
        lower=np.zeros(0),
        lower_after=np.zeros(0, np.int32),
        end=p[:, 0].copy(),
    )


@dataclass(frozen=True)
class CountedContexts:
    """The nodes of an automaton of counts. With top-k or top-p, every context has an entry for every token."""

    automaton: Automaton

    @property
    def size(self) -> float:
        return self.automaton.size

    def entries(self, options: SamplingOptions) -> float:
        graph = self.automaton.graph
        return len(graph.char) if _keeps_form(options) else self.size * self.automaton.n_vocab

    def table(self, options: SamplingOptions) -> Table:
        graph, V = self.automaton.graph, self.automaton.n_vocab
        if _keeps_form(options):
            return _tempered(graph, self.automaton.probabilities.p, self.automaton.probabilities.share, V, options)
        nodes, nothing = np.arange(self.automaton.size), np.zeros(0)
        after = self.automaton.after(nothing, np.repeat(nodes, V)[:, None], np.tile(np.arange(V), len(nodes)))
        return dense(self.automaton, nothing, nodes[:, None], after.reshape(-1, V), graph.start, options)


def _keeps_form(options: SamplingOptions) -> bool:
    """Return True if the characters that a context has not seen stay in the ratios in which the parent has them."""
    return options.all_characters and options.temperature >= LEAST_TEMPERATURE


def _tempered(graph: Graph, p: np.ndarray, share: np.ndarray, V: int, options: SamplingOptions) -> Table:
    """Return the table of an automaton of counts, with its probabilities raised to 1 / temperature."""
    n = int(graph.first[1])  # entries of the root, which gets one for every token
    root_p, root_after = np.full(V, share[0] / V), np.zeros(V, np.int32)
    root_p[graph.char[:n]], root_after[graph.char[:n]] = p[:n], graph.after[:n]
    first = np.concatenate([[0], graph.first[1:] + V - n])
    char = np.concatenate([np.arange(V, dtype=np.int32), graph.char[n:]])
    after = np.concatenate([root_after, graph.after[n:]])
    p, share = np.concatenate([root_p, p[n:]]), np.concatenate([[0.0], share[1:]])
    lower, end, lower_after = np.zeros(len(p)), np.zeros(len(share)), np.zeros(len(p), np.int32)
    full = Graph(first, graph.parent, char, after, graph.start)
    compiled(temper)(full, 1 / options.temperature, p, share, lower, lower_after, end)
    of_start = slice(first[graph.start], first[graph.start + 1])
    other = 1 - end[graph.start]  # the probability of all but the end

    def begun(column: np.ndarray, more: np.ndarray) -> np.ndarray:
        return np.concatenate([column, more], dtype=column.dtype)

    return Table(
        first=begun(first, first[-1:] + (of_start.stop - of_start.start)),
        char=begun(char, char[of_start]),
        after=begun(after, after[of_start]),
        p=begun(p, p[of_start] / other),
        parent=begun(graph.parent, graph.parent[[graph.start]]),
        share=begun(share, share[[graph.start]] / other),
        lower=begun(lower, lower[of_start] / other),
        lower_after=begun(lower_after, lower_after[of_start]),
        end=begun(end, np.zeros(1)),
    )


def temper(graph, power, p, share, lower, lower_after, end):
    """Raise the probabilities p (E,) and share (C,) of an automaton to a power and normalise them, in place.

    Fills lower, lower_after (E,) and end (C,): see `Table`. The sum z(c) over all v of p(v | c)**power follows from
    that of the parent: what the parent has for the characters of the entries is taken off.
    """
    first, parent, char = graph.first, graph.parent, graph.char
    for c in range(1, share.size):
        for e in range(first[c], first[c + 1]):
            weight, at = share[c], parent[c]
            entry = entry_of(graph, at, char[e])
            while entry < 0:
                weight *= share[at]
                at = parent[at]
                entry = entry_of(graph, at, char[e])
            lower[e] = weight * p[entry]
            lower_after[e] = next_node(graph, parent[c], char[e])
    z = np.ones(share.size)
    for c in range(share.size):
        own, rest = 0.0, z[parent[c]]
        before = share[c] ** power if c > 0 else 0.0
        for e in range(first[c], first[c + 1]):
            if power != 1:
                p[e], lower[e] = p[e] ** power, lower[e] ** power
            own += p[e]
            if c > 0:
                rest -= lower[e] / before
        z[c] = own + before * max(rest, 0.0)
        share[c] = before * z[parent[c]] / z[c] if c > 0 else 0.0
        end[c] = share[c] * end[parent[c]]
        for e in range(first[c], first[c + 1]):
            p[e] /= z[c]
            lower[e] /= z[c]
            if char[e] == 0:
                end[c] = p[e]


SIGNATURES = {temper: "void(Graph, float64, float64[::1], float64[::1], float64[::1], int32[::1], float64[::1])"}
compiled = compiler(SIGNATURES, "contexts of counts")


def context_after(table: Table, tokens: Sequence[int]) -> int:
    """Return the context after the first tokens of a word."""
    context = len(table.end) - 1
    for token in tokens:
        at = context
        while True:
            entries = slice(table.first[at], table.first[at + 1])
            place = table.first[at] + np.searchsorted(table.char[entries], token)
            if place < table.first[at + 1] and table.char[place] == token:
                break
            at = table.parent[at]
        context = int(table.after[place])
    return context
