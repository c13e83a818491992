"""LayerNorm: normalises every row to mean 0 and variance 1, then scales and shifts each of its numbers.

Ba, Kiros and Hinton 2016, with the mean and the variance over the C numbers of a row x:

    mean = (1 / C) sum over c of x[c]           var = (1 / C) sum over c of (x[c] - mean)**2
    xhat[c] = (x[c] - mean) s,                  s = 1 / sqrt(var + EPSILON)
    y[c] = gamma[c] xhat[c] + beta[c]           for each row separately

This is BatchNorm with rows and columns exchanged (see `norm`): x[c] reaches every xhat of its row directly, through the
mean and through the variance. gamma stays within the sums, as it differs along a row. With dxhat = gamma dy:

    dx[c] = (s / C) (C dxhat[c] - sum of dxhat - xhat[c] times the sum of dxhat xhat)

    dbeta[c] = sum over rows of dy[c]           dgamma[c] = sum over rows of dy[c] xhat[c]

The components of dxhat along a constant and along xhat are removed: the normalised row does not depend on the mean or
the scale of x (but for EPSILON). A row depends on no other row, so training and inference are alike. The backward pass
computes xhat from x again, which takes less time than to keep it.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from math import prod

import numpy as np

from .init import Constant
from .maths import kernel
from .spec import AUX0, AUX1, DX, DY, P0, P1, ROWS, S0, Kernels, Parameter, Shape, SmallSteps, X, Y
from .views import matrix, vector

EPSILON = 1e-5
MEAN, S = AUX0, AUX1


@dataclass(frozen=True)
class LayerNorm:
    """Normalises the `n_features` numbers of each row: the shape stays."""

    n_features: int

    def parameters(self) -> tuple[Parameter, ...]:
        shape = (self.n_features,)
        return (Parameter("gamma", shape, Constant(1.0)), Parameter("beta", shape, Constant(0.0)))

    def out_shape(self, in_shape: Shape) -> Shape:
        if in_shape[-1] != self.n_features:
            raise ValueError(f"LayerNorm takes {self.n_features} numbers, and the layer before it gives {in_shape[-1]}")
        return in_shape

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (self.n_features,)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return 8 * batch_size * prod(in_shape)


@kernel
def forward(x, gamma, beta, mean, s, y):
    """x (N, C); gamma, beta (C,) -> y (N, C), and mean, s (N,) for the backward pass."""
    N, C = x.shape
    real = x.dtype.type
    one_Cth = real(1 / C)
    for n in range(N):
        total, squares = real(0), real(0)
        for c in range(C):
            total += x[n, c]
        row_mean = total * one_Cth
        for c in range(C):
            squares += (x[n, c] - row_mean) * (x[n, c] - row_mean)
        scale = real(1) / np.sqrt(squares * one_Cth + real(EPSILON))
        for c in range(C):
            y[n, c] = gamma[c] * ((x[n, c] - row_mean) * scale) + beta[c]
        mean[n], s[n] = row_mean, scale


@kernel
def backward(x, gamma, mean, s, dy, dx, dgamma, dbeta):
    """x (N, C), gamma (C,), mean, s (N,), dy (N, C) -> dx (N, C); dgamma, dbeta (C,)."""
    N, C = x.shape
    real = x.dtype.type
    one_Cth = real(1 / C)
    dgamma.fill(0)
    dbeta.fill(0)
    for n in range(N):
        row_mean, scale, total, along = mean[n], s[n], real(0), real(0)
        # y[n, c] = gamma[c] * xhat + beta[c]
        for c in range(C):
            xhat = (x[n, c] - row_mean) * scale
            dbeta[c] += dy[n, c]
            dgamma[c] += dy[n, c] * xhat
            total += gamma[c] * dy[n, c]
            along += gamma[c] * dy[n, c] * xhat
        total *= one_Cth
        along *= one_Cth
        # xhat = (x[n, c] - row_mean) * scale
        for c in range(C):
            xhat = (x[n, c] - row_mean) * scale
            dx[n, c] = scale * (gamma[c] * dy[n, c] - total - xhat * along)


def forward_op(row, arena, params, grads, ints):
    N, C = row[ROWS], row[S0]
    forward(
        matrix(arena, row[X], N, C),
        vector(params, row[P0], C),
        vector(params, row[P1], C),
        vector(arena, row[MEAN], N),
        vector(arena, row[S], N),
        matrix(arena, row[Y], N, C),
    )


def backward_op(row, arena, params, grads, ints):
    N, C = row[ROWS], row[S0]
    backward(
        matrix(arena, row[X], N, C),
        vector(params, row[P0], C),
        vector(arena, row[MEAN], N),
        vector(arena, row[S], N),
        matrix(arena, row[DY], N, C),
        matrix(arena, row[DX], N, C),
        vector(grads, row[P0], C),
        vector(grads, row[P1], C),
    )


def stepwise_forward(trace, xp, x, gamma, beta):
    """x (N, C); gamma, beta (C,) -> y (N, C): the layer in small steps. Numbers of a row are (N, 1)."""
    C = x.shape[1]
    mean = trace("mean", x.sum(1)[:, None] / C)
    diff = trace("diff", x - mean)
    diff2 = trace("diff2", diff**2)
    var = trace("var", diff2.sum(1)[:, None] / C)
    s = trace("s", (var + EPSILON) ** -0.5)
    xhat = trace("xhat", diff * s)
    return gamma * xhat + beta


def stepwise_backward(tensors, dy, gamma, beta):
    """dy (N, C) -> the gradient of every tensor above. Multiplied out, they are the fused `backward`."""
    diff, var, s = tensors["diff"], tensors["var"], tensors["s"]
    C = diff.shape[1]
    # y = gamma xhat + beta
    dxhat = dy * gamma
    # xhat = diff s: s is shared by a row, so its gradient is summed over the row
    ds = (dxhat * diff).sum(1)[:, None]
    # s = (var + EPSILON) ** -0.5
    dvar = ds * -0.5 * (var + EPSILON) ** -1.5
    # var = (sum of diff2) / C
    ddiff2 = np.ones_like(diff) * (dvar / C)
    # diff reaches y in two ways: through xhat, and through diff2 = diff**2
    ddiff = dxhat * s + ddiff2 * 2 * diff
    # diff = x - mean
    dmean = -ddiff.sum(1)[:, None]
    return {"xhat": dxhat, "s": ds, "var": dvar, "diff2": ddiff2, "diff": ddiff, "mean": dmean}


def torch_forward(module, x):
    from torch.nn.functional import layer_norm

    return layer_norm(x, (module.layer.n_features,), module.gamma, module.beta, EPSILON)


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=torch_forward,
    example=LayerNorm(12),
    scratch=lambda layer, in_shape, rows: (rows, rows),
    steps=SmallSteps(stepwise_forward, stepwise_backward),
)
