"""From a list of layers to a table of operations over one arena of floats."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ..errors import InputError
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


@dataclass(frozen=True)
class Plan:
    """The operations that run a list of layers on batches of one shape.

    shape       (B, T, L): a batch is B contexts of T tokens, with L targets each
    layout      where the parameters lie
    arena_size, ints_size   count elements
    """

    shape: tuple[int, int, int]
    layout: Layout
    operations: list[Operation]
    arena_size: int
    ints_size: int
    gradients: bool

    @property
    def ops(self) -> np.ndarray:
        """The rows of all operations that compute: (n, WIDTH) int64."""
        return np.array([op.row for op in self.operations if op.row is not None])


def make_plan(
    layers: Sequence[Layer], shape: tuple[int, int, int], *, fuse: bool = True, gradients: bool = True
) -> Plan:
    """Plan layers for batches of a shape (B, T, L).

    fuse        use the fused kernels; without them every layer has buffers of its own, to be looked at and checked
    gradients   plan for training: the backward pass too, and forward passes as they are in training

    Raises InputError if a layer cannot be trained on so few examples.
    """
    B, T, L = shape
    layout, arena, ints = Layout(layers), _Memory(ALIGN), _Memory(1)
    batch = {"contexts": ints.take(B * T), "targets": ints.take(2 * B * L)}  # counts lie behind the targets
    operations: list[Operation] = []
    in_shape: Shape = (T,)
    x = dx = -1
    for layer, slots in _chosen(layers, layout, shape, fuse):
        kernels, out_shape = LAYERS[type(layer)], layer.out_shape(in_shape)
        row = None
        if kernels.forward is not None:
            # A kernel that reads contexts works on as many rows as it is to write; the others on those of their input.
            rows = B * prod(out_shape[:-1] if kernels.reads == "contexts" else in_shape[:-1])
            if gradients and kernels.batch_statistics and rows < 2:
                raise InputError(
                    f"{type(layer).__name__} normalises by the variance over the batch, and one example has none: "
                    "train with --batch-size 2 or more"
                )
            y = arena.take(B * prod(out_shape))
            dy = arena.take(B * prod(out_shape)) if gradients else -1
            floats, numbers = kernels.scratch(layer, rows)
            row = np.full(WIDTH, -1, np.int64)
            row[FORWARD], row[BACKWARD] = _codes(type(layer), kernels, gradients)
            row[ROWS] = rows
            row[X], row[DX], row[Y], row[DY] = x, dx, y, dy
            row[AUX], row[INT_AUX] = arena.take(floats), ints.take(numbers)
            row[INTS] = batch.get(kernels.reads or "", -1)
            row[P0 : P0 + len(slots)] = [slot.start for slot in slots]
            sizes = layer.sizes(in_shape)
            row[S0 : S0 + len(sizes)] = sizes
            x, dx = y, dy
        operations.append(Operation(layer, in_shape, out_shape, slots, row))
        in_shape = out_shape
    return Plan(shape, layout, operations, arena.size, ints.size, gradients)


class _Memory:
    """A length that grows as pieces of it are taken, each from a multiple of `align` on."""

    def __init__(self, align: int):
        self.size, self.align = 0, align

    def take(self, n: int) -> int:
        start = self.size
        self.size += -(-n // self.align) * self.align
        return start


def _codes(kind: type[Layer], kernels: Kernels, training: bool) -> tuple[int, int]:
    """The places of a layer's forward and backward kernels in the kernel table."""
    first = 3 * list(LAYERS).index(kind)
    return first if training or kernels.inference is None else first + 2, first + 1


def kernels_in_order() -> list:
    """The kernels by their place in the kernel table; None where there is none."""
    return [kernel for row in LAYERS.values() for kernel in (row.forward, row.backward, row.inference)]


def _chosen(
    layers: Sequence[Layer], layout: Layout, shape: tuple[int, int, int], fuse: bool
) -> Iterator[tuple[Layer, list[Slot]]]:
    """The layers with their parameters' places, runs of them replaced by their fused form where that pays."""
    in_shape: Shape = shape[1:2]
    i = 0
    while i < len(layers):
        layer, n = layers[i], 1
        for kinds, kind in FUSED.items():
            run = layers[i : i + len(kinds)]
            if fuse and tuple(map(type, run)) == kinds:
                fused = kind(*run)
                if LAYERS[kind].pays(fused, shape[0] * prod(fused.out_shape(in_shape)[:-1])):
                    layer, n = fused, len(kinds)
        yield layer, [slot for slots in layout.slots[i : i + n] for slot in slots]
        in_shape = layer.out_shape(in_shape)
        i += n
