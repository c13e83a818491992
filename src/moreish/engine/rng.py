"""Random numbers by counting: each one is a function of a key and a number, with no state between.

What is drawn depends on what it is drawn for, not on what was drawn before: a resumed run continues with the numbers
that it would have had, and the number of threads cannot matter.
"""

# pyright: reportMissingParameterType=false

import numpy as np
from numba import njit
from numba.core import config

# Arithmetic wraps around at 64 bits, by intention: where it is not compiled, NumPy need not warn of it.
if config.DISABLE_JIT:  # type: ignore[attr-defined]
    np.seterr(over="ignore")
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _64, _11, _1 = (np.uint64(n) for n in (27, 30, 31, 64, 11, 1))
ROUNDS = 4


@njit
def bits(key, counter):
    """64 random bits for a key and a counter (SplitMix64; Steele, Lea and Flood 2014, figure 15)."""
    z = np.uint64(key) + (np.uint64(counter) + _1) * _GOLDEN
    z = (z ^ (z >> _30)) * _MIX_1
    z = (z ^ (z >> _27)) * _MIX_2
    return z ^ (z >> _31)


@njit
def uniform(key, counter):
    """A number in [0, 1), of 53 random bits, for a key and a counter."""
    return np.float64(bits(key, counter) >> _11) * 2.0**-53


@njit
def draw_number(seed, word, place):
    """The number in [0, 1) that decides a character: of word number `word`, at its `place`."""
    return uniform(bits(seed, word), place)


@njit
def bit_width(n):
    """How many bits the numbers 0 ... n - 1 need; at least 2."""
    width = np.uint64(2)
    while (_1 << width) < np.uint64(n):
        width += _1
    return width


@njit
def permuted(index, n, width, key):
    """Where a random permutation of 0 ... n - 1, chosen by `key`, sends `index`; width is bit_width(n).

    A Feistel network permutes the numbers of `width` bits: halves take turns at being xor-ed with a random function of
    the other. Results from n upwards are sent on until one falls below n (Black and Rogaway 2002).
    """
    low = width >> _1
    high = width - low
    x = np.uint64(index)
    while True:
        left, right, left_width, right_width = x >> low, x & ((_1 << low) - _1), high, low
        for r in range(ROUNDS):
            mixed = ((right ^ key) + np.uint64(r)) * _GOLDEN
            mixed = (mixed ^ (mixed >> _31)) * _MIX_1
            left, right = right, left ^ (mixed >> (_64 - left_width))
            left_width, right_width = right_width, left_width
        x = (left << right_width) | right
        if x < np.uint64(n):
            return np.int64(x)
