"""Random bits as a function of a key and a counter, for kernels and for everything else that draws numbers."""

# pyright: reportMissingParameterType=false

from collections.abc import Callable
from typing import Any

import numpy as np

from .jit import COMPILES, njit

# Arithmetic wraps around at 64 bits on purpose: in plain Python, NumPy would warn of it.
if not COMPILES:
    np.seterr(over="ignore")
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_1, MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_27, _30, _31, _48, _1 = (np.uint64(n) for n in (27, 30, 31, 48, 1))
CHANCES = 1 << 16  # a probability is a whole number of this many equal chances


@njit
def bits(key, counter):
    """64 random bits for a key and a counter (SplitMix64; Steele, Lea and Flood 2014, figure 15)."""
    z = np.uint64(key) + (np.uint64(counter) + _1) * GOLDEN
    z = (z ^ (z >> _30)) * MIX_1
    z = (z ^ (z >> _27)) * MIX_2
    return z ^ (z >> _31)


# The plain Python function, which takes arrays. Where nothing is compiled, there is no other.
bits_of: Callable[[Any, np.ndarray], np.ndarray] = getattr(bits, "py_func", bits)


@njit
def chance(key, counter):
    """A number from 0 to CHANCES - 1 for a key and a counter."""
    return np.int64(bits(key, counter) >> _48)
