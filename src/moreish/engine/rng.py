"""Counter-based random numbers: each is a function of a key and a counter, without a state.

A number depends on its purpose and not on the numbers drawn before it. So a resumed run continues with the same numbers
as one that was not stopped, and the number of threads does not matter.
"""

# pyright: reportMissingParameterType=false

import numpy as np

from ..layers.jit import njit
from ..layers.random import GOLDEN, MIX_1, bits, bits_of

_31, _64, _11, _1 = (np.uint64(n) for n in (31, 64, 11, 1))
FEISTEL_ROUNDS = 4
DROPOUT, WISHES, LENGTHS = 1 << 40, 1 << 41, 1 << 50  # counters that no other use of the seed has


@njit
def uniform(key, counter):
    """A number in [0, 1) with 53 random bits, for a key and a counter."""
    return np.float64(bits(key, counter) >> _11) * 2.0**-53


def uniforms(key, counters):
    """The numbers of `uniform` for a key and counters, an array."""
    return (bits_of(key, counters) >> _11).astype(np.float64) * 2.0**-53


@njit
def draw_number(seed, word, place):
    """The number in [0, 1) that decides the character at `place` of word number `word`."""
    return uniform(bits(seed, word), place)


@njit
def key_of_step(seed, step):
    """The key of the random numbers in the layers at a step of training."""
    return np.int64(bits(bits(seed, DROPOUT), step))


@njit
def bit_width(n):
    """The number of bits that hold the numbers 0 ... n - 1; at least 2."""
    width = np.uint64(2)
    while (_1 << width) < np.uint64(n):
        width += _1
    return width


@njit
def permuted(index, n, width, key):
    """The image of `index` under a random permutation of 0 ... n - 1, chosen by `key`; width is bit_width(n).

    A Feistel network permutes the numbers of `width` bits: in each round, one half is xor-ed with a random function of
    the other. A result that is not below n is permuted again, until it is (Black and Rogaway 2002).
    """
    low = width >> _1
    high = width - low
    x = np.uint64(index)
    while True:
        left, right, left_width, right_width = x >> low, x & ((_1 << low) - _1), high, low
        for r in range(FEISTEL_ROUNDS):
            mixed = ((right ^ key) + np.uint64(r)) * GOLDEN
            mixed = (mixed ^ (mixed >> _31)) * MIX_1
            left, right = right, left ^ (mixed >> (_64 - left_width))
            left_width, right_width = right_width, left_width
        x = (left << right_width) | right
        if x < np.uint64(n):
            return np.int64(x)
