"""Dropout: sets random elements to zero in training, and scales the others up (Srivastava et al. 2014).

    y[n, c] = x[n, c] mask[n, c] / (1 - p),     mask[n, c] = 0 with probability p, else 1
    dx[n, c] = dy[n, c] mask[n, c] / (1 - p)

The scale keeps the mean of every element, so outside training the layer changes nothing and is left out. The mask is a
function of the step, the layer, the row and the element alone (see `random`): the backward pass computes it again, and
PyTorch computes the same. Where equal prefixes of words share rows, they have one mask in the whole batch, even in two
shards. Otherwise each word has masks of its own.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass

import numpy as np

from .levels import kept, layer_key, levels_of
from .maths import kernel
from .random import CHANCES, bits, bits_of
from .spec import DX, DY, LEVELS, ROWS, S0, S1, S2, Kernels, Parameter, Shape, X, Y
from .views import matrix


@dataclass(frozen=True)
class Dropout:
    """Sets elements to zero with probability `p`, 0 <= p < 1, which is rounded to a multiple of 1 / 65,536.

    salt    a number that no other dropout of the model has
    """

    p: float
    salt: int = 0

    def parameters(self) -> tuple[Parameter, ...]:
        return ()

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (in_shape[-1], chances(self.p), self.salt)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return 0


def chances(p: float) -> int:
    """A probability as a number of CHANCES."""
    return round(p * CHANCES)


def factors_of(keys: np.ndarray, n: int, p: float) -> np.ndarray:
    """The factors, 0 or 1 / (1 - p), of n units: keys (1,) -> (n,), or keys (R, 1) -> (R, n)."""
    dropped = chances(p)
    kept = (bits_of(keys, np.arange(n)) >> np.uint64(48)) >= dropped
    return np.where(kept, CHANCES / (CHANCES - dropped), 0.0)


@kernel
def scale_of(x, dropped):
    """1 / (1 - p), as x's type, where `dropped` of CHANCES are dropped."""
    return x.dtype.type(CHANCES / (CHANCES - dropped))


@kernel
def mask_rows(x, keys, key, dropped, y):
    """x (N, C), a random number for each row keys (N,), the layer's key -> y (N, C). Forward and backward are alike."""
    scale = scale_of(x, dropped)
    zero = scale * 0
    for n in range(x.shape[0]):
        of_row = np.int64(bits(key, keys[n]))
        for c in range(x.shape[1]):
            y[n, c] = x[n, c] * (scale if kept(of_row, c, dropped) else zero)


def forward_op(row, arena, params, grads, ints):
    N, C, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    x, y = matrix(arena, row[X], N, C), matrix(arena, row[Y], N, C)
    mask_rows(x, levels.keys, layer_key(levels, row[S2]), row[S1], y)


def backward_op(row, arena, params, grads, ints):
    N, C, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    dy, dx = matrix(arena, row[DY], N, C), matrix(arena, row[DX], N, C)
    mask_rows(dy, levels.keys, layer_key(levels, row[S2]), row[S1], dx)


def torch_forward(module, x, levels):
    return x * levels.mask(module.layer.p, module.layer.salt, x) if module.training else x


KERNELS = Kernels(forward_op, backward_op, torch=torch_forward, example=Dropout(0.25), levels=True, training_only=True)
