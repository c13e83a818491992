"""GELU: every element times the probability that a standard normal number is below it (Hendrycks and Gimpel 2016).

    y = x P(x)

    GELU       P(x) = (1 + erf(x / sqrt(2))) / 2
    TanhGELU   P(x) = (1 + tanh(u)) / 2,  u = sqrt(2 / pi) (x + 0.044715 x**3)      an approximation

x reaches y directly and through P, so that

    dx = dy (P(x) + x P'(x))

    GELU       P'(x) = exp(-x**2 / 2) / sqrt(2 pi), the normal density
    TanhGELU   P'(x) = 2 P(x) (1 - P(x)) du/dx,  du/dx = sqrt(2 / pi) (1 + 3 (0.044715) x**2),
               since tanh' = 1 - tanh**2 and tanh = 2 P - 1

y has its minimum at x = -0.75. Two different x have the same negative y, so the backward pass reads x. For the same
reason there is no `saturation`: y is near 0 far below x = 0, where dx vanishes, and around x = 0, where dx = dy / 2.
"""

# pyright: reportMissingParameterType=false

import math
from dataclasses import dataclass

from .activation import Activation
from .maths import erf, exp, kernel, tanh
from .spec import DX, DY, ROWS, S0, Kernels, X, Y
from .views import vector

DENSITY = 1 / math.sqrt(2 * math.pi)  # of the normal distribution at 0
ROOT_HALF = math.sqrt(0.5)
SLOPE, CUBIC = math.sqrt(2 / math.pi), 0.044715


@dataclass(frozen=True)
class GELU(Activation):
    """The Gaussian error linear unit of every element."""


@dataclass(frozen=True)
class TanhGELU(Activation):
    """The Gaussian error linear unit of every element, with a tanh for the normal distribution."""


@kernel
def normal(x, real):
    """P(x) of a number of type `real`, for GELU."""
    return real(0.5) + real(0.5) * erf(real(ROOT_HALF) * x)


@kernel
def tanh_normal(x, real):
    """P(x) of a number of type `real`, for TanhGELU."""
    return real(0.5) + real(0.5) * tanh(real(SLOPE) * x * (real(1) + real(CUBIC) * x * x))


@kernel
def gelu_forward(x, y):
    """x (N,) -> y (N,)."""
    for i in range(x.size):
        y[i] = x[i] * normal(x[i], x.dtype.type)


@kernel
def gelu_backward(x, dy, dx):
    """x (N,), dy (N,) -> dx (N,)."""
    real = x.dtype.type
    for i in range(x.size):
        # y[i] = x[i] * normal(x[i])
        density = real(DENSITY) * exp(real(-0.5) * x[i] * x[i])
        dx[i] = dy[i] * (normal(x[i], real) + x[i] * density)


@kernel
def tanh_gelu_forward(x, y):
    """x (N,) -> y (N,)."""
    for i in range(x.size):
        y[i] = x[i] * tanh_normal(x[i], x.dtype.type)


@kernel
def tanh_gelu_backward(x, dy, dx):
    """x (N,), dy (N,) -> dx (N,)."""
    real = x.dtype.type
    for i in range(x.size):
        # y[i] = x[i] * tanh_normal(x[i])
        P = tanh_normal(x[i], real)
        density = real(2) * P * (real(1) - P) * real(SLOPE) * (real(1) + real(3 * CUBIC) * x[i] * x[i])
        dx[i] = dy[i] * (P + x[i] * density)


def gelu_forward_op(row, arena, params, grads, ints):
    n = row[ROWS] * row[S0]
    gelu_forward(vector(arena, row[X], n), vector(arena, row[Y], n))


def gelu_backward_op(row, arena, params, grads, ints):
    n = row[ROWS] * row[S0]
    gelu_backward(vector(arena, row[X], n), vector(arena, row[DY], n), vector(arena, row[DX], n))


def tanh_gelu_forward_op(row, arena, params, grads, ints):
    n = row[ROWS] * row[S0]
    tanh_gelu_forward(vector(arena, row[X], n), vector(arena, row[Y], n))


def tanh_gelu_backward_op(row, arena, params, grads, ints):
    n = row[ROWS] * row[S0]
    tanh_gelu_backward(vector(arena, row[X], n), vector(arena, row[DY], n), vector(arena, row[DX], n))


def torch_gelu(module, x):
    from torch.nn.functional import gelu

    return gelu(x, approximate="tanh" if isinstance(module.layer, TanhGELU) else "none")


EXACT = Kernels(gelu_forward_op, gelu_backward_op, torch=torch_gelu, example=GELU())
TANH = Kernels(tanh_gelu_forward_op, tanh_gelu_backward_op, torch=torch_gelu, example=TanhGELU())
