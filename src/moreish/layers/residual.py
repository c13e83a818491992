"""Residual: adds to its input what some layers make of it (He et al. 2016, equation 1).

    z = f(x)            for the layers f of a branch
    y = x + z

The sum passes its gradient on to both terms, so dz = dy. x reaches y in two ways, directly and through the branch:

    dx = dy + dz f'(x)

Nothing is copied for dz: the branch ends in the memory of dy. A backward pass through the branch leaves its own part
in dx, and the other part is added where the branch begins. Many residuals in a row are one sum, x + z_1 + z_2 + ...:
a gradient goes back from the end of a net to its beginning without a factor.
"""

# pyright: reportMissingParameterType=false

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

from .activation import Tanh
from .init import Normal
from .linear import Linear
from .maths import kernel
from .spec import AUX0, DX, DY, ROWS, S0, Kernels, Layer, Parameter, Shape, X, Y
from .views import vector

BRANCH = AUX0  # z, the end of the branch


@dataclass(frozen=True)
class Residual:
    """Adds the output of `layers` to their input: the shape stays. No other layer contains layers."""

    layers: tuple[Layer, ...]

    def parameters(self) -> tuple[Parameter, ...]:
        return ()

    def out_shape(self, in_shape: Shape) -> Shape:
        shape = in_shape
        for layer in self.layers:
            shape = layer.out_shape(shape)
        if shape != in_shape:
            raise ValueError(f"the layers of a Residual turn {in_shape} into {shape}: the shape must stay")
        return in_shape

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (in_shape[-1],)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        total, shape = batch_size * prod(in_shape), in_shape
        for layer in self.layers:
            total += layer.flops(shape, batch_size)
            shape = layer.out_shape(shape)
        return total


def leaves(layers: Sequence[Layer], path: str = "") -> Iterator[tuple[str, Layer]]:
    """Yield the layers with their paths, and instead of a Residual its layers: those of number 3 are 3.0, 3.1, ..."""
    for number, layer in enumerate(layers):
        if isinstance(layer, Residual):
            yield from leaves(layer.layers, f"{path}{number}.")
        else:
            yield f"{path}{number}", layer


@kernel
def forward(x, z, y):
    """x, z (n,) -> y (n,)."""
    for i in range(y.size):
        y[i] = x[i] + z[i]


@kernel
def backward(dy, dx):
    """dy (n,), the branch's part of dx (n,) -> dx (n,)."""
    # y = x + z
    for i in range(dx.size):
        dx[i] += dy[i]


def forward_op(row, arena, params, grads, ints):
    n = row[ROWS] * row[S0]
    forward(vector(arena, row[X], n), vector(arena, row[BRANCH], n), vector(arena, row[Y], n))


def backward_op(row, arena, params, grads, ints):
    n = row[ROWS] * row[S0]
    backward(vector(arena, row[DY], n), vector(arena, row[DX], n))


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=None,
    example=Residual((Linear(12, 5, Normal(0.4)), Tanh(), Linear(5, 12, Normal(0.4)))),
)
