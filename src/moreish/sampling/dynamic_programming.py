"""Drawing words of a set exactly as often as the model generates them, by dynamic programming.

While a word is read, it is at a pair of a context c and a state q of the set's automaton. Let b(c, q) be the
probability that the model continues from there to a word of the set, times the mean weight of these words:

    b(c, q) = weight(q) p(end | c) + sum over tokens v of p(v | c) b(c v, delta(q, v))

where c v is the context after v, and weight(q) the weight of a word that ends in q, 0 if none ends there. Then the next
token of a word that is known to be in the set is v with probability

    p(v | c) b(c v, delta(q, v)) / b(c, q)

Drawing each token so draws whole words in proportion to p(word) weight(word), and no draw is rejected. Without wishes,
this is p(word | word in the set).

b is computed from the last states of the automaton back to its first. States of a cycle depend on each other. They
start from b = 0 and are computed in rounds, until b no longer changes: after k rounds b counts all words with up to k
characters there. In later rounds what is missing shrinks by a constant factor, so now and then the sum of all that is
missing is added at once.
"""

# pyright: reportMissingParameterType=false

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import types

from ..engine.rng import draw_number
from ..engine.tape.compile import compiler
from ..engine.tape.generate import weights as weights_of
from ..errors import InputError
from ..ngram.kernels import FLOATS2, INT
from ..ngram.sampler import BUFFER_TOKENS, WORDS, Words
from .contexts import Contexts
from .deadline import check_time
from .dfa import DFA
from .model import SamplingModel

MAX_PROBABILITIES = 1 << 25  # of tokens after contexts
MAX_PAIRS = 1 << 25  # of a context and a state
MAX_STEPS = 1 << 33  # to compute b: about half a minute
CONVERGED = 1e-12  # relative change in a round that counts as none
ROUNDS_PER_LEAP = 12  # from one extrapolation to the next
MAX_ROUNDS = 3000
CYCLE_ROUNDS, ACYCLIC_ROUNDS = 60, 4  # estimates: the rounds of a cycle, and the cost of a state outside one in rounds
LOGITS_AT_A_TIME = 1 << 22


class Product(NamedTuple):
    """The product of C contexts and an automaton of Q states.

    p           probability of each token after each context, float64 (C, V)
    after       the context after each token, int32 (C, V)
    delta       see `DFA`, int32 (Q, K)
    weights     see `DFA`, float64 (Q,)
    classes     see `DFA`, int64 (V,)
    b           float64 (C, Q)
    """

    p: np.ndarray
    after: np.ndarray
    delta: np.ndarray
    weights: np.ndarray
    classes: np.ndarray
    b: np.ndarray


def normalise(logits, temperature, top_k, top_p, may_end, p):
    """Logits (N, V) -> the probabilities (N, V) to draw by; see `tape.generate.weights`."""
    for i in range(logits.shape[0]):
        total = weights_of(logits[i], temperature, top_k, top_p, may_end, p[i])
        for v in range(logits.shape[1]):
            p[i, v] /= total


def update(product, states, letters):
    """Compute b[:, states] from all of b; letters are the tokens that lead on from any of the states.

    Returns the largest relative change.
    """
    p, after, delta, weights, classes, b = product
    change, values = 0.0, np.zeros(states.size)
    for c in range(p.shape[0]):
        for i in range(states.size):
            values[i] = weights[states[i]] * p[c, 0]
        for v in letters:
            for i in range(states.size):
                q = delta[states[i], classes[v]]
                if q >= 0:
                    values[i] += p[c, v] * b[after[c, v], q]
        for i in range(states.size):
            if values[i] != b[c, states[i]]:
                change = max(change, abs(values[i] - b[c, states[i]]) / values[i])
                b[c, states[i]] = values[i]
    return change


def draw(product, context, words, tokens):
    """Draw words into tokens (M,), each ended by 0.

    After its prefix a word is at state 0 and a context. max_length counts the characters after the prefix; a longer
    word becomes empty. Stops before a word that might not fit. Returns the number of that word and how many tokens were
    written.
    """
    p, after, delta, weights, classes, b = product
    prefix, longest = words.prefix, words.max_length
    V = p.shape[1]
    chance, at, number = np.zeros(V), 0, words.first
    while number < words.last and at + prefix.size + longest + 1 <= tokens.size:
        q, c, length, token = 0, context, 0, 0
        for k in range(prefix.size):  # a slice takes a second to compile
            tokens[at + k] = prefix[k]
        while length <= longest:
            chance[0] = total = weights[q] * p[c, 0]
            for v in range(1, V):
                onward = delta[q, classes[v]]
                chance[v] = p[c, v] * b[after[c, v], onward] if onward >= 0 else 0.0
                total += chance[v]
            target, reached, token = draw_number(words.seed, number, prefix.size + length) * total, 0.0, 0
            for v in range(V):
                if chance[v] > 0:
                    reached += chance[v]
                    token = v
                    if reached > target:
                        break
            if token == 0 or length == longest:
                break
            tokens[at + prefix.size + length] = token
            q, c = delta[q, classes[token]], after[c, token]
            length += 1
        at += prefix.size + length if token == 0 else 0
        tokens[at] = 0
        at += 1
        number += 1
    return number, at


