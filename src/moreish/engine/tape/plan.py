"""The plan: a table of operations over one arena of floats, made from a list of layers."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from ...errors import InputError
from ...layers import LAYERS, Kernels, Layer, Shape
from ...layers.layout import Layout, Slot
from ...layers.levels import MAX_LEVELS, MAX_ROWS, TRAINING, levels_size, regular_levels
from ...layers.spec import (
    AUX,
    BACKWARD,
    BARRIER,
    COUNTS,
    DX,
    DY,
    FIRST,
    FORWARD,
    INT_SHARED,
    INTS,
    LEVELS,
    PARAMETERS,
    ROWS,
    SHARD,
    SHARDS,
    SHARED,
    SIZES,
    STATES,
    WIDTH,
    X,
    Y,
)
from .fuse import fused
from .shards import bounds, shard_bounds

ALIGN = 16  # floats: buffers start at cache lines
N_KERNELS = 5  # entries of each kind of layer in the kernel table


@dataclass(frozen=True)
class Operation:
    """One step of a plan: a layer, perhaps a fused one, with its shapes for one example, its parameters and buffers.

    rows    (n, shards, WIDTH) int64: n rows for each shard, run one after another; n = 0 if the layer computes nothing
    """

    layer: Layer
    in_shape: Shape
    out_shape: Shape
    slots: list[Slot]
    rows: np.ndarray

    @property
    def row(self) -> np.ndarray | None:
        """The first row, in which the buffers of the whole batch begin; None for a layer that computes nothing."""
        return self.rows[0, 0] if len(self.rows) else None

    @property
    def name(self) -> str:
        return type(self.layer).__name__


@dataclass(frozen=True)
class Plan:
    """The operations that run a list of layers on batches of one shape.

    shape       (B, T, L): a batch is B contexts of T tokens, with L targets each
    shards      the number of shards of a batch
    layout      the places of the parameters in the flat vector
    arena_size, ints_size   in elements
    max_levels  of whole words, whose prefixes are the contexts; 0 for contexts of one length
    levels      (shards,) or (0,): the place in ints of the levels of each shard's rows
    """

    shape: tuple[int, int, int]
    shards: int
    layout: Layout
    operations: list[Operation]
    arena_size: int
    ints_size: int
    gradients: bool
    max_levels: int
    levels: np.ndarray

    def new_ints(self) -> np.ndarray:
        """Return the integers of the plan: zeros, but for the levels."""
        ints = np.zeros(self.ints_size, np.int64)
        for shard, start in enumerate(self.levels.tolist()):
            first, last = shard_bounds(self.shape[0], shard, self.shards)
            if self.max_levels:
                ints[start + MAX_LEVELS], ints[start + MAX_ROWS] = self.max_levels, last - first
            else:
                regular_levels(ints, start, first, last - first, self.shape[1])
            ints[start + TRAINING] = self.gradients
        return ints

    @property
    def grads_size(self) -> int:
        """The length of one shard's gradients: n_trained, rounded up to whole cache lines."""
        return -(-self.layout.n_trained // ALIGN) * ALIGN

    def codes(self) -> list[int]:
        """The numbers of the kernels that the plan runs."""
        columns = (FORWARD, BACKWARD) if self.gradients else (FORWARD,)
        return np.unique(self.ops()[:, 0, columns]).tolist()

    def ops(self, threads: int = 1) -> np.ndarray:
        """The rows of all operations that compute, for a number of threads: (n, shards, WIDTH) int64."""
        ops = np.concatenate([op.rows for op in self.operations])
        for thread in range(threads):
            first, last = bounds(self.shards, 1, thread, threads)
            ops[:, first:last, FIRST] = first
        return ops


def make_plan(
    layers: Sequence[Layer],
    shape: tuple[int, int, int],
    *,
    max_levels: int = 0,
    shards: int = 1,
    fuse: bool = True,
    gradients: bool = True,
) -> Plan:
    """Plan layers for batches of a shape (B, T, L).

    max_levels  of whole words: B is the room for prefixes, a whole number of grains for each shard, and T is 1, or 2
                with labels. Without whole words it is 0
    shards      the number of shards of a batch
    fuse        use the fused kernels; without them every layer has its own buffers, which can be read and checked
    gradients   plan for training: with the backward pass, and the forward pass as it is in training

    Raises InputError if a layer cannot be trained on so few examples, and ValueError if a layer needs more columns than
    a row has.
    """
    B, T, L = shape
    layout, arena, ints = Layout(layers), _Memory(ALIGN), _Memory(1)
    batch = {"contexts": (ints.take(B * T), T), "targets": (ints.take(B * L), L)}  # (offset, numbers an example)
    counts = ints.take(B * L)
    goes_along = max_levels > 0 or any(LAYERS[type(layer)].levels for layer in layers)
    sizes_of_shards = [last - first for first, last in (shard_bounds(B, shard, shards) for shard in range(shards))]
    room = [(max_levels, n) if max_levels else (T, n * T) for n in sizes_of_shards if goes_along]
    levels = np.array([ints.take(levels_size(*of_shard)) for of_shard in room], np.int64)
    operations: list[Operation] = []
    in_shape: Shape = (T,)
    x = dx = -1
    place = 0  # the index of the next layer to plan
    for layer, stands_for in fused(layers, B // shards, T) if fuse else ((layer, 1) for layer in layers):
        slots = [slot for of_layer in layout.slots[place : place + stands_for] for slot in of_layer]
        kernels, out_shape = LAYERS[type(layer)], layer.out_shape(in_shape)
        rows = np.zeros((0, shards, WIDTH), np.int64)
        if kernels.forward is not None and (gradients or not kernels.training_only):
            # A kernel that reads contexts works on the rows of its output, another kernel on the rows of its input.
            rows_per_example = prod(out_shape[:-1] if kernels.reads == "contexts" else in_shape[:-1])
            if gradients and kernels.batch_statistics and B * rows_per_example < 2:
                raise InputError(
                    f"{type(layer).__name__} normalises by the variance over the batch, and one example has none: "
                    "train with --batch-size 2 or more"
                )
            if kernels.levels and not max_levels and prod(in_shape[:-1]) != T:
                raise ValueError(
                    f"{type(layer).__name__} goes along {T} positions, and the layer before it gives {in_shape}"
                )
            codes = _codes(type(layer), kernels, gradients)
            rows = np.full((len(codes), shards, WIDTH), -1, np.int64)
            rows[:, :, (FORWARD, BACKWARD)] = np.array(codes)[:, None]
            rows[:, :, BARRIER] = np.arange(len(codes))[:, None]
            y = arena.take(B * prod(out_shape))
            dy = arena.take(B * prod(out_shape)) if gradients else -1
            _fill(rows, layer, "parameters", PARAMETERS, [slot.start for slot in slots])
            _fill(rows, layer, "sizes", SIZES, layer.sizes(in_shape))
            shared = [shards * size for size in kernels.shared(layer)]
            _fill(rows, layer, "shared arrays", SHARED, _offsets(arena, shared))
            rows[:, :, INT_SHARED] = ints.take(shards * kernels.int_shared)
            rows[:, :, SHARDS] = shards
            for shard in range(shards):
                first, last = shard_bounds(B, shard, shards)
                row = rows[:, shard].T
                rows_in_shard = (last - first) * rows_per_example
                row[SHARD], row[ROWS] = shard, rows_in_shard
                for column, start, size in (X, x, in_shape), (DX, dx, in_shape), (Y, y, out_shape), (DY, dy, out_shape):
                    row[column] = start + first * prod(size) if start >= 0 else -1
                if goes_along:
                    row[LEVELS] = levels[shard]
                states = [(rows_in_shard if max_levels and not gradients else 1) * n for n in kernels.state(layer)]
                _fill(rows[:, shard : shard + 1], layer, "states", STATES, _offsets(arena, states))
                if kernels.reads is not None:
                    start, size = batch[kernels.reads]
                    row[INTS], row[COUNTS] = start + first * size, counts + first * L
                scratch = kernels.scratch(layer, in_shape, rows_in_shard)
                _fill(rows[:, shard : shard + 1], layer, "scratch arrays", AUX, _offsets(arena, scratch))
            x, dx = y, dy
        operations.append(Operation(layer, in_shape, out_shape, slots, rows))
        in_shape, place = out_shape, place + stands_for
    return Plan(shape, shards, layout, operations, arena.size, ints.size, gradients, max_levels, levels)


def _fill(rows: np.ndarray, layer: Layer, what: str, columns: range, values: Sequence[int]) -> None:
    """Write values into the columns of rows (n, shards, WIDTH). Raise ValueError if there are too few columns."""
    if len(values) > len(columns):
        name = type(layer).__name__
        raise ValueError(f"{name} has {len(values)} {what}: a row of the plan has room for {len(columns)}")
    rows[:, :, columns.start : columns.start + len(values)] = values


class _Memory:
    """A length that grows when some of it is taken, each time from a multiple of `align`."""

    def __init__(self, align: int):
        self.size, self.align = 0, align

    def take(self, n: int) -> int:
        start = self.size
        self.size += -(-n // self.align) * self.align
        return start


def _offsets(memory: _Memory, sizes: Sequence[int]) -> list[int]:
    """Take memory for arrays of these sizes, one after another. Returns their offsets."""
    return list(accumulate(sizes[:-1], initial=memory.take(sum(sizes)))) if sizes else []


def _codes(kind: type[Layer], kernels: Kernels, training: bool) -> list[tuple[int, int]]:
    """The indices of a layer's forward and backward kernels in the kernel table, for each of its rows in the plan."""
    first = N_KERNELS * list(LAYERS).index(kind)
    forward, backward, inference, before_forward, before_backward = range(first, first + N_KERNELS)
    if kernels.inference is not None and not training:
        return [(inference, backward)]
    return [(before_forward, backward), (forward, before_backward)] if kernels.before else [(forward, backward)]


def kernels_in_order() -> list[Any]:
    """The kernel table: N_KERNELS entries for each kind of layer, None for a kernel that it lacks."""
    return [
        kernel
        for row in LAYERS.values()
        for kernel in (row.forward, row.backward, row.inference, *(row.before or (None, None)))
    ]
