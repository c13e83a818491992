"""The decorators of kernels, and exponential, tanh and erf in float32 that a compiler can vectorise.

Numba has no vector maths library, so `np.exp` in a loop is one scalar call for each element. The functions here are
branch-free polynomials in float32, which compute eight or sixteen elements at once. In float64, which is for checks and
not for speed, they are the functions of the C library.
"""

# pyright: reportMissingParameterType=false

import math

import numpy as np

from .jit import njit, overload, types

# Sums may be reordered and multiply-adds fused. NaN stays NaN and infinity infinity, so that divergence is noticed.
FASTMATH = {"contract", "reassoc", "nsz", "arcp"}

kernel = njit(fastmath=FASTMATH, error_model="numpy", forceinline=True)
# A polynomial is evaluated in the order written: reordering would undo the two-part reduction in exp32.
polynomial = njit(fastmath={"contract"}, error_model="numpy")


@njit
def index(i):
    """Mark a number as a non-negative index, which saves the test for an index from the end."""
    return np.uint64(i)


def exp(x):
    """e**x. Float32: within 2 ULP on [-87, 88], clamped outside; NaN stays NaN."""
    return np.exp(x)


def tanh(x):
    """Hyperbolic tangent. Float32: within 5 ULP, at most 1 in magnitude; NaN stays NaN."""
    return np.tanh(x)


def sigmoid(x):
    """1 / (1 + e**-x), as 1/2 + 1/2 tanh(x / 2). Float32: within 1e-7, also where it is smaller; NaN stays NaN."""
    return 0.5 + 0.5 * np.tanh(0.5 * x)


def erf(x):
    """The error function. Float32: within 7 ULP, at most 1 in magnitude; NaN stays NaN."""
    return math.erf(x)


_LOG2_E = np.float32(1.4426950408889634)
_LN2_HIGH = np.float32(0.693359375)  # ln 2 in two parts: the first has few bits, so that n * _LN2_HIGH is exact
_LN2_LOW = np.float32(-2.12194440054690583e-4)
# Minimax fit of (e**r - 1 - r) / r**2 on |r| <= ln(2) / 2, relative to e**r: 3e-9.
_E2, _E3, _E4, _E5, _E6 = (
    np.float32(c)
    for c in (0.49999993447778884, 0.16666520631625084, 0.04166838804886837, 0.00836871688754277, 0.0013814598)
)
_EXP_LOW, _EXP_HIGH = np.float32(-87.0), np.float32(88.0)
_HALF, _ONE = np.float32(0.5), np.float32(1)


@polynomial
def exp32(x):
    """e**x = 2**n e**r with n = round(x log2 e) and r = x - n ln 2."""
    x = _EXP_LOW if x < _EXP_LOW else x
    x = _EXP_HIGH if x > _EXP_HIGH else x
    n = np.floor(x * _LOG2_E + _HALF)
    r = x - n * _LN2_HIGH - n * _LN2_LOW
    e = (((_E6 * r + _E5) * r + _E4) * r + _E3) * r + _E2
    e = e * r * r + r + _ONE
    two_n = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)
    return e * two_n


# Minimax fit of tanh(x) = x P(x**2) / Q(x**2) on |x| <= 9.02, where float32 tanh reaches 1: 3e-9 relative.
_TANH_END = np.float32(9.02)
_P0, _P1, _P2, _P3, _P4, _P5 = (
    np.float32(c)
    for c in (
        0.9999999986920106,
        0.1367991450033,
        3.868327028841812e-3,
        2.80074440867e-5,
        3.0584985403e-8,
        -1.22034372e-11,
    )
)
_Q1, _Q2, _Q3, _Q4 = (np.float32(c) for c in (0.4701324656114187, 0.02724583619252, 3.938629840241e-4, 1.2873655464e-6))


@polynomial
def tanh32(x):
    """tanh(x) as an odd rational function, with x clamped to +-9.02."""
    x = _TANH_END if x > _TANH_END else x
    x = -_TANH_END if x < -_TANH_END else x
    z = x * x
    p = ((((_P5 * z + _P4) * z + _P3) * z + _P2) * z + _P1) * z + _P0
    q = (((_Q4 * z + _Q3) * z + _Q2) * z + _Q1) * z + _ONE
    y = x * (p / q)
    y = _ONE if y > _ONE else y  # rounding may exceed 1 by one ULP
    return -_ONE if y < -_ONE else y


# Minimax fit of erf(x) = x A(x**2) / B(x**2) on |x| <= 3.92, where float32 erf reaches 1: 2e-8 relative.
_ERF_END = np.float32(3.92)
_A0, _A1, _A2, _A3, _A4, _A5 = (
    np.float32(c)
    for c in (
        1.1283791461467714,
        0.19040668953285478,
        0.0527487401713754,
        3.7656229775802075e-3,
        2.8488231602517513e-4,
        2.0500787343692045e-6,
    )
)
_B1, _B2, _B3, _B4, _B5 = (
    np.float32(c)
    for c in (
        0.5020762759756259,
        0.11410919268675326,
        0.014969229155507417,
        1.1625359376380004e-3,
        3.809160417928982e-5,
    )
)


@polynomial
def erf32(x):
    """erf(x) as an odd rational function, with x clamped to +-3.92."""
    x = _ERF_END if x > _ERF_END else x
    x = -_ERF_END if x < -_ERF_END else x
    z = x * x
    a = ((((_A5 * z + _A4) * z + _A3) * z + _A2) * z + _A1) * z + _A0
    b = ((((_B5 * z + _B4) * z + _B3) * z + _B2) * z + _B1) * z + _ONE
    y = x * (a / b)
    y = _ONE if y > _ONE else y  # rounding may exceed 1
    return -_ONE if y < -_ONE else y


@overload(exp)
def _exp(x):
    return (lambda x: exp32(x)) if x == types.float32 else (lambda x: math.exp(x))


@overload(tanh)
def _tanh(x):
    return (lambda x: tanh32(x)) if x == types.float32 else (lambda x: math.tanh(x))


@overload(erf)
def _erf(x):
    return (lambda x: erf32(x)) if x == types.float32 else (lambda x: math.erf(x))


@overload(sigmoid)
def _sigmoid(x):
    half = _HALF if x == types.float32 else 0.5
    return lambda x: half + half * tanh(half * x)
