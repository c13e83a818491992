"""The batch of a step on the compiled machine: contexts of one length, or whole words."""

# pyright: reportMissingParameterType=false

from typing import Any, NamedTuple

import numpy as np

from ...layers.jit import njit, overload, register_jitable
from ...layers.levels import KEY, N_PAIRS, levels_of
from ...layers.spec import ROWS, Y
from ...layers.views import matrix
from ..batches import draw_batch
from ..packing import pack, split_evenly
from ..rng import key_of_step
from ..words import WordSource, words_of_step
from .barrier import THREAD, THREADS
from .shards import bounds, shard_bounds


class Program(NamedTuple):
    """A plan that is ready to run.

    like    any one of the kernels, for their type: see dispatch
    table   all kernels, by the numbers in columns FORWARD and BACKWARD
    ops     (n, shards, WIDTH) int64: the rows of n operations
    arena   float: activations, their gradients, and scratch
    ints    int64: the batch, and integer scratch
    shape   (B, T, L) of the batch
    levels  (shards,): the place in ints of the levels of each shard; empty if no layer goes along words
    """

    like: Any
    table: Any
    ops: np.ndarray
    arena: np.ndarray
    ints: np.ndarray
    shape: tuple[int, int, int]
    levels: np.ndarray


def take_batch(source, program, step, thread):
    """Take this thread's shards of the batch of a step, unless the batch is the same at every step."""
    (take_words if isinstance(source, WordSource) else take_contexts)(source, program, step, thread)


@overload(take_batch)
def _take_batch(source, program, step, thread):
    take = take_words if source.instance_class is WordSource else take_contexts
    return lambda source, program, step, thread: take(source, program, step, thread)


def mean_nll(source, program):
    """The mean loss in nats per token, from the output of the last operation, each target weighted by its count."""
    return (mean_nll_of_words if isinstance(source, WordSource) else mean_nll_of_contexts)(program)


@overload(mean_nll)
def _mean_nll(source, program):
    mean = mean_nll_of_words if source.instance_class is WordSource else mean_nll_of_contexts
    return lambda source, program: mean(program)


@register_jitable
def batch_of(ints, shape):
    """The batch in ints as contexts (B, T), targets (B, L) and counts (B, L), for a shape (B, T, L)."""
    B, T, L = shape
    start = B * T
    return matrix(ints, 0, B, T), matrix(ints, start, B, L), matrix(ints, start + B * L, B, L)


@njit
def mean_nll_of_contexts(program):
    """The mean loss in nats per token, from the output of the last operation, each target weighted by its count."""
    counts = batch_of(program.ints, program.shape)[2]
    arena, start, (B, L) = program.arena, program.ops[-1, 0, Y], counts.shape
    total, n = 0.0, 0
    for b in range(B):
        for k in range(L):
            total += arena[start + b * L + k] * counts[b, k]
            n += counts[b, k]
    return total / n


@njit
def take_contexts(source, program, step, thread):
    """Draw this thread's shards of a batch of contexts."""
    shards = program.ops.shape[1]
    first, last = bounds(shards, 1, thread[THREAD], thread[THREADS])
    for shard in range(first, last if program.levels.size else first):
        program.ints[program.levels[shard] + KEY] = key_of_step(source.seed, step)
    if source.stream.size:
        contexts, targets, counts = batch_of(program.ints, program.shape)
        B = program.shape[0]
        begin, end = shard_bounds(B, first, shards)[0], shard_bounds(B, last - 1, shards)[1]
        draw_batch(source, step * B + begin, contexts[begin:end], targets[begin:end], counts[begin:end])


@njit
def contexts_of(program, shard):
    """The contexts of a shard's rows: (room, 1), or (room, 2) with labels."""
    B, T, _ = program.shape
    room = B // program.ops.shape[1]
    return matrix(program.ints, shard * room * T, room, T)


@njit
def set_rows(program, shard, n):
    """Let every operation work on n rows of a shard."""
    for i in range(program.ops.shape[0]):
        program.ops[i, shard, ROWS] = n


@njit
def take_words(source, program, step, thread):
    """Draw the words of a step, and pack those of this thread's shards."""
    shards = program.ops.shape[1]
    words, cuts = words_of_step(source, step), np.empty(shards + 1, np.int64)
    split_evenly(words, source.shared, shards, program.shape[0] // shards, cuts)
    first, last = bounds(shards, 1, thread[THREAD], thread[THREADS])
    for shard in range(first, last):
        levels = levels_of(program.ints, program.levels[shard])
        path = np.empty((4, levels.begins.size), np.int64)
        n = pack(
            words,
            cuts[shard],
            cuts[shard + 1],
            source.shared,
            contexts_of(program, shard),
            levels,
            path,
            levels.rows[:0],
        )
        levels.head[KEY] = key_of_step(source.seed, step)
        set_rows(program, shard, n)


@njit
def mean_nll_of_words(program):
    """The mean loss in nats per token of all shards, from the output of the last operation."""
    total, n = 0.0, 0
    for shard in range(program.ops.shape[1]):
        levels = levels_of(program.ints, program.levels[shard])
        start = program.ops[-1, shard, Y]
        for i in range(levels.head[N_PAIRS]):
            total += program.arena[start + i] * levels.counts[i]
            n += levels.counts[i]
    return total / n
