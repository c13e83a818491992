"""Look-ahead: how likely a word that is half read ends well, by an n-gram counted from the same words.

A net has too many contexts for dynamic programming. An n-gram has few, so its product with the automaton of a set of
words is computed once: b(t, c, q), the probability of ending in the set from context c and state q, t characters into
the word. The values guide the net and never change what it generates: `guided` corrects for them.

N-grams know nothing of the length of a word, and nets do. So at each position t the probability of the end is changed
from e to 1 - (1 - e)**stops[t], where stops[t] is fitted so that as many words of the list end at t as do. The other
characters share the rest. For sets with many states this is left out, in favour of longer contexts.
"""

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache

import numpy as np

from ..corpus import END
from ..ngram import Automaton
from .contexts import LEAST_TEMPERATURE, CountedContexts, Table, context_after
from .deadline import check_time
from .dfa import DFA
from .options import SamplingOptions
from .product import States, compiled, expect, look

MAX_POSITIONS = 24  # with a value of their own; later ones share the last
TAIL_ROUNDS = 8  # at the last position
MAX_STEPS = 1 << 24  # to compute b, and
MAX_VALUES = 1 << 23  # in b; for more, the contexts are made shorter
LEAST_WITH_LENGTH = 4  # the lowest order for which the length is more useful than a longer context
FITTING_ROUNDS, PRIOR_WORDS = 8, 5  # of fitting to the lengths of words; the prior says that n-grams are right


class Guide:
    """An n-gram that looks ahead.

    automaton   the n-gram
    stream      words to fit the length to: see `Corpus.stream`
    """

    def __init__(self, automaton: Automaton, stream: np.ndarray):
        self.automaton = automaton
        self.stops = fitted_stops(CountedContexts(automaton).table(SamplingOptions()), automaton, stream)
        self.table = lru_cache(4)(self._table)

    @cached_property
    def levels(self) -> np.ndarray:
        """Number of characters of each context, (nodes,), in increasing order."""
        parent, levels = self.automaton.graph.parent, np.zeros(self.automaton.size, np.int64)
        for _ in range(self.automaton.probabilities.order):
            levels[1:] = levels[parent[1:]] + 1
        return levels

    def _table(self, order: int, temperature: float) -> Table:
        """Return the table of the n-gram with contexts of up to order - 1 characters."""
        return CountedContexts(shortened(self.automaton, self.levels, order)).table(SamplingOptions(temperature))

    def size(self, order: int) -> tuple[int, int]:
        """Return the numbers of contexts and of entries with contexts of up to order - 1 characters."""
        nodes = int(np.searchsorted(self.levels, order))
        return nodes, int(self.automaton.graph.first[nodes])


def shortened(automaton: Automaton, levels: np.ndarray, order: int) -> Automaton:
    """Return an n-gram with shorter contexts: the first nodes of a longer one. levels (nodes,): see `Guide`."""
    graph, p, share = automaton.graph, automaton.probabilities.p, automaton.probabilities.share
    n = int(np.searchsorted(levels, order))
    if n == automaton.size:
        return automaton
    known = np.arange(len(levels), dtype=np.int32)  # the longest context of each that is left
    while known.max() >= n:
        known = np.where(known >= n, graph.parent[known], known)
    entries = slice(0, int(graph.first[n]))
    arrays = {
        "first": graph.first[: n + 1],
        "parent": graph.parent[:n],
        "char": graph.char[entries],
        "after": known[graph.after[entries]],
        "start": known[[graph.start]].astype(np.int64),
        "p": p[entries],
        "share": share[:n],
    }
    return Automaton(order, automaton.n_vocab, arrays)


