"""Contexts and batches, computed from the flat stream of tokens.

A batch depends on (seed, step) alone. A pass over the data visits every token once, in an order that is a permutation
computed on the fly: neither windows nor a shuffled index of the data are ever stored.
"""

import numpy as np
from numba import njit

from .rng import bit_width, bits, permuted


@njit
def context(stream, position, out):
    """The tokens before `position` in its word -> out (T,): 0, the end token, wherever the word has not begun.

    stream (M,) is words one after another, each ended by 0, after a first 0.
    """
    T = out.size
    k = T - 1
    while k >= 0:
        position -= 1
        out[k] = stream[position]
        if out[k] == 0:
            break
        k -= 1
    while k >= 0:
        out[k] = 0
        k -= 1


@njit
def draw_batch(stream, seed, step, batch_size, contexts, targets):
    """The batch of a step: contexts (B, T) and targets (B,), filled from stream (M,).

    Step s takes places s B to s B + B - 1 of an endless sequence of passes, each a permutation of all M - 1 tokens.
    """
    n = stream.size - 1
    width = bit_width(n)
    first = np.int64(step) * batch_size
    number, place = first // n, first % n
    key = bits(seed, number)
    for i in range(batch_size):
        position = 1 + permuted(place, n, width, key)
        context(stream, position, contexts[i])
        targets[i] = stream[position]
        place += 1
        if place == n:
            number, place = number + 1, 0
            key = bits(seed, number)


@njit
def windows(stream, first, n, contexts, targets):
    """The n windows from position `first` on: contexts (>= n, T) and targets (>= n,), filled from stream (M,)."""
    for i in range(n):
        context(stream, first + i, contexts[i])
        targets[i] = stream[first + i]
