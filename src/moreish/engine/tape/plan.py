"""From a list of layers to a table of operations over one arena of floats."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from ...errors import InputError
from ...layers import LAYERS, Kernels, Layer, Shape
from ...layers.layout import Layout, Slot
from ...layers.spec import (
    AUX,
    BACKWARD,
    COUNTS,
    DX,
    DY,
    FIRST,
    FORWARD,
    INT_SHARED,
    INTS,
    MEET,
    P0,
    PART,
    PARTS,
    ROWS,
    S0,
    SHARED,
    WIDTH,
    X,
    Y,
)
from .fuse import fused
from .shards import part_of, share

ALIGN = 16  # floats: buffers start at cache lines
N_KERNELS = 5  # that a layer may have


@dataclass(frozen=True)
class Operation:
    """One step of a plan: a layer (perhaps a fused one) with its shapes for one example, its parameters and buffers.

    rows    (n, parts, WIDTH) int64, n one after another, each for all parts of the batch; n = 0 if it moves nothing
    """

    layer: Layer
    in_shape: Shape
    out_shape: Shape
    slots: list[Slot]
    rows: np.ndarray

    @property
    def row(self) -> np.ndarray | None:
        """The row that tells where the buffers of the whole batch begin; None for a layer that moves nothing."""
        return self.rows[0, 0] if len(self.rows) else None

    @property
    def name(self) -> str:
        return type(self.layer).__name__


@dataclass(frozen=True)
class Plan:
    """The operations that run a list of layers on batches of one shape.

    shape       (B, T, L): a batch is B contexts of T tokens, with L targets each
    parts       how many parts the batch is walked in
    layout      where the parameters lie
    arena_size, ints_size   count elements
    """

    shape: tuple[int, int, int]
    parts: int
    layout: Layout
    operations: list[Operation]
    arena_size: int
    ints_size: int
    gradients: bool

    @property
    def grads_size(self) -> int:
        """n_trained, and as many more as fill a cache line."""
        return -(-self.layout.n_trained // ALIGN) * ALIGN

    def ops(self, threads: int = 1) -> np.ndarray:
        """The rows of all operations that compute, for so many threads: (n, parts, WIDTH) int64."""
        ops = np.concatenate([op.rows for op in self.operations])
        for place in range(threads):
            first, last = share(self.parts, 1, place, threads)
            ops[:, first:last, FIRST] = first
        return ops


def make_plan(
    layers: Sequence[Layer], shape: tuple[int, int, int], *, parts: int = 1, fuse: bool = True, gradients: bool = True
) -> Plan:
    """Plan layers for batches of a shape (B, T, L).

    parts       walk the batch in so many parts
    fuse        use the fused kernels; without them every layer has buffers of its own, to be looked at and checked
    gradients   plan for training: the backward pass too, and forward passes as they are in training

    Raises InputError if a layer cannot be trained on so few examples.
    """
    B, T, L = shape
    layout, arena, ints = Layout(layers), _Memory(ALIGN), _Memory(1)
    batch = {"contexts": (ints.take(B * T), T), "targets": (ints.take(B * L), L)}  # where, how many for each example
    counts = ints.take(B * L)
    operations: list[Operation] = []
    in_shape: Shape = (T,)
    x = dx = -1
    place = 0  # among the layers, of what is planned next
    for layer, stands_for in fused(layers, B // parts, T) if fuse else ((layer, 1) for layer in layers):
        slots = [slot for of_layer in layout.slots[place : place + stands_for] for slot in of_layer]
        kernels, out_shape = LAYERS[type(layer)], layer.out_shape(in_shape)
        rows = np.zeros((0, parts, WIDTH), np.int64)
        if kernels.forward is not None:
            # A kernel that reads contexts works on as many rows as it is to write; the others on those of their input.
            of_example = prod(out_shape[:-1] if kernels.reads == "contexts" else in_shape[:-1])
            if gradients and kernels.batch_statistics and B * of_example < 2:
                raise InputError(
                    f"{type(layer).__name__} normalises by the variance over the batch, and one example has none: "
                    "train with --batch-size 2 or more"
                )
            codes = _codes(type(layer), kernels, gradients)
            rows = np.full((len(codes), parts, WIDTH), -1, np.int64)
            rows[:, :, (FORWARD, BACKWARD)] = np.array(codes)[:, None]
            rows[:, :, MEET] = np.arange(len(codes))[:, None]
            y = arena.take(B * prod(out_shape))
            dy = arena.take(B * prod(out_shape)) if gradients else -1
            shared = tuple(parts * n for n in kernels.shared(layer))
            rows[:, :, SHARED], rows[:, :, INT_SHARED] = arena.take(shared[0]), ints.take(shared[1])
            rows[:, :, P0 : P0 + len(slots)] = [slot.start for slot in slots]
            sizes = layer.sizes(in_shape)
            rows[:, :, S0 : S0 + len(sizes)] = sizes
            rows[:, :, PARTS] = parts
            for part in range(parts):
                first, last = part_of(B, parts, part)
                row = rows[:, part].T
                row[PART], row[ROWS] = part, (last - first) * of_example
                for column, start, size in (X, x, in_shape), (DX, dx, in_shape), (Y, y, out_shape), (DY, dy, out_shape):
                    row[column] = start + first * prod(size) if start >= 0 else -1
                if kernels.reads is not None:
                    start, size = batch[kernels.reads]
                    row[INTS], row[COUNTS] = start + first * size, counts + first * L
                row[AUX] = arena.take(kernels.scratch(layer, (last - first) * of_example))
            x, dx = y, dy
        operations.append(Operation(layer, in_shape, out_shape, slots, rows))
        in_shape, place = out_shape, place + stands_for
    return Plan(shape, parts, layout, operations, arena.size, ints.size, gradients)


class _Memory:
    """A length that grows as pieces of it are taken, each from a multiple of `align` on."""

    def __init__(self, align: int):
        self.size, self.align = 0, align

    def take(self, n: int) -> int:
        start = self.size
        self.size += -(-n // self.align) * self.align
        return start


def _codes(kind: type[Layer], kernels: Kernels, training: bool) -> list[tuple[int, int]]:
    """The places of a layer's forward and backward kernels in the kernel table, for each of its rows in the plan."""
    first = N_KERNELS * list(LAYERS).index(kind)
    forward, backward, inference, before_forward, before_backward = range(first, first + N_KERNELS)
    if kernels.inference is not None and not training:
        return [(inference, backward)]
    return [(before_forward, backward), (forward, before_backward)] if kernels.before else [(forward, backward)]


def kernels_in_order() -> list:
    """The kernels by their place in the kernel table; None where there is none."""
    return [
        kernel
        for row in LAYERS.values()
        for kernel in (row.forward, row.backward, row.inference, *(row.before or (None, None)))
    ]
