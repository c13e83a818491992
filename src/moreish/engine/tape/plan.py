"""The plan: a table of operations over one arena of floats. `planner` makes it from a list of layers."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from ...layers import LAYERS, Layer, Shape
from ...layers.layout import Layout, Slot
from ...layers.levels import MAX_LEVELS, MAX_ROWS, MEMORY_ROWS, TRAINING, regular_levels
from ...layers.spec import (
    BACKWARD,
    FIRST,
    FORWARD,
)
from .shards import bounds, shard_bounds

ALIGN = 16  # floats: buffers start at cache lines
N_KERNELS = 5  # entries of each kind of layer in the kernel table
NOTHING = -1  # instead of the number of a kernel


@dataclass(frozen=True)
class Operation:
    """One step of a plan: a layer, perhaps a fused one, with its shapes for one example, its parameters and buffers.

    path    of the layer: see `residual.leaves`
    rows    (n, shards, WIDTH) int64: n rows for each shard, run one after another; n = 0 if the layer computes nothing
    begins  True where the branch of a Residual begins: the operation only adds to a gradient
    """

    path: str
    layer: Layer
    in_shape: Shape
    out_shape: Shape
    slots: list[Slot]
    rows: np.ndarray
    begins: bool = False

    @property
    def row(self) -> np.ndarray | None:
        """The first row, in which the buffers of the whole batch begin; None for an operation without an output."""
        return self.rows[0, 0] if len(self.rows) and not self.begins else None

    @property
    def kind(self) -> str:
        """The kind of the layer, such as "Linear"."""
        return type(self.layer).__name__

    @property
    def name(self) -> str:
        """The name of the layer in the model, such as "2.linear"."""
        return f"{self.path}.{self.kind.lower()}"


@dataclass(frozen=True)
class Plan:
    """The operations that run a list of layers on batches of one shape.

    shape       (B, T, L): a batch is B contexts of T tokens, with L targets each
    shards      the number of shards of a batch
    layout      the places of the parameters in the flat vector
    arena_size, ints_size   in elements
    max_levels  of whole words, whose prefixes are the contexts; 0 for contexts of one length
    memory      the rows that layers which look back remember
    levels      (shards,) or (0,): the place in ints of the levels of each shard's rows
    guide       (D, n): the entries of its guide, and the numbers of each
    """

    shape: tuple[int, int, int]
    shards: int
    layout: Layout
    operations: list[Operation]
    arena_size: int
    ints_size: int
    gradients: bool
    max_levels: int
    memory: int
    levels: np.ndarray
    guide: tuple[int, int] = (0, 0)

    def new_ints(self) -> np.ndarray:
        """Return the integers of the plan: zeros, but for the levels."""
        ints = np.zeros(self.ints_size, np.int64)
        for shard, start in enumerate(self.levels.tolist()):
            first, last = shard_bounds(self.shape[0], shard, self.shards)
            if self.max_levels:
                ints[start + MAX_LEVELS], ints[start + MAX_ROWS] = self.max_levels, last - first
                ints[start + MEMORY_ROWS] = self.memory
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
        codes = np.unique(self.ops()[:, 0, columns])
        return codes[codes != NOTHING].tolist()

    def ops(self, threads: int = 1) -> np.ndarray:
        """The rows of all operations that compute, for a number of threads: (n, shards, WIDTH) int64."""
        ops = np.concatenate([op.rows for op in self.operations])
        for thread in range(threads):
            first, last = bounds(self.shards, 1, thread, threads)
            ops[:, first:last, FIRST] = first
        return ops


def kernels_in_order() -> list[Any]:
    """The kernel table: N_KERNELS entries for each kind of layer, None for a kernel that it lacks."""
    return [
        kernel
        for row in LAYERS.values()
        for kernel in (row.forward, row.backward, row.inference, *(row.before or (None, None)))
    ]
