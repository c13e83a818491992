"""Drawing words from a model, many side by side, in one compiled loop."""

# pyright: reportMissingParameterType=false

from collections.abc import Callable

import numpy as np
from numba import njit

from ...layers.maths import exp, kernel
from ..protocol import Draw
from ..rng import draw_number
from .barrier import alone
from .machine import forward


@kernel
def weights(logits, temperature, top_k, top_p, may_end, out):
    """logits (V,) -> out (V,): weights proportional to the probabilities to draw from; returns their sum.

    The end token falls out unless the word may end, logits are divided by the temperature, all but the `top_k` largest
    fall out (0 keeps all), and then all but the fewest of the largest that make up `top_p` of the probability (1 keeps
    all). A temperature of 0 (below 1e-6) keeps the largest alone. Of equal logits the first count as larger.
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
    """Put 0 in place of all but the fewest of the largest values (V,) that make up a share of their total (Holtzman et
    al. 2020: the nucleus); returns the sum of what stays. Of equal values the first stay.

    The least that stays is found by bisection: what is larger is too little, what is larger than the number below it
    is enough. (To sort would be the plain way, and takes seconds to compile.)
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
    """Put `nothing` in place of all but the n largest values (V,), of equal ones the first."""
    threshold, above = largest, 0  # how many are larger than the threshold
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
    """The first token whose cumulated weight passes u of the total; weight (V,), u in [0, 1)."""
    target, reached, last = u * total, 0.0, 0
    for v in range(weight.size):
        if weight[v] > 0:
            reached += weight[v]
            last = v
            if reached > target:
                return v
    return last


def generate(
    like,
    table,
    ops,
    arena,
    params,
    ints,
    contexts,
    logits,
    prefix,
    temperature,
    top_k,
    top_p,
    seed,
    first,
    max_length,
    words,
    lengths,
):
    """Draw n words -> words (n, max_length + 1) int32 tokens, lengths (n,) characters.

    contexts (B, T) and logits (B, V) are views of ints and arena: B words grow side by side, and a place that ends
    one begins the next. prefix (P,) tokens begin every word. A word is never empty; one that reaches max_length ends
    there. Word j draws from numbers that depend on (seed, first + j) alone: neither B nor n changes it.
    """
    (B, T), V = contexts.shape, logits.shape[1]
    n, P, team = lengths.size, prefix.size, alone()
    for j in range(n):
        for k in range(P):
            words[j, k] = prefix[k]
        lengths[j] = P
    active = min(B, n)
    started = active
    word = np.arange(B)
    weight = np.empty(V, logits.dtype)
    while active > 0:
        for i in range(active):
            j = word[i]
            for k in range(T):
                place = lengths[j] - T + k
                contexts[i, k] = words[j, place] if place >= 0 else 0
        forward(like, table, ops, arena, params, params, ints, team)
        for i in range(active - 1, -1, -1):
            j = word[i]
            length = lengths[j]
            token = 0
            if length < max_length:
                total = weights(logits[i], temperature, top_k, top_p, length > 0, weight)
                token = pick_token(weight, total, draw_number(seed, first + j, length))
            if token != 0:
                words[j, length] = token
                lengths[j] = length + 1
            elif started < n:  # the place goes to the next word
                word[i] = started
                started += 1
            else:  # or to the last one still growing
                active -= 1
                word[i] = word[active]


def draw_words(logits_of: Callable[[np.ndarray], np.ndarray], n: int, context: int, draw: Draw) -> np.ndarray:
    """Draw n words by the numbers by which the tape draws them, from a function of contexts (B, T) to logits (B, V).

    All words grow side by side, one call of the function a character.
    """
    T, P = context, len(draw.prefix)
    # T zeros before each word: what a context holds where the word has not begun.
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
