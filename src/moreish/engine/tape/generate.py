"""Words drawn from a model, many at the same time, in one compiled loop."""

# pyright: reportMissingParameterType=false

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numba import njit

from ...layers.maths import exp, kernel
from ..protocol import Draw
from ..rng import draw_number
from .barrier import single_thread
from .machine import batch_of, forward


class Settings(NamedTuple):
    """A `Draw` as compiled code takes it; prefix (P,) is int32."""

    prefix: np.ndarray
    temperature: float
    top_k: int
    top_p: float
    seed: int
    first: int
    max_length: int


@kernel
def weights(logits, temperature, top_k, top_p, may_end, out):
    """logits (V,) -> out (V,): weights proportional to the probabilities to draw from; returns their sum.

    The end token is removed unless the word may end. Logits are divided by the temperature. The `top_k` largest are
    kept (0: all), and of these the fewest that make up `top_p` of the probability (1: all), the largest first. A
    temperature of 0 (below 1e-6) keeps only the largest. Of equal logits the first counts as the largest.
    """
    V = logits.size
    nothing = logits.dtype.type(-np.inf)
    if temperature < 1e-6:
        top_k, temperature = 1, 1.0
    for v in range(V):
        out[v] = logits[v]
    if not may_end:
        out[0] = nothing
    largest = nothing
    for v in range(V):
        largest = max(largest, out[v])
    if 0 < top_k < V:
        keep_largest(out, largest, top_k, nothing)
    inverse = logits.dtype.type(1 / temperature)
    total = logits.dtype.type(0)
    for v in range(V):
        out[v] = exp((out[v] - largest) * inverse) * (out[v] > nothing)
        total += out[v]
    if top_p < 1:
        return keep_share(out, total, top_p)
    return total


@kernel
def keep_share(values, total, share):
    """Keep the fewest of the largest values (V,) that make up a share of their total, and set the others to 0.

    This is the nucleus of Holtzman et al. 2020. Returns the sum of the values kept. Of equal values the first are kept.
    Bisection finds the smallest value to keep: the values above it are too few, the values above the next smaller
    number are enough. (Sorting would be simpler, but takes seconds to compile.)
    """
    zero, half = values.dtype.type(0), values.dtype.type(0.5)
    wanted, enough, least = share * total, zero, zero
    for value in values:
        least = max(least, value)
    while True:
        middle = half * (enough + least)
        if middle <= enough or middle >= least:
            break
        larger = zero
        for value in values:
            larger += value * (value > middle)
        if larger >= wanted:
            enough = middle
        else:
            least = middle
    kept = zero
    for value in values:
        kept += value * (value > least)
    for v in range(values.size):
        if values[v] == least and kept < wanted:
            kept += values[v]
        elif values[v] <= least:
            values[v] = zero
    return kept


@kernel
def keep_largest(values, largest, n, nothing):
    """Keep the n largest values (V,), and of equal ones the first; set the others to `nothing`."""
    threshold, above = largest, 0  # above: the number of values larger than the threshold
    while True:
        equal, below = 0, nothing
        for value in values:
            if value == threshold:
                equal += 1
            elif value < threshold:
                below = max(below, value)
        if above + equal >= n or below == nothing:
            break
        above, threshold = above + equal, below
    for v in range(values.size):
        if values[v] == threshold and above < n:
            above += 1
        elif values[v] <= threshold:
            values[v] = nothing


@njit
def pick_token(weight, total, u):
    """The first token at which the cumulative weight passes u times the total; weight (V,), u in [0, 1)."""
    target, reached, last = u * total, 0.0, 0
    for v in range(weight.size):
        if weight[v] > 0:
            reached += weight[v]
            last = v
            if reached > target:
                return v
    return last


def generate(program, params, logits, settings, words, lengths):
    """Draw n words -> words (n, max_length + 1) int32 tokens, lengths (n,) characters.

    logits (B, V) is the program's output, a view of its arena. B words grow at the same time; when one ends, another
    takes its row. A word is never empty, and it ends at max_length at the latest. Word j is drawn with numbers that
    depend on (seed, first + j) alone: neither B nor n changes it.
    """
    contexts, _, _ = batch_of(program.ints, program.shape)
    prefix, max_length = settings.prefix, settings.max_length
    (B, T), V = contexts.shape, logits.shape[1]
    n, P, thread = lengths.size, prefix.size, single_thread()
    for j in range(n):
        for k in range(P):
            words[j, k] = prefix[k]
        lengths[j] = P
    active = min(B, n)
    started = active
    word, weight = np.empty(B, np.int64), np.empty(V, logits.dtype)
    for i in range(B):
        word[i] = i
    while active > 0:
        for i in range(active):
            j = word[i]
            for k in range(T):
                place = lengths[j] - T + k
                contexts[i, k] = words[j, place] if place >= 0 else 0
        forward(program, params, params, thread)
        for i in range(active - 1, -1, -1):
            j = word[i]
            length = lengths[j]
            token = 0
            if length < max_length:
                total = weights(logits[i], settings.temperature, settings.top_k, settings.top_p, length > 0, weight)
                token = pick_token(weight, total, draw_number(settings.seed, settings.first + j, length))
            if token != 0:
                words[j, length] = token
                lengths[j] = length + 1
            elif started < n:  # the next word takes the row
                word[i] = started
                started += 1
            else:  # no word is left: the last growing word takes the row
                active -= 1
                word[i] = word[active]


def draw_words(logits_of: Callable[[np.ndarray], np.ndarray], n: int, context: int, draw: Draw) -> np.ndarray:
    """Draw n words with the tape's random numbers, from a function of contexts (B, T) to logits (B, V).

    All words grow at the same time, with one call of the function for each character. Returns what `Reader.generate`
    returns.
    """
    T, P = context, len(draw.prefix)
    # T zeros stand before each word: a context begins with them until the word is T characters long.
    words, lengths = np.zeros((n, T + draw.max_length + 1), np.int32), np.full(n, P)
    words[:, T : T + P] = draw.prefix
    growing = np.arange(n)
    while growing.size:
        contexts = words[growing[:, None], lengths[growing, None] + np.arange(T)].astype(np.int64)
        logits = logits_of(contexts)
        weight = np.zeros(logits.shape[1], logits.dtype)
        for j, row in zip(growing, logits, strict=True):
            if lengths[j] < draw.max_length:
                total = weights(row, draw.temperature, draw.top_k, draw.top_p, lengths[j] > 0, weight)
                number = draw_number(draw.seed, draw.first + j, lengths[j])
                words[j, T + lengths[j]] = pick_token(weight, total, number)
        growing = growing[words[growing, T + lengths[growing]] != 0]
        lengths[growing] += 1
    return words[:, T:][np.arange(draw.max_length + 1) <= lengths[:, None]]
