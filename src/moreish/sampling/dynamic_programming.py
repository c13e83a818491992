"""Drawing words of a set exactly as often as the model makes them, by dynamic programming.

A word goes through pairs of a context c and a state q of the set's automaton. Let b(q, c) be the probability that what
the model writes from there on ends as a word of the set:

    b(c, q) = [q accepts] p(end | c) + sum over tokens v of p(v | c) b(c v, delta(q, v))

where c v is the context after v. Then the next token of a word that is known to be in the set is v with probability
p(v | c) b(c v, delta(q, v)) / b(c, q): drawing each token so draws whole words from p(word | word in the set), and no
draw is in vain. b is computed from the last states of the automaton back to its first. States of a cycle wait for each
other: from b = 0 on they are computed again and again, which after k rounds counts all words with up to k characters
there, until b no longer changes. Towards the end what is missing shrinks by the same factor in every round; now and
then it is added at once.
"""

# pyright: reportMissingParameterType=false

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import types

from ..engine.rng import draw_number
from ..engine.tape.compile import compiled_function
from ..engine.tape.generate import weights
from ..errors import InputError
from .contexts import Contexts
from .deadline import check_time
from .dfa import DFA

CELLS = 1 << 25  # probabilities of tokens after contexts that are kept at most
PLACES = 1 << 25  # pairs of a state and a context
WORK = 1 << 33  # steps to compute b, at most: about half a minute
SETTLED = 1e-12  # relative change in a round that counts as none
LEAP = 12  # rounds from one leap ahead to the next
ROUNDS = 3000  # after which it is given up
USUAL, ONCE = 60, 4  # rounds that a cycle takes; those that a state without one costs as much as
PIECE = 1 << 20  # tokens that are drawn at a time


def normalise(logits, temperature, top_k, top_p, may_end, p):
    """Logits (N, V) -> the probabilities (N, V) to draw by; see `tape.generate.weights`."""
    for i in range(logits.shape[0]):
        total = weights(logits[i], temperature, top_k, top_p, may_end, p[i])
        for v in range(logits.shape[1]):
            p[i, v] /= total


def settle(states, letters, p, after, delta, accept, b):
    """Compute b[:, states] of b (C, Q) from all of b. p (C, V), after (C, V), delta (Q, V); letters are the tokens that
    lead on from any of the states. Returns the largest relative change.
    """
    change, values = 0.0, np.zeros(states.size)
    for c in range(p.shape[0]):
        for i in range(states.size):
            values[i] = p[c, 0] if accept[states[i]] else 0.0
        for v in letters:
            for i in range(states.size):
                q = delta[states[i], v]
                if q >= 0:
                    values[i] += p[c, v] * b[after[c, v], q]
        for i in range(states.size):
            if values[i] != b[c, states[i]]:
                change = max(change, abs(values[i] - b[c, states[i]]) / values[i])
                b[c, states[i]] = values[i]
    return change


def draw(p, after, delta, accept, b, head, context, seed, number, last, longest, tokens):
    """Draw words number, number + 1, ... up to `last` -> tokens (M,), each word ended by 0.

    Each begins with head, after which it stands in state 0 and a context. Stops before a word that might not fit, of
    `longest` characters after its head; returns its number and how many tokens were written. A word that came to be
    longer is cut to nothing.
    """
    V = p.shape[1]
    weight, at = np.zeros(V), 0
    while number < last and at + head.size + longest + 1 <= tokens.size:
        q, c, length, token = 0, context, 0, 0
        tokens[at : at + head.size] = head
        while length <= longest:
            total = 0.0
            for v in range(V):
                weight[v] = 0.0
                if v == 0:
                    weight[v] = p[c, 0] if accept[q] else 0.0
                elif delta[q, v] >= 0:
                    weight[v] = p[c, v] * b[after[c, v], delta[q, v]]
                total += weight[v]
            target, reached, token = draw_number(seed, number, head.size + length) * total, 0.0, 0
            for v in range(V):
                if weight[v] > 0:
                    reached += weight[v]
                    token = v
                    if reached > target:
                        break
            if token == 0 or length == longest:
                break
            tokens[at + head.size + length] = token
            q, c = delta[q, token], after[c, token]
            length += 1
        at += head.size + length if token == 0 else 0
        tokens[at] = 0
        at += 1
        number += 1
    return number, at


