"""The loop that runs any architecture: it walks a table of operations forward, backward, and steps the optimizer.

Compiled once for each float type. Widths, depths, batch sizes, rates and word lists are data: nothing recompiles.
An operation is a row (see layers.spec); `table` holds the kernels that its FORWARD and BACKWARD columns name, and
`like` is any one of them (see dispatch).
"""

import numpy as np
from numba import njit
from numba.extending import register_jitable

from ..layers.spec import BACKWARD, FORWARD, Y
from .batch import draw_batch, group_windows
from .dispatch import pick

PIECE = 1 << 17  # windows that are looked at together where equal contexts are walked once


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


@register_jitable
def batch_of(ints, shape):
    """The batch in ints as contexts (B, T), targets (B, L) and counts (B, L), for a shape (B, T, L)."""
    B, T, L = shape
    start = B * T
    targets, counts = ints[start : start + B * L], ints[start + B * L : start + 2 * B * L]
    return ints[:start].reshape(B, T), targets.reshape(B, L), counts.reshape(B, L)


@njit
def mean_nll(ops, arena, counts):
    """The mean over what the last operation, the loss, left, each as often as it counts: nats per token."""
    start, (B, L) = ops[-1, Y], counts.shape
    total, n = 0.0, 0
    for b in range(B):
        for k in range(L):
            total += arena[start + b * L + k] * counts[b, k]
            n += counts[b, k]
    return total / n


def train(
    like,
    table,
    ops,
    arena,
    params,
    grads,
    ints,
    shape,
    stream,
    starts,
    seed,
    optimizer,
    moments,
    hyper,
    first,
    rates,
    losses,
):
    """Steps `first`, `first` + 1, ... with the learning rates given: updates params (P,) and moments (n, n_trained).

    shape = (B, T, L); stream (M,) int32 and starts (S,): see `draw_batch`; an empty stream keeps the batch that is in
    ints. grads (n_trained,); rates, losses (n,) float64. Returns how many steps were made: fewer than n when a loss is
    not finite, which is then the last one written and after which nothing was updated.
    """
    contexts, targets, counts = batch_of(ints, shape)
    for i in range(rates.size):
        if stream.size:
            draw_batch(stream, starts, seed, first + i, contexts, targets, counts)
        forward(like, table, ops, arena, params, grads, ints)
        losses[i] = mean_nll(ops, arena, counts)
        if not np.isfinite(losses[i]):
            return i
        backward(like, table, ops, arena, params, grads, ints)
        optimizer(params, grads, moments, rates[i], first + i + 1, hyper)
    return rates.size


def evaluate(like, table, ops, arena, params, ints, shape, stream, nll):
    """The nll in nats of every token of stream (M,) after the first -> nll (M - 1,) float64.

    shape = (B, T, V): each different context of a piece is walked once, with all tokens as its targets.
    """
    contexts, targets, _ = batch_of(ints, shape)
    (B, T, V), n = shape, min(PIECE, nll.size)
    for b in range(B):
        for v in range(V):
            targets[b, v] = v
    size = 2
    while size < 2 * n:
        size *= 2
    slots, different = np.empty(size, np.int64), np.empty((n, T), np.int64)
    head, follower = np.empty(n, np.int64), np.empty(n, np.int64)
    for start in range(0, nll.size, PIECE):
        used = group_windows(stream, 1 + start, min(PIECE, nll.size - start), different, slots, head, follower)
        for first in range(0, used, B):
            count = min(B, used - first)
            for i in range(count):
                for k in range(T):
                    contexts[i, k] = different[first + i, k]
            forward(like, table, ops, arena, params, params, ints)
            for i in range(count):
                window = head[first + i]
                while window >= 0:
                    nll[start + window] = arena[ops[-1, Y] + i * V + stream[1 + start + window]]
                    window = follower[window]
