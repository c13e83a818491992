"""Sets of words as deterministic finite automata over the tokens of a vocabulary (Hopcroft and Ullman 1979, chapter 2).

A constraint on words is a set of words. All constraints here are regular: an automaton reads a word token by token and
accepts it if it is in the set. Two constraints together are the intersection of their sets, which is an automaton over
pairs of states.

A wish is a set in which words have weights. A word with twice the weight of another is twice as likely, relative to it,
as under the model. Together, wishes multiply their weights; the weights of a constraint are 0 and 1.

Tokens that lead to the same state from every state are one class. So an automaton costs as much as the characters that
it tells apart, however many there are.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..errors import InputError
from ..layers.random import bits_of
from .deadline import check_time

MAX_STATES = 1 << 14
MAX_EXPLORED = 1 << 16  # states before equal ones are made one
MAX_COMPARED = 1 << 23  # transitions, to make equal states one


@dataclass(frozen=True, eq=False)
class DFA:
    """A set of words with weights. Reading starts in state 0; the empty set has no states.

    delta       int32 (Q, K): the state after a token of each class, -1 if no word of the set continues so
    weights     float64 (Q,): the weight of a word that ends in each state; 0 where no word may end, 1 without wishes
    classes     int64 (V,): the class of each token. Class 0 is that of the end and of the characters that no word has;
                its column is -1
    """

    delta: np.ndarray
    weights: np.ndarray
    classes: np.ndarray

    @property
    def empty(self) -> bool:
        """True if no word is in the set."""
        return len(self.weights) == 0

    @property
    def accept(self) -> np.ndarray:
        """True for a state in which a word may end, bool (Q,)."""
        return self.weights > 0

    def after(self, states: Any, tokens: Any) -> Any:
        """Return the state after one more token, -1 for none; or the states (n,) after tokens (n,)."""
        return self.delta[states, self.classes[tokens]]

    def rows(self, states: np.ndarray) -> np.ndarray:
        """Return the states after every token, (n, V), -1 for none."""
        return self.delta[states][:, self.classes]

    def weigh_each(self, stream: np.ndarray) -> np.ndarray:
        """Return the weight of each word of a flat array of tokens, each word ended by 0: float64 (words,)."""
        ends = np.flatnonzero(stream == 0)
        starts = np.concatenate([[0], ends[:-1] + 1])
        if self.empty or not len(ends):
            return np.zeros(len(ends))
        state, lengths = np.zeros(len(ends), np.int64), ends - starts
        for k in range(int(lengths.max())):
            reading = np.flatnonzero((lengths > k) & (state >= 0))
            state[reading] = self.after(state[reading], stream[starts[reading] + k])
        return np.where(state >= 0, self.weights[state], 0.0)

    def __and__(self, other: "DFA") -> "DFA":
        """Return the words that are in both sets; their weights are multiplied.

        Raises InputError if that takes more than MAX_STATES states.
        """
        if self.empty or other.empty:
            return nothing(len(self.classes))
        width, K = len(other.weights), other.delta.shape[1]
        both = np.where((self.classes > 0) & (other.classes > 0), self.classes * K + other.classes, 0)
        codes, classes = np.unique(both, return_inverse=True)  # the first is that of the end, 0
        ours, theirs = np.divmod(codes, K)

        def follow(pairs: np.ndarray) -> np.ndarray:
            a, b = self.delta[pairs // width][:, ours], other.delta[pairs % width][:, theirs]
            return np.where((a >= 0) & (b >= 0), a.astype(np.int64) * width + b, -1)

        pairs, delta = explore(follow)
        both = trimmed(delta, self.weights[pairs // width] * other.weights[pairs % width], classes)
        if len(both.weights) > MAX_STATES:
            raise too_large()
        return both

    @cached_property
    def n_words(self) -> float:
        """Number of words: infinite if the automaton has a cycle."""
        counts, sizes = np.zeros(len(self.weights)), np.bincount(self.classes, minlength=self.delta.shape[1])
        for states in self.components:
            if self.is_cycle(states):
                return math.inf
            row = self.delta[states[0]]
            onward = counts[row[row >= 0]] * sizes[row >= 0]
            counts[states] = min(self.accept[states[0]] + onward.sum(), 1e300)  # no overflow
        return 0.0 if self.empty else float(counts[0])

    @cached_property
    def best(self) -> np.ndarray:
        """The largest weight of a word that continues from each state, float64 (Q,)."""
        found = self.weights.copy()
        for states in self.components:
            onward = self.delta[states]
            found[states] = max(found[states].max(), found[onward[onward >= 0]].max(initial=0.0))
        return found

    @property
    def largest(self) -> float:
        """The largest weight of a word; 0 for the empty set."""
        return float(self.weights.max(initial=0.0))

    @property
    def has_wishes(self) -> bool:
        """True if words have different weights."""
        return bool((self.weights[self.accept] < self.largest).any())

    def log_weights(self, words: Sequence[Sequence[int]]) -> np.ndarray:
        """Return the logarithm of the weight of each word of the set, given as tokens without the end."""
        return np.log(self.weigh_each(np.array([token for word in words for token in (*word, 0)], np.int64)))

    @cached_property
    def shortest(self) -> int:
        """Length of the shortest word. Raises ValueError for the empty set."""
        if self.empty:
            raise ValueError("the set is empty")
        length, here, seen = 0, np.zeros(1, np.int64), np.zeros(len(self.weights), bool)
        while not self.accept[here].any():
            seen[here] = True
            after = np.unique(self.delta[here])
            here = after[(after >= 0) & ~seen[after]]
            length += 1
        return length

    @cached_property
    def nearest_end_first(self) -> list[int]:
        """All states, by the fewest characters that complete a word."""
        return _backwards(self.delta, self.weights)

    def is_cycle(self, states: np.ndarray) -> bool:
        """Return True if the states of a component lead to each other, or one to itself."""
        return bool(np.isin(self.delta[states], states).any())

    @cached_property
    def components(self) -> list[np.ndarray]:
        """The strongly connected components, each after those that it leads to (Tarjan 1972).

        A component is complete when the search leaves the first of its states that it visited.
        """
        onward = [sorted({*row} - {-1}) for row in self.delta.tolist()]
        visited: dict[int, int] = {}  # the number of each state in the order of visits
        low: dict[int, int] = {}  # the earliest known state in the component of each open state
        open_states: list[int] = []  # of components that are not complete
        found: list[np.ndarray] = []
        search = [(0, iter(onward[0]))] if onward else []
        while search:
            q, rest = search[-1]
            if q not in visited:
                visited[q] = low[q] = len(visited)
                open_states.append(q)
            for after in rest:
                if after not in visited:
                    search.append((after, iter(onward[after])))
                    break
                low[q] = min(low[q], low.get(after, len(onward)))
            else:
                search.pop()
                if search:
                    low[search[-1][0]] = min(low[search[-1][0]], low[q])
                if low[q] == visited[q]:
                    at = len(open_states) - 1
                    while open_states[at] != q:
                        at -= 1
                    found.append(np.array(open_states[at:]))
                    for done in open_states[at:]:
                        del low[done]
                    del open_states[at:]
        return found

    def split_prefix(self) -> tuple[list[int], "DFA"]:
        """Return the tokens that all words begin with, and the set of their continuations."""
        tokens, state, seen = [], 0, set()
        while not self.empty and not self.accept[state] and state not in seen:
            seen.add(state)
            onward = np.flatnonzero(self.rows(np.array([state]))[0] >= 0)
            if len(onward) != 1:
                break
            tokens.append(int(onward[0]))
            state = int(self.after(state, onward[0]))
        if not tokens:
            return [], self
        states, delta = explore(lambda q: self.delta[q].astype(np.int64), state)
        return tokens, trimmed(delta, self.weights[states], self.classes)


def explore(follow: Callable[[np.ndarray], np.ndarray], start: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Find all states that can be reached: their codes (Q,), `start` first, and the transitions, int32 (Q, K).

    follow maps codes (n,) to the codes after each class, int64 (n, K), -1 for none. Raises InputError for more than
    MAX_EXPLORED states.
    """
    known, rows, frontier = {start: 0}, [], np.array([start])
    while len(frontier):
        check_time()
        after = follow(frontier)
        rows.append(after)
        new = [int(code) for code in np.unique(after) if code >= 0 and int(code) not in known]
        known.update({code: len(known) + i for i, code in enumerate(new)})
        if len(known) > MAX_EXPLORED:
            raise too_large()
        frontier = np.array(new, np.int64)
    codes = np.array(list(known), np.int64)
    order = np.argsort(codes)
    table = np.concatenate(rows)
    places = order[np.searchsorted(codes[order], np.maximum(table, codes.min()))]
    return codes, np.where(table >= 0, places, -1).astype(np.int32)


