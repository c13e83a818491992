"""Picking a token by its probability, and words drawn so from the states of any reader."""

# pyright: reportMissingParameterType=false

from dataclasses import replace

import numpy as np

from ..layers.jit import njit
from ..layers.maths import exp, kernel
from .protocol import Draw, Reader
from .rng import draw_number
from .states import next_states, state_after

GREEDY_BELOW = 1e-6  # a temperature that keeps only the largest weight
WORDS_AT_A_TIME = 1 << 14  # drawn from a reader's states


@kernel
def weights(logits, temperature, top_k, top_p, may_end, out):
    """logits (V,) -> out (V,): weights proportional to the probabilities to draw from; returns their sum.

    The end token is removed unless the word may end. Logits are divided by the temperature. The `top_k` largest are
    kept (0: all), and of these the fewest that make up `top_p` of the probability (1: all), the largest first. A
    temperature of 0, or below GREEDY_BELOW, keeps only the largest. Of equal logits the first is the largest.
    """
    V = logits.size
    nothing = logits.dtype.type(-np.inf)
    if temperature < GREEDY_BELOW:
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
    middle = half * least
    while enough < middle < least:  # false if a value is infinite or NaN
        larger = zero
        for value in values:
            larger += value * (value > middle)
        if larger >= wanted:
            enough = middle
        else:
            least = middle
        middle = half * (enough + least)
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


def draw_words(reader: Reader, params: np.ndarray, n: int, draw: Draw) -> np.ndarray:
    """Draw n words with the tape's random numbers from the logits of any reader.

    All words grow at the same time, and equal prefixes are read once. Returns what `Reader.generate` returns.
    """
    if n > WORDS_AT_A_TIME:
        half, rest = n // 2, replace(draw, first=draw.first + n // 2)
        return np.concatenate([draw_words(reader, params, half, draw), draw_words(reader, params, n - half, rest)])
    P = len(draw.prefix)
    words, lengths = np.zeros((n, draw.max_length + 1), np.int32), np.full(n, P)
    words[:, :P] = draw.prefix
    states, of = state_after(reader, params, draw.prefix), np.zeros(n, np.int64)
    growing = np.arange(n)
    for length in range(P, draw.max_length):
        logits = reader.logits(params, states)
        weight = np.zeros_like(logits)
        total = [
            weights(row, draw.temperature, draw.top_k, draw.top_p, length > 0, out)
            for row, out in zip(logits, weight, strict=True)
        ]
        for j, row in zip(growing, of, strict=True):
            number = draw_number(draw.seed, draw.first + j, length)
            words[j, length] = pick_token(weight[row], total[row], number)
        on = words[growing, length] != 0
        growing = growing[on]
        if not growing.size:
            break
        lengths[growing] += 1
        states, of = next_states(reader, params, states, of[on], words[growing, length])
    return words[np.arange(draw.max_length + 1) <= lengths[:, None]]
