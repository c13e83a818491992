"""The sizes and parameters that recurrent layers have in common, and the parts of their passes that are alike."""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from math import prod
from typing import ClassVar

import numpy as np

from .dropout import chances
from .init import Constant, Normal
from .jit import register_jitable
from .maths import kernel
from .matmul import dot_packed, pack_panels, packed_size
from .spec import Init, Parameter, Saturation, Shape
from .views import block

SATURATION = Saturation(lambda y: np.abs(y) > 0.97, much=0.25)  # of a state, which is between -1 and 1


@dataclass(frozen=True)
class Recurrent:
    """A layer with a state of `n_hidden` numbers: blocks of n_hidden numbers, (..., blocks n_hidden), become one block.

    weight      distribution of U, which multiplies the state
    dropout     probability of dropping a unit of the state in the product, with one mask for a whole batch
    salt        a number that no other dropout of the model has
    learn_start learn the state before a word, which is 0 otherwise
    """

    n_hidden: int
    weight: Init = Normal(1.0)
    dropout: float = 0.0
    salt: int = 0
    learn_start: bool = False

    blocks: ClassVar[int]

    def out_shape(self, in_shape: Shape) -> Shape:
        n = self.blocks * self.n_hidden
        if in_shape[-1] != n:
            raise ValueError(f"{type(self).__name__} takes {n} numbers, and the layer before it gives {in_shape[-1]}")
        return (*in_shape[:-1], self.n_hidden)

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (self.n_hidden, chances(self.dropout), self.salt)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return batch_size * prod(in_shape[:-1]) * self.blocks * (2 * self.n_hidden**2 + 4 * self.n_hidden)

    def parameters(self) -> tuple[Parameter, ...]:
        U = Parameter("U", (self.n_hidden, self.blocks * self.n_hidden), self.weight)
        return (U, *self.starts("start"))

    def starts(self, *names: str) -> tuple[Parameter, ...]:
        """Return the states before a word, if they are learnt."""
        learnt = names if self.learn_start else ()
        return tuple(Parameter(name, (self.n_hidden,), Constant(0.0)) for name in learnt)


@kernel
def add_past(dpast, place, count, product):
    """Add product (count, H) to dpast (Q, H) from `place` on."""
    H = dpast.shape[1]
    for i in range(count):
        total, added = block(dpast, place + i, 0, H), block(product, i, 0, H)
        for j in range(H):
            total[j] += added[j]


@kernel
def gradient_of_row(levels, level, i, n, dy, dpast, place, dh):
    """The gradient dh (H,) of row n, number i on its level: dy[n], and what its children have sent to dpast."""
    H, of_output = dh.size, block(dy, n, 0, dh.size)
    for j in range(H):
        dh[j] = of_output[j]
    if i < levels.alive[level]:
        of_children = block(dpast, place + i, 0, H)
        for j in range(H):
            dh[j] += of_children[j]


@register_jitable
def panels_size(H, M, rows):
    """The numbers that the panels of a weight (H, M), of its transpose, or of a gradient (rows, M) take."""
    return max(packed_size(H, M), packed_size(M, H), packed_size(rows, M))


@kernel
def weight_gradient(past, du, panels, dU):
    """past (Q, H), du (Q, M) -> dU (H, M), the sum of past^T du. panels is scratch."""
    # u = past U
    pack_panels(du, panels)
    dot_packed(past.T, panels, dU)


@kernel
def start_gradient(dpast, dstart):
    """dpast (Q, H) -> dstart (H,), which may have no elements: the start of a word is the first state of the past."""
    for j in range(dstart.size):
        dstart[j] = dpast[0, j]


def first_states(module, *names):
    """Return the states before a word in PyTorch, (H,) each: parameters of these names, or zeros."""
    layer = module.layer
    return [getattr(module, name) if layer.learn_start else module.U.new_zeros(layer.n_hidden) for name in names]