@cache
def _compiled() -> tuple[Callable, ...]:
    number, count, flag = types.float64, types.int64, types.boolean
    numbers, tokens = types.float64[:, ::1], types.int32[::1]
    table = types.int32[:, ::1]
    return (
        compiled_function(normalise, types.void(numbers, number, count, number, flag, numbers)),
        compiled_function(
            settle, number(types.int64[::1], types.int64[::1], numbers, table, table, types.boolean[::1], numbers)
        ),
        compiled_function(
            draw,
            types.UniTuple(count, 2)(
                *(numbers, table, table, types.boolean[::1], numbers, tokens, count, count, count, count, count, tokens)
            ),
        ),
    )


@dataclass(frozen=True)
class SamplingOptions:
    """From logits to the probabilities that words are drawn by: temperature, top-k, top-p as in `Model.sample`."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self):
        if not 0 <= self.temperature < float("inf"):
            raise InputError(f"temperature is {self.temperature}: it must be a number from 0")
        if self.top_k < 0:
            raise InputError(f"top-k is {self.top_k}: it must be at least 1, or 0 for all characters")
        if not 0 < self.top_p <= 1:
            raise InputError(f"top-p is {self.top_p}: it must be above 0, and at most 1 for all characters")

    def __call__(self, logits: np.ndarray, may_end: bool) -> np.ndarray:
        """Logits (N, V) -> probabilities float64 (N, V); that of the end is 0 unless the word may end."""
        p = np.empty(logits.shape)
        _compiled()[0](logits.astype(np.float64), self.temperature, self.top_k, self.top_p, may_end, p)
        return p


def work(contexts: Contexts, words: DFA, V: int) -> float:
    """About how many steps the product of contexts and a set's automaton takes; infinite if it is too large."""
    if contexts.size * V > CELLS or contexts.size * len(words.accept) > PLACES:
        return math.inf
    rounds = ((USUAL if words.is_cycle(states) else ONCE) * len(states) for states in words.components())
    return sum(rounds) * contexts.size * V


class Product:
    """The product of a model's contexts and the automaton of a set of words: draws from the set.

    What every word of the set begins with is given: probabilities are of what comes after it.
    mass    the probability that a word which begins so is in the set
    settled whether it could be computed: if the model hardly ever ends a word, it takes too long
    """

    def __init__(self, contexts: Contexts, chances: SamplingOptions, words: DFA):
        self.head, self.words = words.head()
        rows, after, begin = contexts.table()
        V = after.shape[1]
        # The last row is the beginning of a word, where it may not end.
        self.p, self.after = np.empty((len(rows) + 1, V)), np.concatenate([after, after[begin : begin + 1]])
        piece = max(1, (1 << 22) // V)
        for first in range(0, len(rows), piece):
            check_time()
            self.p[first : first + piece][: len(rows) - first] = chances(
                contexts.logits(rows[first : first + piece]), True
            )
        self.p[-1] = chances(contexts.logits(rows[begin : begin + 1]), False)[0]
        self.context = len(rows)
        for token in self.head:
            self.context = int(self.after[self.context, token])
        self.b = np.zeros((len(self.p), len(self.words.accept)))
        self.settled = self._settle()

    @property
    def mass(self) -> float:
        return float(self.b[self.context, 0])

    def _settle(self) -> bool:
        """Compute b; returns whether it settled."""
        delta, settle = self.words.delta, _compiled()[1]
        for states in self.words.components():
            letters = np.flatnonzero((delta[states] >= 0).any(0))
            cyclic, gained = self.words.is_cycle(states), 0.0
            for round in range(1, ROUNDS + 1):
                check_time()
                leaping = cyclic and round % LEAP in (0, LEAP - 1)
                before = self.b[:, states] if leaping else self.b[:0]
                change = settle(states, letters, self.p, self.after, delta, self.words.accept, self.b)
                if change <= SETTLED or not cyclic:
                    break
                if leaping:
                    step = self.b[:, states] - before
                    gained, last = np.abs(step).sum(), gained
                    if round % LEAP == 0 and gained < 0.9999 * last:
                        self.b[:, states] += step * gained / (last - gained)
            else:
                return False
        return True

    def draw(self, n: int, seed: int, first: int, longest: int) -> np.ndarray:
        """Draw words number first, first + 1, ...: a flat run of tokens, int32, each word ended by 0.

        One of more than `longest` characters after the head, which hardly ever comes, is empty instead.
        """
        size = len(self.head) + longest + 1
        buffer = np.empty(max(size, min(PIECE, n * size)), np.int32)
        head, pieces, number = np.array(self.head, np.int32), [np.zeros(0, np.int32)], first
        while number < first + n:
            check_time()
            number, written = _compiled()[2](
                *(self.p, self.after, self.words.delta, self.words.accept, self.b, head, self.context),
                *(seed, number, first + n, longest, buffer),
            )
            pieces.append(buffer[:written].copy())
        return np.concatenate(pieces)
