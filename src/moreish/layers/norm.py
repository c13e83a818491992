"""BatchNorm1d: normalises every feature to mean 0 and variance 1 over the batch, then scales and shifts it.

Ioffe and Szegedy 2015, algorithm 1:

    mean = (1 / N) sum over n of x[n]           var = (1 / N) sum over n of (x[n] - mean)**2
    xhat[n] = (x[n] - mean) s,                  s = 1 / sqrt(var + EPSILON)
    y[n] = gamma xhat[n] + beta                 for each feature separately

x[n] reaches xhat[m] in three ways: directly, if m = n; through the mean; and through the variance. With
dxhat = gamma dy, for any feature:

    ds   = sum over n of dxhat[n] (x[n] - mean)         dvar = -1/2 s**3 ds
    dx[n] = s dxhat[n]                                  directly
          - (1 / N) sum over m of s dxhat[m]            mean: 1 / N of every x, and -s in every xhat
          + dvar (2 / N) (x[n] - mean)                  variance (its mean adds nothing: the sum of x - mean is 0)

Since x - mean = xhat / s, the last line is -(s / N) xhat[n] times the sum over m of dxhat[m] xhat[m]. Together, with
dbeta = sum of dy and dgamma = sum of dy xhat:

    dx[n] = (gamma s / N) (N dy[n] - dbeta - xhat[n] dgamma)

The components of dy along a constant and along xhat are removed: the normalised output does not depend on the mean or
the scale of x (but for EPSILON).

Outside training there may be no batch, and running statistics take its place. Training updates them as PyTorch does:
running = (1 - MOMENTUM) running + MOMENTUM batch, where the batch's variance is taken with 1 / (N - 1). This is
Bessel's correction: squared deviations from a batch's own mean are smaller than those from the true mean, by
(N - 1) / N on average. To normalise the batch itself 1 / N is right, since xhat is to have variance 1 there.

A large batch comes in shards p of N_p rows, each with its sum and its squared deviations from its own mean. The squared
deviations from the batch's mean are larger, by N_p times the squared distance of the means (Chan, Golub and LeVeque
1983):

    N var = sum over p of (squares_p + N_p (mean_p - mean)**2)

All dimensions before the last are rows: with (B, T, C) the statistics are over B and T.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from math import prod

import numpy as np

from .init import Constant
from .maths import kernel
from .reduce import sum_rows
from .spec import (
    AUX0,
    AUX1,
    AUX2,
    AUX3,
    AUX4,
    DX,
    DY,
    INT_SHARED,
    P0,
    P1,
    P2,
    P3,
    ROWS,
    S0,
    SHARD,
    SHARDS,
    SHARED0,
    SHARED1,
    Kernels,
    Parameter,
    Shape,
    SmallSteps,
    X,
    Y,
)
from .views import matrix, vector

EPSILON = 1e-5
MOMENTUM = 0.1

# Scratch, with the same memory for three purposes one after another: forward, backward, inference.
XHAT, S, MEAN, TOTAL, SQUARES = AUX0, AUX1, AUX2, AUX3, AUX4
BATCH_DGAMMA, BATCH_DBETA, DX_SCALE = AUX2, AUX3, AUX4
SCALE, SHIFT = AUX1, AUX2


@dataclass(frozen=True)
class BatchNorm1d:
    """Normalises `n_features` numbers over the batch: the shape stays."""

    n_features: int

    def parameters(self) -> tuple[Parameter, ...]:
        shape, zero, one = (self.n_features,), Constant(0.0), Constant(1.0)
        return (
            Parameter("gamma", shape, one),
            Parameter("beta", shape, zero),
            Parameter("running_mean", shape, zero, trained=False),
            Parameter("running_var", shape, one, trained=False),
        )

    def out_shape(self, in_shape: Shape) -> Shape:
        if in_shape[-1] != self.n_features:
            raise ValueError(f"BatchNorm1d takes {self.n_features} numbers, and the layer before gives {in_shape[-1]}")
        return in_shape

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (self.n_features,)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return 8 * batch_size * prod(in_shape)


@kernel
def statistics(x, total, mean, squares):
    """x (N, C) -> its sum, its mean, and the sum of its squared deviations from that mean; (C,) each."""
    N, C = x.shape
    one_Nth = x.dtype.type(1 / N)
    total.fill(0)
    squares.fill(0)
    for n in range(N):
        for c in range(C):
            total[c] += x[n, c]
    for c in range(C):
        mean[c] = total[c] * one_Nth
    for n in range(N):
        for c in range(C):
            squares[c] += (x[n, c] - mean[c]) * (x[n, c] - mean[c])


@kernel
def forward(x, gamma, beta, running_mean, running_var, rows, totals, squares, xhat, s, mean, y):
    """x (N, C); gamma, beta (C,) -> y (N, C), and xhat (N, C) and s (C,) for the backward pass.

    x is one of P shards of a batch, whose rows (P,), totals and squares (P, C) are known. running_mean and running_var
    (C,) are updated, unless they have no elements; mean (C,) is scratch. A batch has 2 rows or more.
    """
    (N, C), (P, _) = x.shape, totals.shape
    real, batch = x.dtype.type, rows.sum()
    one_Nth, momentum, bessel = real(1 / batch), real(MOMENTUM), real(batch / (batch - 1))
    sum_rows(totals, 0, mean)
    for c in range(C):
        mean[c] *= one_Nth
    s.fill(0)
    for p in range(P):
        one_pth, rows_p = real(1 / rows[p]), real(rows[p])
        for c in range(C):
            distance = totals[p, c] * one_pth - mean[c]
            s[c] += squares[p, c] + rows_p * distance * distance
    for c in range(running_mean.size):
        running_mean[c] += momentum * (mean[c] - running_mean[c])
        running_var[c] += momentum * (bessel * s[c] * one_Nth - running_var[c])
    for c in range(C):
        s[c] = 1 / np.sqrt(s[c] * one_Nth + real(EPSILON))
    for n in range(N):
        for c in range(C):
            xhat[n, c] = (x[n, c] - mean[c]) * s[c]
            y[n, c] = gamma[c] * xhat[n, c] + beta[c]


@kernel
def backward_statistics(xhat, dy, dgamma, dbeta):
    """xhat, dy (N, C) -> dgamma, dbeta (C,)."""
    N, C = dy.shape
    dgamma.fill(0)
    dbeta.fill(0)
    for n in range(N):
        # y[n] = gamma xhat[n] + beta
        for c in range(C):
            dbeta[c] += dy[n, c]
            dgamma[c] += dy[n, c] * xhat[n, c]


@kernel
def backward(gamma, xhat, s, dy, batch, dgamma, dbeta, scale, dx):
    """gamma (C,), xhat (N, C), s (C,), dy (N, C) -> dx (N, C). scale (C,) is scratch.

    The arrays hold N of the batch's rows; dgamma and dbeta (C,) are those of the whole batch.
    """
    N, C = dy.shape
    real = dy.dtype.type
    rows, one_Nth = real(batch), real(1 / batch)
    for c in range(C):
        scale[c] = gamma[c] * s[c] * one_Nth
    for n in range(N):
        # xhat[n] = (x[n] - mean) s
        for c in range(C):
            dx[n, c] = scale[c] * (rows * dy[n, c] - dbeta[c] - xhat[n, c] * dgamma[c])


@kernel
def inference(x, gamma, beta, running_mean, running_var, scale, shift, y):
    """x (N, C) and the four parameters (C,) -> y (N, C), one row independent of another. scale, shift (C,): scratch."""
    N, C = x.shape
    for c in range(C):
        scale[c] = gamma[c] / np.sqrt(running_var[c] + x.dtype.type(EPSILON))
        shift[c] = beta[c] - running_mean[c] * scale[c]
    for n in range(N):
        for c in range(C):
            y[n, c] = scale[c] * x[n, c] + shift[c]


@kernel
def publish(row, arena, first, second):
    """Copy two vectors (C,) of this shard to where all shards see them. Sums made there would cause false sharing."""
    C, p = row[S0], row[SHARD]
    all_first, all_second = matrix(arena, row[SHARED0], row[SHARDS], C), matrix(arena, row[SHARED1], row[SHARDS], C)
    for c in range(C):
        all_first[p, c] = first[c]
        all_second[p, c] = second[c]


def statistics_op(row, arena, params, grads, ints):
    N, C = row[ROWS], row[S0]
    vector(ints, row[INT_SHARED], row[SHARDS])[row[SHARD]] = N
    total, squares = vector(arena, row[TOTAL], C), vector(arena, row[SQUARES], C)
    statistics(matrix(arena, row[X], N, C), total, vector(arena, row[MEAN], C), squares)
    publish(row, arena, total, squares)


def forward_op(row, arena, params, grads, ints):
    N, C, P = row[ROWS], row[S0], row[SHARDS]
    running = C if row[SHARD] == 0 else 0  # the first shard updates the running statistics
    forward(
        matrix(arena, row[X], N, C),
        vector(params, row[P0], C),
        vector(params, row[P1], C),
        vector(params, row[P2], running),
        vector(params, row[P3], running),
        vector(ints, row[INT_SHARED], P),
        matrix(arena, row[SHARED0], P, C),
        matrix(arena, row[SHARED1], P, C),
        matrix(arena, row[XHAT], N, C),
        vector(arena, row[S], C),
        vector(arena, row[MEAN], C),
        matrix(arena, row[Y], N, C),
    )


def backward_statistics_op(row, arena, params, grads, ints):
    N, C = row[ROWS], row[S0]
    dgamma, dbeta = vector(grads, row[P0], C), vector(grads, row[P1], C)
    backward_statistics(matrix(arena, row[XHAT], N, C), matrix(arena, row[DY], N, C), dgamma, dbeta)
    publish(row, arena, dgamma, dbeta)


def backward_op(row, arena, params, grads, ints):
    N, C, P = row[ROWS], row[S0], row[SHARDS]
    dgamma, dbeta = vector(arena, row[BATCH_DGAMMA], C), vector(arena, row[BATCH_DBETA], C)
    sum_rows(matrix(arena, row[SHARED0], P, C), 0, dgamma)
    sum_rows(matrix(arena, row[SHARED1], P, C), 0, dbeta)
    backward(
        vector(params, row[P0], C),
        matrix(arena, row[XHAT], N, C),
        vector(arena, row[S], C),
        matrix(arena, row[DY], N, C),
        vector(ints, row[INT_SHARED], P).sum(),
        dgamma,
        dbeta,
        vector(arena, row[DX_SCALE], C),
        matrix(arena, row[DX], N, C),
    )


def inference_op(row, arena, params, grads, ints):
    N, C = row[ROWS], row[S0]
    inference(
        matrix(arena, row[X], N, C),
        vector(params, row[P0], C),
        vector(params, row[P1], C),
        vector(params, row[P2], C),
        vector(params, row[P3], C),
        vector(arena, row[SCALE], C),
        vector(arena, row[SHIFT], C),
        matrix(arena, row[Y], N, C),
    )


def scratch(layer: BatchNorm1d, in_shape: Shape, rows: int) -> tuple[int, ...]:
    C = layer.n_features
    return (rows * C, C, C, C, C)


def fold(W, b, gamma, beta, running_mean, running_var):
    """Fold a Linear W (K, C), b (C,) and the BatchNorm after it into one Linear (W', b'). In inference both are affine.

    gamma (x W + b - running_mean) / sqrt(running_var + EPSILON) + beta = x W' + b'
    """
    scale = gamma / np.sqrt(running_var + EPSILON)
    return W * scale, (b - running_mean) * scale + beta


def stepwise_forward(trace, xp, x, gamma, beta):
    """x (N, C); gamma, beta (C,) -> y (N, C): the layer in the lecture's small steps."""
    mean = trace("mean", x.sum(0) / len(x))
    diff = trace("diff", x - mean)
    diff2 = trace("diff2", diff**2)
    var = trace("var", diff2.sum(0) / len(x))
    s = trace("s", (var + EPSILON) ** -0.5)
    xhat = trace("xhat", diff * s)
    return gamma * xhat + beta


