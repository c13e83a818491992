"""Activations: a function of every element.

    Tanh   y = tanh(x)       dx = dy (1 - y**2), since tanh' = 1 - tanh**2
    ReLU   y = max(x, 0)     dx = dy where y > 0, else 0 (and 0 at the kink)

Both derivatives are functions of the output y, so the backward pass does not need x.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from math import prod

import numpy as np

from .maths import kernel, tanh
from .spec import DX, DY, ROWS, S0, Kernels, Parameter, Saturation, Shape, X, Y
from .views import vector


@dataclass(frozen=True)
class Activation:
    """An element-wise layer without parameters: the shape does not change."""

    def parameters(self) -> tuple[Parameter, ...]:
        return ()

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (in_shape[-1],)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return batch_size * prod(in_shape)


@dataclass(frozen=True)
class Tanh(Activation):
    """The hyperbolic tangent of every element."""


@dataclass(frozen=True)
class ReLU(Activation):
    """The positive part of every element."""


@kernel
def tanh_forward(x, y):
    """x (N,) -> y (N,)."""
    for i in range(x.size):
        y[i] = tanh(x[i])


@kernel
def tanh_backward(y, dy, dx):
    """y (N,), dy (N,) -> dx (N,)."""
    for i in range(y.size):
        # y[i] = tanh(x[i])
        dx[i] = dy[i] * (1 - y[i] * y[i])


@kernel
def relu_forward(x, y):
    """x (N,) -> y (N,)."""
    for i in range(x.size):
        y[i] = 0 if x[i] < 0 else x[i]  # with this comparison NaN stays NaN


@kernel
def relu_backward(y, dy, dx):
    """y (N,), dy (N,) -> dx (N,)."""
    for i in range(y.size):
        # y[i] = max(x[i], 0)
        dx[i] = dy[i] * (y[i] > 0)


def tanh_forward_op(row, arena, params, grads, ints):
    n = row[ROWS] * row[S0]
    tanh_forward(vector(arena, row[X], n), vector(arena, row[Y], n))


def tanh_backward_op(row, arena, params, grads, ints):
    n = row[ROWS] * row[S0]
    tanh_backward(vector(arena, row[Y], n), vector(arena, row[DY], n), vector(arena, row[DX], n))


def relu_forward_op(row, arena, params, grads, ints):
    n = row[ROWS] * row[S0]
    relu_forward(vector(arena, row[X], n), vector(arena, row[Y], n))


def relu_backward_op(row, arena, params, grads, ints):
    n = row[ROWS] * row[S0]
    relu_backward(vector(arena, row[Y], n), vector(arena, row[DY], n), vector(arena, row[DX], n))


TANH = Kernels(
    tanh_forward_op,
    tanh_backward_op,
    torch=lambda module, x: x.tanh(),
    example=Tanh(),
    saturation=Saturation(lambda y: np.abs(y) > 0.97, much=0.4),
)
RELU = Kernels(
    relu_forward_op,
    relu_backward_op,
    torch=lambda module, x: x.relu(),
    example=ReLU(),
    saturation=Saturation(lambda y: y <= 0, much=0.9),
)