FLOAT, TABLE = types.float64, types.int32[:, ::1]
PRODUCT = types.NamedTuple((FLOATS2, TABLE, TABLE, FLOAT[::1], INT[::1], FLOATS2), Product)
SIGNATURES = {
    normalise: types.void(FLOATS2, FLOAT, INT, FLOAT, types.boolean, FLOATS2),
    update: FLOAT(PRODUCT, types.int64[::1], types.int64[::1]),
    draw: types.UniTuple(INT, 2)(PRODUCT, INT, WORDS, types.int32[::1]),
}
compiled = compiler(SIGNATURES, "constrained sampling")


@dataclass(frozen=True)
class SamplingOptions:
    """Options that change the probabilities to draw by: temperature, top-k and top-p, as in `Model.sample`."""

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

    def probabilities(self, logits: np.ndarray, may_end: bool) -> np.ndarray:
        """Logits (N, V) -> probabilities float64 (N, V); that of the end is 0 unless the word may end."""
        p = np.empty(logits.shape)
        compiled(normalise)(logits.astype(np.float64), self.temperature, self.top_k, self.top_p, may_end, p)
        return p


def estimated_steps(contexts: Contexts, words: DFA, V: int) -> float:
    """Estimate the steps to compute b for a set of words; infinite if the product is too large."""
    if contexts.size * V > MAX_PROBABILITIES or contexts.size * len(words.weights) > MAX_PAIRS:
        return math.inf
    rounds = ((CYCLE_ROUNDS if words.is_cycle(s) else ACYCLIC_ROUNDS) * len(s) for s in words.components)
    return sum(rounds) * contexts.size * V


class ExactSampler:
    """Draws words of a set, each exactly as often as the model generates it among them.

    prefix      tokens that all words of the set share; probabilities are given the prefix
    mass        the mean weight of a word of the model with this prefix: without wishes, the probability that it is in
                the set
    converged   False if b could not be computed: the model hardly ever ends a word
    """

    def __init__(self, model: SamplingModel, options: SamplingOptions, words: DFA):
        self.prefix, self.words = words.split_prefix()
        states, after, begin = model.contexts.table()
        C, V = after.shape
        # The last row is the beginning of a word, where it may not end.
        p = np.empty((C + 1, V))
        step = max(1, LOGITS_AT_A_TIME // V)
        for first in range(0, C, step):
            check_time()
            chunk = slice(first, min(first + step, C))
            p[chunk] = options.probabilities(model.reader.logits(model.params, states[chunk]), True)
        p[-1] = options.probabilities(model.reader.logits(model.params, states[begin : begin + 1]), False)[0]
        after = np.concatenate([after, after[begin : begin + 1]])
        self.context = C
        for token in self.prefix:
            self.context = int(after[self.context, token])
        self.b = np.zeros((C + 1, len(self.words.weights)))
        self.product = Product(p, after, self.words.delta, self.words.weights, self.words.classes, self.b)
        self.converged = self._compute_b()

    @property
    def mass(self) -> float:
        return float(self.b[self.context, 0])

    def _compute_b(self) -> bool:
        """Compute b; return False if it does not converge."""
        for states in self.words.components:
            letters = np.flatnonzero((self.words.rows(states) >= 0).any(0))
            cyclic, gained = self.words.is_cycle(states), 0.0
            for round in range(1, MAX_ROUNDS + 1):
                check_time()
                measured = cyclic and round % ROUNDS_PER_LEAP in (0, ROUNDS_PER_LEAP - 1)
                before = self.b[:, states] if measured else self.b[:0]
                change = compiled(update)(self.product, states, letters)
                if change <= CONVERGED or not cyclic:
                    break
                if measured:
                    step = self.b[:, states] - before
                    gained, last = np.abs(step).sum(), gained
                    if round % ROUNDS_PER_LEAP == 0 and gained < 0.9999 * last:  # the sum of a geometric series
                        self.b[:, states] += step * gained / (last - gained)
            else:
                return False
        return True

    def draw(self, n: int, seed: int, first: int, longest: int) -> np.ndarray:
        """Draw words number first, first + 1, ...: a flat array of tokens, int32, each word ended by 0.

        A word with more than `longest` characters after the prefix, which is very rare, is empty instead.
        """
        size = len(self.prefix) + longest + 1
        buffer, drawn = np.empty(max(size, min(BUFFER_TOKENS, n * size)), np.int32), [np.zeros(0, np.int32)]
        words = Words(np.array(self.prefix, np.int32), longest, seed, first, first + n)
        while words.first < words.last:
            check_time()
            number, written = compiled(draw)(self.product, self.context, words, buffer)
            words = words._replace(first=number)
            drawn.append(buffer[:written].copy())
        return np.concatenate(drawn)