def fitted_stops(table: Table, automaton: Automaton, stream: np.ndarray) -> np.ndarray:
    """Fit the strength of the end at each position to a stream of words: float64 (positions,)."""
    ended = stream[1:] == END
    if not len(ended):
        return np.ones(1)
    begins = np.concatenate([[0], np.flatnonzero(ended)[:-1] + 1])
    lengths = np.diff(begins, append=len(ended))
    position = np.arange(len(ended)) - np.repeat(begins, lengths)
    position = np.minimum(position, MAX_POSITIONS - 1)
    goes_on, T = np.log1p(-np.minimum(table.end[automaton.nodes(stream)], 1 - 1e-9)), int(position.max()) + 1
    counts, stops = np.bincount(position, ended, minlength=T), np.ones(T)
    for _ in range(FITTING_ROUNDS):  # by Newton's method
        rest = np.exp(stops[position] * goes_on)
        excess = np.bincount(position, 1 - rest, minlength=T) - counts + PRIOR_WORDS * (stops - 1)
        slope = np.bincount(position, -goes_on * rest, minlength=T) + PRIOR_WORDS
        stops = np.maximum(stops - excess / slope, stops / 4)
    return stops


class LookAhead:
    """The values b for a set of words without their shared prefix, from a position on.

    most_steps  to compute b; fewer take less time, and look at shorter contexts
    context     of the guide, after the shared prefix
    share       the guide's estimate of the share of words that are in the set
    """

    def __init__(
        self, guide: Guide, words: DFA, prefix: Sequence[int], options: SamplingOptions, most_steps: int = MAX_STEPS
    ):
        self.words, self.position, self.most_steps = words, len(prefix), most_steps
        self.states = States(words.delta, words.weights, words.classes)
        self.first = min(self.position, len(guide.stops) - 1)
        stops, self.tail = guide.stops[self.first :], 1 if words.n_words < math.inf else TAIL_ROUNDS
        order = self._order(guide, len(stops) + self.tail)
        if order < LEAST_WITH_LENGTH:
            stops = np.ones(1)
            order = self._order(guide, self.tail)
        temperature = options.temperature if options.all_characters else 1.0
        self.table = guide.table(order, max(temperature, LEAST_TEMPERATURE))
        self.context = context_after(self.table, prefix)
        self.b = self._values(stops)

    def _order(self, guide: Guide, rounds: int) -> int:
        """Return the highest order for which b can be computed in some rounds."""
        updates = rounds * len(self.words.weights)
        for order in range(guide.automaton.probabilities.order, 1, -1):
            nodes, entries = guide.size(order)
            if entries * updates <= self.most_steps and nodes * updates <= MAX_VALUES:
                return order
        return 1

    def _values(self, stops: np.ndarray) -> np.ndarray:
        """Compute b (positions, Q, C) backwards from the last position, which stands for all after it.

        There each state is updated after those nearer to the end of a word, so that no b is 0.
        """
        end = np.minimum(self.table.end, 1 - 1e-9)  # which a low temperature may make 1
        weights, Q = self.words.weights, len(self.words.weights)
        b, row = np.zeros((len(stops), Q, len(end))), np.empty(len(end))
        goes_on = np.log1p(-end)
        settled = {q for q in range(Q) if weights[q] and (self.words.delta[q, 1:] == q).all()}  # whatever follows
        for q in settled:
            b[:, q] = weights[q]
        for t in [*[len(stops) - 1] * self.tail, *range(len(stops) - 1, -1, -1)]:
            check_time()
            ends = -np.expm1(stops[t] * goes_on)
            others, after = (1 - ends) / (1 - end), b[min(t + 1, len(stops) - 1)]
            for q in self.words.nearest_end_first:
                if q not in settled:
                    compiled(expect)(self.table, self.states, q, 0.0, after, row)
                    b[t, q] = others * row + weights[q] * ends
        return b

    @property
    def share(self) -> float:
        return float(self.b[0, 0, self.context])

    def after(self, length: int, contexts: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what follows N pairs of a context and a state, `length` characters after the shared prefix.

        The contexts after each token, int32 (N, V), and b of the pairs there, float64 (N, V); 0 for the end.
        """
        V = len(self.words.classes)
        reached, value = np.empty((len(at), V), np.int32), np.empty((len(at), V))
        b = self.b[max(0, min(self.position + length + 1 - self.first, len(self.b) - 1))]
        compiled(look)(self.table, self.states, b, contexts, at, reached, value)
        return reached, value
