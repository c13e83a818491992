"""From a list of layers to a table of operations over one arena of floats."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from ..layers import FUSED, LAYERS, Kernels, Layer, Shape
from ..layers.layout import Layout, Slot
from ..layers.spec import AUX, BACKWARD, DX, DY, FORWARD, INT_AUX, INTS, P0, ROWS, S0, WIDTH, X, Y

ALIGN = 16  # floats: buffers start at cache lines


@dataclass(frozen=True)
class Operation:
    """One step of a plan: a layer (perhaps a fused one) with its shapes for one example, its parameters and buffers."""

    layer: Layer
    in_shape: Shape
    out_shape: Shape
    slots: list[Slot]
    row: np.ndarray | None  # None for a layer that moves nothing

    @property
    def name(self) -> str:
        return type(self.layer).__name__


@dataclass
class Plan:
    """The operations that run `layers` on batches of `batch_size` contexts of `block_size` tokens.

    fuse        use the fused kernels; without them every layer has buffers of its own, to be looked at and checked
    gradients   lay out the buffers of the backward pass too

    ops (n, WIDTH) is the table, `arena_size` and `ints_size` count elements.
    """

    layers: Sequence[Layer]
    block_size: int
    batch_size: int
    fuse: bool = True
    gradients: bool = True
    operations: list[Operation] = field(init=False, default_factory=list)
    arena_size: int = field(init=False, default=0)
    ints_size: int = field(init=False, default=0)

    def __post_init__(self):
        self.layout = Layout(self.layers)
        self._reads = {"contexts": 0, "targets": self.batch_size * self.block_size}
        self.ints_size = self.batch_size * (self.block_size + 1)
        shape: Shape = (self.block_size,)
        x = dx = -1
        for layer, slots in self._steps():
            kernels = LAYERS[type(layer)]
            out_shape = layer.out_shape(shape)
            if kernels.forward is None:
                self.operations.append(Operation(layer, shape, out_shape, slots, None))
                shape = out_shape
                continue
            size = self.batch_size * int(np.prod(out_shape))
            y = self._floats(size)
            dy = self._floats(size) if self.gradients else -1
            row = self._row(layer, kernels, shape, slots, (x, dx, y, dy))
            self.operations.append(Operation(layer, shape, out_shape, slots, row))
            shape, x, dx = out_shape, y, dy

    def _steps(self) -> Iterator[tuple[Layer, list[Slot]]]:
        """The layers with their parameters' places, runs of them replaced by their fused form where that pays."""
        i = 0
        while i < len(self.layers):
            layer, n = self._fused(i) or (self.layers[i], 1)
            yield layer, [slot for slots in self.layout.slots[i : i + n] for slot in slots]
            i += n

    def _fused(self, i: int) -> tuple[Layer, int] | None:
        """The fused form of the layers from i on, and how many it stands for."""
        for kinds, kind in FUSED.items():
            run = self.layers[i : i + len(kinds)]
            if self.fuse and tuple(map(type, run)) == kinds and LAYERS[kind].pays(fused := kind(*run), self.batch_size):
                return fused, len(kinds)
        return None

    def _row(self, layer: Layer, kernels: Kernels, in_shape: Shape, slots: list[Slot], buffers) -> np.ndarray:
        row = np.full(WIDTH, -1, np.int64)
        code = list(LAYERS).index(type(layer))
        row[FORWARD], row[BACKWARD] = 2 * code, 2 * code + 1
        out_shape = layer.out_shape(in_shape)
        # A kernel that reads the batch works on as many rows as it is to write; the others on the rows of their input.
        row[ROWS] = self.batch_size * int(np.prod(in_shape[:-1] if kernels.reads != "contexts" else out_shape[:-1]))
        row[X], row[DX], row[Y], row[DY] = buffers
        floats, ints = kernels.scratch(layer, int(row[ROWS]))
        row[AUX] = self._floats(floats)
        row[INT_AUX], self.ints_size = self.ints_size, self.ints_size + ints
        if kernels.reads:
            row[INTS] = self._reads[kernels.reads]
        row[P0 : P0 + len(slots)] = [slot.start for slot in slots]
        sizes = layer.sizes(in_shape)
        row[S0 : S0 + len(sizes)] = sizes
        return row

    def _floats(self, n: int) -> int:
        start = self.arena_size
        self.arena_size += -(-n // ALIGN) * ALIGN
        return start

    @property
    def ops(self) -> np.ndarray:
        """The rows of all operations that compute: (n, WIDTH) int64."""
        return np.array([op.row for op in self.operations if op.row is not None])