def too_large() -> InputError:
    """Return the error for a set that takes too many states."""
    return InputError(f"the constraints together take more than {MAX_STATES:,} states: simplify them")


def trimmed(delta: np.ndarray, weights: np.ndarray, classes: np.ndarray) -> DFA:
    """Return the automaton with only states from which a word can be completed, and equal states and classes made one.

    Class 0 of the tokens, classes (V,), is that of the end.
    """
    used, classes = np.unique(classes, return_inverse=True)
    delta = delta[:, used]
    alive = np.zeros(len(weights), bool)
    alive[_backwards(delta, weights)] = True
    if not len(alive) or not alive[0]:
        return nothing(len(classes))
    number = np.where(alive, np.cumsum(alive) - 1, -1)
    delta, weights = minimised(np.where(delta >= 0, number[delta], -1).astype(np.int32)[alive], weights[alive])
    columns = {np.full(len(delta), -1, np.int32).tobytes(): 0}  # of the classes that stay
    merged = np.array([columns.setdefault(column.tobytes(), len(columns)) for column in delta.T])
    kept = np.unique(merged, return_index=True)[1]
    return DFA(np.ascontiguousarray(delta[:, kept]), weights, merged[classes])


def minimised(delta: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the transitions and weights with states made one that give all continuations the same weights.

    States are parted by their weights, then again and again by the parts that they lead to, until no part is split
    (Moore 1956). They are compared by a hash. An automaton that takes too long is returned as it is.
    """
    factors = bits_of(0, np.arange(delta.shape[1])) | np.uint64(1)
    _, first, part = np.unique(weights, return_index=True, return_inverse=True)
    n = 0
    for _ in range(MAX_COMPARED // delta.size):
        check_time()
        hashes = bits_of(1, np.append(part, -1))  # of each state, and of none
        after = hashes[:-1].copy()
        for column, factor in zip(delta.T, factors, strict=True):
            after += hashes[column] * factor
        _, first, part = np.unique(after, return_index=True, return_inverse=True)
        if len(first) in (n, len(delta)):
            break
        n = len(first)
    leads = np.where(delta >= 0, part[delta], -1)
    if not (np.array_equal(leads[first][part], leads) and np.array_equal(weights[first][part], weights)):
        return delta, weights  # not finished
    order = np.argsort(first)
    number = np.append(np.argsort(order), -1).astype(np.int32)
    return number[leads[first[order]]], weights[first[order]]


def _backwards(delta: np.ndarray, weights: np.ndarray) -> list[int]:
    """Return the states from which a word can be completed, those nearest to its end first."""
    before, columns = np.nonzero(delta >= 0)
    target = delta[before, columns]
    order = np.argsort(target, kind="stable")
    before, first = before[order], np.searchsorted(target[order], np.arange(len(weights) + 1))
    alive = weights > 0
    found = np.flatnonzero(alive).tolist()
    for q in found:  # the list grows during the loop
        earlier = before[first[q] : first[q + 1]]
        new = np.unique(earlier[~alive[earlier]])
        alive[new] = True
        found += new.tolist()
    return found


def nothing(V: int) -> DFA:
    """Return the empty set."""
    return DFA(np.zeros((0, 1), np.int32), np.zeros(0), np.zeros(V, np.int64))
