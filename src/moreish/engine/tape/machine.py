"""The loop that runs any architecture: it goes through a table of operations forward, backward, and updates weights.

It is compiled once for each float type. Widths, depths, batch sizes, rates and word lists are data: they recompile
nothing. An operation is a row (see layers.spec) for each shard of the batch. Every thread of a group calls these
functions, and works on its own shards.
"""

# pyright: reportMissingParameterType=false

import numpy as np

from ...layers.jit import njit
from ...layers.reduce import sum_rows
from ...layers.spec import BACKWARD, BARRIER, FORWARD, Y
from ...layers.views import matrix, vector
from ..batches import group_windows
from .barrier import THREAD, THREADS, barrier, single_thread
from .batch import batch_of, mean_nll, take_batch
from .denormals import FLUSH, set_flushing
from .dispatch import pick
from .shards import bounds
from .update import GRADIENTS_PER_BLOCK, update_weights

WINDOWS_PER_GROUPING = 1 << 17  # windows that an evaluation groups by their contexts at a time


@njit
def forward(program, params, grads, thread):
    """Run every operation in order, on this thread's shards of the batch."""
    ops, arena, ints = program.ops, program.arena, program.ints
    n, shards, _ = ops.shape
    first, last = bounds(shards, 1, thread[THREAD], thread[THREADS])
    for i in range(n):
        if ops[i, 0, BARRIER]:
            barrier(thread)
        if ops[i, 0, FORWARD] < 0:
            continue
        for shard in range(first, last):
            pick(program.like, program.table, ops[i, shard, FORWARD])(ops[i, shard], arena, params, grads, ints)


@njit
def backward(program, params, grads, thread):
    """Run every operation in reverse order, on this thread's shards: fills their rows of grads (shards * size,)."""
    ops, arena, ints = program.ops, program.arena, program.ints
    n, shards, _ = ops.shape
    first, last = bounds(shards, 1, thread[THREAD], thread[THREADS])
    size = grads.size // shards
    for i in range(n - 1, -1, -1):
        if ops[i, 0, BACKWARD] < 0:
            continue
        for shard in range(first, last):
            own = vector(grads, shard * size, size)
            pick(program.like, program.table, ops[i, shard, BACKWARD])(ops[i, shard], arena, params, own, ints)
        if ops[i, 0, BARRIER]:
            barrier(thread)


@njit
def sum_gradients(grads, shards, first, last, total):
    """Sum grads (shards * size,) over the shards -> elements first ... last - 1 of total (size or fewer,)."""
    of_shards = matrix(grads, 0, shards, grads.size // shards)
    for start in range(first, last, GRADIENTS_PER_BLOCK):
        sum_rows(of_shards, start, vector(total, start, min(GRADIENTS_PER_BLOCK, last - start)))


def train(program, params, grads, source, update, first, rates, losses, thread):
    """Make steps `first`, `first` + 1, ... with the given learning rates: updates params (P,) and update.moments.

    grads (shards * size,), size at least n_trained, is scratch; rates and losses (n,) are float64. Returns the number
    of steps made. It is less than n if a loss is not finite: that loss is the last one written, and its step was not
    made.
    """
    shards, n_trained = program.ops.shape[1], update.moments.shape[1]
    first_weight, last_weight = bounds(n_trained, GRADIENTS_PER_BLOCK, thread[THREAD], thread[THREADS])
    # Each thread has a vector of its own, to avoid false sharing.
    summed = np.empty(n_trained if shards > 1 else 0, grads.dtype)
    flushed = set_flushing(FLUSH)
    for i in range(rates.size):
        take_batch(source, program, first + i, thread)
        forward(program, params, grads, thread)
        barrier(thread)
        loss = mean_nll(source, program)
        if thread[THREAD] == 0:
            losses[i] = loss
        if not np.isfinite(loss):
            set_flushing(flushed)
            return i
        backward(program, params, grads, thread)
        barrier(thread)
        if shards > 1:
            sum_gradients(grads, shards, first_weight, last_weight, summed)
        gradient = summed if shards > 1 else grads
        update_weights(update, params, gradient, rates[i], first + i + 1, first_weight, last_weight, thread)
        barrier(thread)
    set_flushing(flushed)
    return rates.size


def evaluate(program, params, stream, begin, end, nll):
    """The nll in nats of tokens 1 + begin ... end of stream (M,) -> begin ... end - 1 of nll (M - 1,) float64.

    program.shape is (B, T, V): each different context is computed once, with all V tokens as its targets.
    """
    contexts, targets, _ = batch_of(program.ints, program.shape)
    (B, T, V), n, thread = program.shape, min(WINDOWS_PER_GROUPING, end - begin), single_thread()
    for b in range(B):
        for v in range(V):
            targets[b, v] = v
    size = 2
    while size < 2 * n:
        size *= 2
    slots, different = np.empty(size, np.int64), np.empty((n, T), np.int64)
    head, follower = np.empty(n, np.int64), np.empty(n, np.int64)
    for start in range(begin, end, WINDOWS_PER_GROUPING):
        n_windows = min(WINDOWS_PER_GROUPING, end - start)
        used = group_windows(stream, 1 + start, n_windows, different, slots, head, follower)
        for first in range(0, used, B):
            count = min(B, used - first)
            for i in range(count):
                for k in range(T):
                    contexts[i, k] = different[first + i, k]
            forward(program, params, params, thread)
            for i in range(count):
                window = head[first + i]
                while window >= 0:
                    nll[start + window] = program.arena[program.ops[-1, 0, Y] + i * V + stream[1 + start + window]]
                    window = follower[window]
