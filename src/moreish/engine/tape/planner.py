"""The planner: it makes a plan from a list of layers, one operation after another."""

from collections.abc import Sequence
from itertools import accumulate
from math import prod

import numpy as np

from ...errors import InputError
from ...layers import LAYERS, Kernels, Layer, Residual, Shape, leaves
from ...layers.layout import Layout, Slot
from ...layers.levels import levels_size
from ...layers.residual import BRANCH
from ...layers.spec import (
    AUX,
    BACKWARD,
    BARRIER,
    COUNTS,
    DX,
    DY,
    FORWARD,
    INT_SHARED,
    INTS,
    LEVELS,
    MEMORY,
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
from .plan import ALIGN, N_KERNELS, NOTHING, Operation, Plan
from .shards import shard_bounds


def make_plan(
    layers: Sequence[Layer],
    shape: tuple[int, int, int],
    *,
    max_levels: int = 0,
    memory: int = 0,
    shards: int = 1,
    fuse: bool = True,
    gradients: bool = True,
) -> Plan:
    """Plan layers for batches of a shape (B, T, L).

    max_levels  of whole words: B is the room for prefixes, a whole number of grains for each shard, and T is 1, or 2
                with labels. Without whole words it is 0
    memory      the rows that layers which look back remember, where the levels of words are computed one by one
    shards      the number of shards of a batch
    fuse        use the fused kernels; without them every layer has its own buffers, which can be read and checked
    gradients   plan for training: with the backward pass, and the forward pass as it is in training

    Raises InputError if a layer cannot be trained on so few examples, and ValueError if a layer needs more columns than
    a row has.
    """
    planner = _Planner(layers, shape, max_levels, memory, shards, gradients)
    B, T, _ = shape
    number = 0
    for layer, stands_for in fused(layers, B // shards, T) if fuse else ((layer, 1) for layer in layers):
        planner.add(layer, str(number), stands_for)
        number += stands_for
    return planner.plan()


class _Planner:
    """Adds one layer after another to a plan. x and dx are the places of the next layer's input and its gradient."""

    def __init__(
        self,
        layers: Sequence[Layer],
        shape: tuple[int, int, int],
        max_levels: int,
        memory: int,
        shards: int,
        gradients: bool,
    ):
        (B, T, L), self.shape = shape, shape
        self.max_levels, self.memory, self.shards, self.gradients = max_levels, memory, shards, gradients
        self.layout, self.arena, self.ints = Layout(layers), _Memory(ALIGN), _Memory(1)
        # Of each part of the batch: where it begins, and its numbers an example.
        self.batch = {"contexts": (self.ints.take(B * T), T), "targets": (self.ints.take(B * L), L)}
        self.counts = self.ints.take(B * L)
        self.bounds = [shard_bounds(B, shard, shards) for shard in range(shards)]
        self.goes_along = max_levels > 0 or any(LAYERS[type(layer)].levels for _, layer in leaves(layers))
        room = [(max_levels or T, (last - first) * (1 if max_levels else T)) for first, last in self.bounds]
        sizes = [levels_size(*of_shard, memory) for of_shard in room if self.goes_along]
        self.levels = np.array([self.ints.take(size) for size in sizes], np.int64)
        self.guide = (0, 0)
        self.operations: list[Operation] = []
        self.slots = iter(self.layout.slots)
        self.in_shape: Shape = (T,)
        self.x = self.dx = -1

    def plan(self) -> Plan:
        """Return the plan of all layers added."""
        return Plan(
            shape=self.shape,
            shards=self.shards,
            layout=self.layout,
            operations=self.operations,
            arena_size=self.arena.size + prod(self.guide),
            ints_size=self.ints.size + self.guide[0],
            guide=self.guide,
            gradients=self.gradients,
            max_levels=self.max_levels,
            memory=self.memory,
            levels=self.levels,
        )

    def add(self, layer: Layer, path: str, stands_for: int = 1) -> None:
        """Add a layer, which stands for a number of layers if it is fused."""
        if isinstance(layer, Residual):
            self._add_residual(layer, path)
            return
        slots = [slot for _ in range(stands_for) for slot in next(self.slots)]
        kernels, in_shape, out_shape = LAYERS[type(layer)], self.in_shape, layer.out_shape(self.in_shape)
        rows = np.zeros((0, self.shards, WIDTH), np.int64)
        if kernels.forward is not None and (self.gradients or not kernels.training_only):
            self._check(layer, kernels)
            self.guide = max(self.guide, kernels.guide(layer))
            rows = self._rows(layer, _codes(type(layer), kernels, self.gradients), slots, out_shape)
        self.operations.append(Operation(path, layer, in_shape, out_shape, slots, rows))
        self.in_shape = out_shape

    def _add_residual(self, layer: Residual, path: str) -> None:
        """Add a sum after its branch; before the branch, in training, what adds to dx at the end of a backward pass.

        The branch ends with its gradient where the sum has it.
        """
        x, dx, before = self.x, self.dx, len(self.operations)
        for number, inner in enumerate(layer.layers):
            self.add(inner, f"{path}.{number}")
        z = self.x
        if all(op.row is None for op in self.operations[before:]) and self.gradients:
            raise ValueError("the layers of a Residual compute nothing")
        ((forward, backward),) = _codes(Residual, LAYERS[Residual], self.gradients)
        self.x, self.dx = x, dx
        rows = self._rows(layer, [(forward, NOTHING)], [], self.in_shape)
        for shard, (first, _) in enumerate(self.bounds):
            rows[:, shard, BRANCH] = z + first * prod(self.in_shape)
        branch = self.operations[before:]
        if self.gradients:
            start = rows.copy()
            start[:, :, (FORWARD, BACKWARD)] = NOTHING, backward
            dz = next(op.rows[0, :, DY].copy() for op in reversed(branch) if op.row is not None)
            for op in branch:  # several end there if the last one is itself the sum of a Residual
                np.copyto(op.rows[:, :, DY], rows[:, :, DY], where=op.rows[:, :, DY] == dz)
            branch.insert(0, Operation(path, layer, self.in_shape, self.in_shape, [], start, begins=True))
        self.operations[before:] = [*branch, Operation(path, layer, self.in_shape, self.in_shape, [], rows)]

    def _check(self, layer: Layer, kernels: Kernels) -> None:
        """Raise an error for a layer that does not fit the batch or its input."""
        (B, T, _), positions = self.shape, prod(self.in_shape[:-1])
        if self.gradients and kernels.batch_statistics and B * positions < 2:
            raise InputError(
                f"{type(layer).__name__} normalises by the variance over the batch, and one example has none: "
                "train with --batch-size 2 or more"
            )
        if kernels.levels and not self.max_levels and positions != T:
            raise ValueError(
                f"{type(layer).__name__} goes along {T} positions, and the layer before it gives {self.in_shape}"
            )

    def _rows(self, layer: Layer, codes: list[tuple[int, int]], slots: list[Slot], out_shape: Shape) -> np.ndarray:
        """Return the rows of a layer (n, shards, WIDTH), with memory for its output, which is the next input."""
        (B, _, L), shards, in_shape, kernels = self.shape, self.shards, self.in_shape, LAYERS[type(layer)]
        # A kernel that reads contexts works on the rows of its output, another kernel on the rows of its input.
        rows_per_example = prod(out_shape[:-1] if kernels.reads == "contexts" else in_shape[:-1])
        rows = np.full((len(codes), shards, WIDTH), -1, np.int64)
        rows[:, :, (FORWARD, BACKWARD)] = np.array(codes)[:, None]
        rows[:, :, BARRIER] = np.arange(len(codes))[:, None]
        y = self.arena.take(B * prod(out_shape))
        dy = self.arena.take(B * prod(out_shape)) if self.gradients else -1
        _fill(rows, layer, "parameters", PARAMETERS, [slot.start for slot in slots])
        _fill(rows, layer, "sizes", SIZES, layer.sizes(in_shape))
        shared = [shards * size for size in kernels.shared(layer)]
        _fill(rows, layer, "shared arrays", SHARED, _offsets(self.arena, shared))
        rows[:, :, INT_SHARED] = self.ints.take(shards * kernels.int_shared)
        rows[:, :, SHARDS] = shards
        buffers = (X, self.x, in_shape), (DX, self.dx, in_shape), (Y, y, out_shape), (DY, dy, out_shape)
        for shard, (first, last) in enumerate(self.bounds):
            of_shard, row = rows[:, shard : shard + 1], rows[:, shard].T
            rows_in_shard = (last - first) * rows_per_example
            row[SHARD], row[ROWS] = shard, rows_in_shard
            for column, start, size in buffers:
                row[column] = start + first * prod(size) if start >= 0 else -1
            if self.goes_along:
                row[LEVELS] = self.levels[shard]
            one_by_one = self.max_levels and not self.gradients
            states = [(rows_in_shard if one_by_one else 1) * n for n in kernels.state(layer)]
            _fill(of_shard, layer, "states", STATES, _offsets(self.arena, states))
            if kernels.looks_back and self.memory:
                row[MEMORY] = self.arena.take(self.memory * in_shape[-1])
            if kernels.reads is not None:
                start, size = self.batch[kernels.reads]
                row[INTS], row[COUNTS] = start + first * size, self.counts + first * L
            scratch = kernels.scratch(layer, in_shape, rows_in_shard)
            _fill(of_shard, layer, "scratch arrays", AUX, _offsets(self.arena, scratch))
        self.x, self.dx = y, dy
        return rows


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
