"""CausalAverage: the mean of a row and of all rows before it in its word.

    y[n] = 1 / (t + 1) sum over m of x[m]       m = n and the t rows before it in its word

It is attention with equal weights: nothing is learnt, and the order of the rows does not matter, as in a bag of words.
x[m] is a term in the mean of every row n that looks back at m:

    dx[m] += dy[n] / (t + 1)
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from math import prod

import numpy as np

from .levels import REMEMBERED, USUAL_LENGTH, levels_of, with_remembered
from .maths import kernel
from .spec import DX, DY, LEVELS, ROWS, S0, Kernels, Parameter, Shape, Y
from .views import block, matrix


@dataclass(frozen=True)
class CausalAverage:
    """The mean of each row and those before it in its word: the shape stays."""

    def parameters(self) -> tuple[Parameter, ...]:
        return ()

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (in_shape[-1],)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return batch_size * prod(in_shape) * USUAL_LENGTH


@kernel
def rows_back(levels, n):
    """The number of rows in the word of row n up to it, row n included."""
    count = 0
    while n >= 0:
        n, count = levels.before[n], count + 1
    return count


@kernel
def forward(levels, x, y):
    """x (M, E), all rows; the last N of them -> y (N, E)."""
    first = levels.head[REMEMBERED]
    for n in range(y.shape[0]):
        out, m = block(y, n, 0, y.shape[1]), first + n
        share = x.dtype.type(1 / rows_back(levels, m))
        out.fill(0)
        while m >= 0:
            row = block(x, m, 0, y.shape[1])
            for e in range(row.size):
                out[e] += share * row[e]
            m = levels.before[m]


@kernel
def backward(levels, dy, dx):
    """dy (N, E) -> dx (N, E)."""
    dx.fill(0)
    for n in range(dy.shape[0]):
        out, m = block(dy, n, 0, dy.shape[1]), np.int64(n)
        share = dy.dtype.type(1 / rows_back(levels, m))
        while m >= 0:
            # y[n] = 1 / (t + 1) sum over m of x[m]
            row = block(dx, m, 0, dy.shape[1])
            for e in range(row.size):
                row[e] += share * out[e]
            m = levels.before[m]


def forward_op(row, arena, params, grads, ints):
    N, E, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    forward(levels, with_remembered(row, arena, levels, E), matrix(arena, row[Y], N, E))


def backward_op(row, arena, params, grads, ints):
    N, E, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    backward(levels, matrix(arena, row[DY], N, E), matrix(arena, row[DX], N, E))


def torch_forward(module, x, levels):
    before, there = levels.before(x)
    total = (x.flatten(0, -2)[before] * there.unsqueeze(-1)).sum(1)
    return (total / there.sum(1, keepdim=True)).view(x.shape)


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=torch_forward,
    example=CausalAverage(),
    levels=True,
    looks_back=True,
)