def stepwise_backward(tensors, dy, gamma, beta):
    """dy (N, C) -> the gradient of every tensor above. Multiplied out, they are the fused `backward`."""
    diff, var, s = tensors["diff"], tensors["var"], tensors["s"]
    N = len(diff)
    # y = gamma xhat + beta
    dxhat = dy * gamma
    # xhat = diff s: s is shared by a column, so its gradient is summed over the column
    ds = (dxhat * diff).sum(0)
    # s = (var + EPSILON) ** -0.5
    dvar = ds * -0.5 * (var + EPSILON) ** -1.5
    # var = (sum of diff2) / N
    ddiff2 = np.ones_like(diff) * (dvar / N)
    # diff reaches y in two ways: through xhat, and through diff2 = diff**2
    ddiff = dxhat * s + ddiff2 * 2 * diff
    # diff = x - mean
    dmean = -ddiff.sum(0)
    return {"xhat": dxhat, "s": ds, "var": dvar, "diff2": ddiff2, "diff": ddiff, "mean": dmean}


def torch_forward(module, x):
    from torch.nn.functional import batch_norm

    statistics, rows = (module.running_mean, module.running_var), x.reshape(-1, x.shape[-1])
    return batch_norm(rows, *statistics, module.gamma, module.beta, module.training, MOMENTUM, EPSILON).view(x.shape)


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=torch_forward,
    example=BatchNorm1d(12),
    inference=inference_op,
    before=(statistics_op, backward_statistics_op),
    scratch=scratch,
    shared=lambda layer: (layer.n_features, layer.n_features),
    int_shared=1,
    steps=SmallSteps(stepwise_forward, stepwise_backward),
    batch_statistics=True,
)
