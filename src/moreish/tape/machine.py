"""The loop that runs any architecture: it walks a table of operations forward, backward, and steps the optimizer.

Compiled once for each float type. Widths, depths, batch sizes, rates and word lists are data: nothing recompiles.
An operation is a row (see layers.spec); `table` holds the kernels that its FORWARD and BACKWARD columns name, and
`like` is any one of them (see dispatch).
"""

import numpy as np
from numba import njit

from ..layers.spec import BACKWARD, FORWARD, ROWS, Y
from .batch import draw_batch, windows
from .dispatch import pick


@njit
def forward(like, table, ops, arena, params, grads, ints):
    """Every operation in order."""
    for i in range(ops.shape[0]):
        pick(like, table, ops[i, FORWARD])(ops[i], arena, params, grads, ints)


@njit
def backward(like, table, ops, arena, params, grads, ints):
    """Every operation in reverse order: fills grads."""
    for i in range(ops.shape[0] - 1, -1, -1):
        pick(like, table, ops[i, BACKWARD])(ops[i], arena, params, grads, ints)


@njit
def mean_nll(ops, arena):
    """The mean over what the last operation, the loss, left: nats per token."""
    start, n = ops[-1, Y], ops[-1, ROWS]
    total = 0.0
    for i in range(n):
        total += arena[start + i]
    return total / n


def train(
    like, table, ops, arena, params, grads, ints, stream, shape, optimizer, moments, hyper, seed, first, rates, losses
):
    """Steps `first`, `first` + 1, ... with the learning rates given: updates params (P,) and moments (n, P).

    stream (M,) int32; shape = (B, T); rates, losses (n,) float64. Returns how many steps were made: fewer than n
    when a loss is not finite, which is then the last one written and after which nothing was updated.
    """
    B, T = shape
    contexts, targets = ints[: B * T].reshape(B, T), ints[B * T : B * T + B]
    for i in range(rates.size):
        draw_batch(stream, seed, first + i, B, contexts, targets)
        forward(like, table, ops, arena, params, grads, ints)
        losses[i] = mean_nll(ops, arena)
        if not np.isfinite(losses[i]):
            return i
        backward(like, table, ops, arena, params, grads, ints)
        optimizer(params, grads, moments, rates[i], first + i + 1, hyper)
    return rates.size


def evaluate(like, table, ops, arena, params, ints, stream, shape, nll):
    """The nll in nats of every token of stream (M,) after the first -> nll (M - 1,) float64. shape = (B, T)."""
    B, T = shape
    contexts, targets = ints[: B * T].reshape(B, T), ints[B * T : B * T + B]
    n = nll.size
    for start in range(0, n, B):
        count = min(B, n - start)
        windows(stream, 1 + start, count, contexts, targets)
        forward(like, table, ops, arena, params, params, ints)
        for i in range(count):
            nll[start + i] = arena[ops[-1, Y] + i]
