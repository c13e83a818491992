"""Counter-based random numbers: each is a function of a key and a counter, without a state.

A number depends on its purpose and not on the numbers drawn before it. So a resumed run continues with the same numbers
as one that was not stopped, and the number of threads does not matter.
"""

# pyright: reportMissingParameterType=false

import numpy as np
from numba import njit
from numba.core import config

# Arithmetic wraps around at 64 bits on purpose: in plain Python, NumPy would warn of it.
if config.DISABLE_JIT:  # type: ignore[attr-defined]
    np.seterr(over="ignore")
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _64, _11, _1 = (np.uint64(n) for n in (27, 30, 31, 64, 11, 1))
FEISTEL_ROUNDS = 4


@njit
def bits(key, counter):
    """64 random bits for a key and a counter (SplitMix64; Steele, Lea and Flood 2014, figure 15)."""
    z = np.uint64(key) + (np.uint64(counter) + _1) * _GOLDEN
    z = (z ^ (z >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    return z ^ (z >> _31)


@njit
def uniform(key, counter):
    """A number in [0, 1) with 53 random bits, for a key and a counter."""
    return np.float64(bits(key, counter) >> _11) * 2.0**-53


@njit
def draw_number(seed, word, place):
    """The number in [0, 1) that decides the character at `place` of word number `word`."""
    return uniform(bits(seed, word), place)


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
            mixed = ((right ^ key) + np.uint64(r)) * _GOLDEN
            mixed = (mixed ^ (mixed >> _31)) * _MIX_1
            left, right = right, left ^ (mixed >> (_64 - left_width))
            left_width, right_width = right_width, left_width
        x = (left << right_width) | right
        if x < np.uint64(n):
            return np.int64(x)
