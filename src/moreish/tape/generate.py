"""Drawing words from a model, many side by side, in one compiled loop."""

import numpy as np
from numba import njit

from ..layers.maths import exp, kernel
from .machine import forward
from .rng import bits, uniform


@kernel
def weights(logits, temperature, top_k, may_end, out):
    """Logits (V,) -> out (V,): weights proportional to the probabilities to draw from; returns their sum.

    Logits are divided by the temperature, all but the `top_k` largest fall out (0 keeps all), and so does the end
    token unless the word may end. Temperature 0 leaves only the largest.
    """
    V = logits.size
    nothing = logits.dtype.type(-np.inf)
    largest = nothing
    for v in range(V):
        out[v] = logits[v]
    if not may_end:
        out[0] = nothing
    for v in range(V):
        largest = max(largest, out[v])
    if temperature == 0:
        top_k = 1
    if top_k > 0:
        threshold = largest
        for _ in range(min(top_k, V) - 1):
            below = nothing
            for v in range(V):
                if out[v] < threshold:
                    below = max(below, out[v])
            threshold = below
        for v in range(V):
            if out[v] < threshold:
                out[v] = nothing
    inverse = logits.dtype.type(1 / temperature if temperature > 0 else 1)
    for v in range(V):
        out[v] = exp((logits[v] - largest) * inverse) * (out[v] > nothing)
    total = logits.dtype.type(0)
    for v in range(V):
        total += out[v]
    return total


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
    seed,
    max_length,
    words,
    lengths,
):
    """Draw n words -> words (n, max_length) int32 tokens, lengths (n,) characters, both given.

    contexts (B, T) and logits (B, V) are views of ints and arena: B words grow side by side, and a place that ends
    one begins the next. prefix (P,) tokens begin every word. A word is never empty; one that reaches max_length ends
    there. Word j draws from numbers that depend on (seed, j) alone: neither B nor n changes it.
    """
    (B, T), V = contexts.shape, logits.shape[1]
    n, P = lengths.size, prefix.size
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
        forward(like, table, ops, arena, params, params, ints)
        for i in range(active - 1, -1, -1):
            j = word[i]
            length = lengths[j]
            token = 0
            if length < max_length:
                total = weights(logits[i], temperature, top_k, length > 0, weight)
                token = pick_token(weight, total, uniform(bits(seed, j), length))
            if token != 0:
                words[j, length] = token
                lengths[j] = length + 1
            elif started < n:  # the place goes to the next word
                word[i] = started
                started += 1
            else:  # or to the last one still growing
                active -= 1
                word[i] = word[active]
