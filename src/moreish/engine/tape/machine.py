"""The loop that runs any architecture: it walks a table of operations forward, backward, and steps the optimizer.

Compiled once for each float type. Widths, depths, batch sizes, rates and word lists are data: nothing recompiles.
An operation is a row (see layers.spec), for each part of the batch; `table` holds the kernels that its FORWARD and
BACKWARD columns name, and `like` is any one of them (see dispatch). Every thread of a team calls these functions, and
walks parts of its own.
"""

# pyright: reportMissingParameterType=false

import numpy as np
from numba import njit
from numba.extending import register_jitable

from ...layers.reduce import add_up
from ...layers.spec import BACKWARD, FORWARD, MEET, Y
from ...layers.views import matrix, vector
from ..batches import draw_batch, group_windows
from .barrier import PLACE, SIZE, alone, meet
from .dispatch import pick
from .shards import GRAIN, part_of, share

PIECE = 1 << 17  # windows that are looked at together where equal contexts are walked once
BLOCK = 256  # gradients that are summed together


@njit
def forward(like, table, ops, arena, params, grads, ints, team):
    """Every operation in order, on this thread's parts of the batch."""
    n, parts, _ = ops.shape
    first, last = share(parts, 1, team[PLACE], team[SIZE])
    for i in range(n):
        if ops[i, 0, MEET]:
            meet(team)
        for part in range(first, last):
            pick(like, table, ops[i, part, FORWARD])(ops[i, part], arena, params, grads, ints)


@njit
def backward(like, table, ops, arena, params, grads, ints, team):
    """Every operation in reverse order, on this thread's parts: fills their rows of grads (parts * size,)."""
    n, parts, _ = ops.shape
    first, last = share(parts, 1, team[PLACE], team[SIZE])
    size = grads.size // parts
    for i in range(n - 1, -1, -1):
        for part in range(first, last):
            of_part = vector(grads, part * size, size)
            pick(like, table, ops[i, part, BACKWARD])(ops[i, part], arena, params, of_part, ints)
        if ops[i, 0, MEET]:
            meet(team)


@njit
def sum_gradients(grads, parts, first, last, total):
    """grads (parts * size,) -> first ... last - 1 of total (size or fewer,): the gradients summed over the parts."""
    of_parts = matrix(grads, 0, parts, grads.size // parts)
    for start in range(first, last, BLOCK):
        add_up(of_parts, start, vector(total, start, min(BLOCK, last - start)))


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
    start, (B, L) = ops[-1, 0, Y], counts.shape
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
    team,
):
    """Steps `first`, `first` + 1, ... with the learning rates given: updates params (P,) and moments (n, n_trained).

    shape = (B, T, L); stream (M,) int32 and starts (S,): see `draw_batch`; an empty stream keeps the batch that is in
    ints. grads (parts * size,), size at least n_trained; rates, losses (n,) float64. Returns how many steps were made:
    fewer than n when a loss is not finite, which is then the last one written and after which nothing was updated.
    """
    contexts, targets, counts = batch_of(ints, shape)
    B, parts = shape[0], ops.shape[1]
    n_trained = moments.shape[1]
    first_part, last_part = share(parts, 1, team[PLACE], team[SIZE])
    begin, end = part_of(B, parts, first_part)[0], part_of(B, parts, last_part - 1)[1]
    mine = contexts[begin:end], targets[begin:end], counts[begin:end]
    first_weight, last_weight = share(n_trained, GRAIN, team[PLACE], team[SIZE])
    # This thread's own, as no memory is written by several: they would take it from each other.
    summed = np.empty(n_trained if parts > 1 else 0, grads.dtype)
    for i in range(rates.size):
        if stream.size:
            draw_batch(stream, starts, seed, (first + i) * B + begin, *mine)
        forward(like, table, ops, arena, params, grads, ints, team)
        meet(team)
        loss = mean_nll(ops, arena, counts)
        if team[PLACE] == 0:
            losses[i] = loss
        if not np.isfinite(loss):
            return i
        backward(like, table, ops, arena, params, grads, ints, team)
        meet(team)
        if parts > 1:
            sum_gradients(grads, parts, first_weight, last_weight, summed)
        gradient = summed if parts > 1 else grads
        optimizer(params, gradient, moments, rates[i], first + i + 1, hyper, first_weight, last_weight)
        meet(team)
    return rates.size


def evaluate(like, table, ops, arena, params, ints, shape, stream, begin, end, nll):
    """The nll in nats of tokens 1 + begin ... end of stream (M,) -> begin ... end - 1 of nll (M - 1,) float64.

    shape = (B, T, V): each different context of a piece is walked once, with all tokens as its targets.
    """
    contexts, targets, _ = batch_of(ints, shape)
    (B, T, V), n, team = shape, min(PIECE, end - begin), alone()
    for b in range(B):
        for v in range(V):
            targets[b, v] = v
    size = 2
    while size < 2 * n:
        size *= 2
    slots, different = np.empty(size, np.int64), np.empty((n, T), np.int64)
    head, follower = np.empty(n, np.int64), np.empty(n, np.int64)
    for start in range(begin, end, PIECE):
        used = group_windows(stream, 1 + start, min(PIECE, end - start), different, slots, head, follower)
        for first in range(0, used, B):
            count = min(B, used - first)
            for i in range(count):
                for k in range(T):
                    contexts[i, k] = different[first + i, k]
            forward(like, table, ops, arena, params, params, ints, team)
            for i in range(count):
                window = head[first + i]
                while window >= 0:
                    nll[start + window] = arena[ops[-1, 0, Y] + i * V + stream[1 + start + window]]
                    window = follower[window]
