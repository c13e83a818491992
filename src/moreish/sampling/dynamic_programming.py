"""Drawing words of a set exactly as often as the model generates them, by dynamic programming.

While a word is read, it is at a pair of a context c and a state q of the set's automaton. Let b(c, q) be the
probability that the model continues from there to a word of the set:

    b(c, q) = weight(q) p(end | c) + sum over tokens v of p(v | c) b(c v, delta(q, v))

where c v is the context after v, and the weight of a state is 1 if words may end there, else 0; a wish gives other
weights. Then the next token of a word that is known to be in the set is v with probability
p(v | c) b(c v, delta(q, v)) / b(c, q). Drawing each token so draws whole words from p(word | word in the set), and no
draw is rejected.

b is computed from the last states of the automaton back to its first. States of a cycle depend on each other. They
start from b = 0 and are computed in rounds, until b no longer changes: after k rounds b counts all words with up to k
characters there. In later rounds what is missing shrinks by a constant factor, so now and then the sum of all that is
missing is added at once.
"""

import math

import numpy as np

from ..ngram.sampler import BUFFER_TOKENS, Words
from .contexts import Contexts, context_after
from .deadline import check_time
from .dfa import DFA
from .model import SamplingModel
from .options import SamplingOptions
from .product import States, compiled, draw, expect

MAX_ENTRIES = 1 << 25  # of the table of contexts
MAX_PAIRS = 1 << 25  # of a context and a state
MAX_STEPS = 1 << 33  # to compute b: about half a minute
CONVERGED = 1e-11  # relative change in a round that counts as none
ROUNDS_PER_LEAP = 6  # from one extrapolation to the next
GEOMETRIC, LARGEST_RATIO = 0.3, 0.9999  # of steps that are extrapolated: their relative difference, and their ratio
MAX_ROUNDS = 3000
CYCLE_ROUNDS, ACYCLIC_ROUNDS = 60, 4  # estimates: the rounds of a cycle, and the cost of a state outside one in rounds


def estimated_steps(contexts: Contexts, words: DFA, options: SamplingOptions) -> float:
    """Estimate the steps to compute b for a set of words; infinite if the product is too large."""
    entries = contexts.entries(options)
    if entries > MAX_ENTRIES or contexts.size * len(words.weights) > MAX_PAIRS:
        return math.inf
    rounds = ((CYCLE_ROUNDS if words.is_cycle(s) else ACYCLIC_ROUNDS) * len(s) for s in words.components)
    return sum(rounds) * entries


class ExactSampler:
    """Draws words of a set, each exactly as often as the model generates it among them.

    prefix      tokens that all words of the set share; probabilities are given the prefix
    mass        the probability that a word of the model with this prefix is in the set; with wishes, the mean weight
    converged   False if b could not be computed: the model hardly ever ends a word
    """

    def __init__(self, model: SamplingModel, options: SamplingOptions, words: DFA):
        self.prefix, self.words = words.split_prefix()
        self.table = model.contexts.table(options)
        self.states = States(self.words.delta, self.words.weights, self.words.classes)
        self.context = context_after(self.table, self.prefix)
        self.b = np.zeros((len(self.words.weights), len(self.table.end)))
        self.converged = self._compute_b()

    @property
    def mass(self) -> float:
        return float(self.b[0, self.context])

    def _compute_b(self) -> bool:
        """Compute b; return False if it does not converge."""
        place = np.argsort(self.words.nearest_end_first)
        for component in self.words.components:
            states = component[np.argsort(place[component])]
            cyclic, last = self.words.is_cycle(states), np.zeros(0)
            for round in range(1, MAX_ROUNDS + 1):
                check_time()
                before = self.b[states]
                self._update(states)
                after = self.b[states]
                if not cyclic or _change(before, after) <= CONVERGED:
                    break
                if round % ROUNDS_PER_LEAP == 0:
                    self.b[states] += _rest_of_series(last, after - before)
                last = after - before
            else:
                return False
        return True

    def _update(self, states: np.ndarray) -> None:
        """Compute b of some states from all of b, one after the other."""
        in_place, row = not len(self.table.lower), np.empty(self.b.shape[1])
        for q in states.tolist():
            out = self.b[q] if in_place else row
            compiled(expect)(self.table, self.states, q, float(self.words.weights[q]), self.b, out)
            self.b[q] = out

    def draw(self, n: int, seed: int, first: int, longest: int) -> np.ndarray:
        """Draw words number first, first + 1, ...: a flat array of tokens, int32, each word ended by 0.

        A word with more than `longest` characters after the prefix, which is very rare, is empty instead.
        """
        size = len(self.prefix) + longest + 1
        buffer, drawn = np.empty(max(size, min(BUFFER_TOKENS, n * size)), np.int32), [np.zeros(0, np.int32)]
        words = Words(np.array(self.prefix, np.int32), longest, seed, first, first + n)
        while words.first < words.last:
            check_time()
            number, written = compiled(draw)(self.table, self.states, self.b, self.context, words, buffer)
            words = words._replace(first=number)
            drawn.append(buffer[:written].copy())
        return np.concatenate(drawn)


def _rest_of_series(last: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Return what follows two steps, if each step is the same multiple of the one before; else zeros."""
    ratio = (step * last).sum() / max((last * last).sum(), np.finfo(float).tiny)
    geometric = np.abs(step - ratio * last).sum() < GEOMETRIC * np.abs(step).sum()
    return step * (ratio / (1 - ratio)) if geometric and 0 < ratio < LARGEST_RATIO else np.zeros_like(step)


def _change(before: np.ndarray, after: np.ndarray) -> float:
    """Return the largest relative change of numbers that are not negative."""
    with np.errstate(over="ignore"):  # where a number is 0 again that rounding has made positive
        return float((np.abs(after - before) / np.maximum(after, np.finfo(float).tiny)).max(initial=0))
