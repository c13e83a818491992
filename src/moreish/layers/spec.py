"""The contract of a layer, and the way a compiled kernel finds its arrays.

A layer is a frozen dataclass of sizes. It names its parameters and the shape of its output. In the same file are
`forward` and `backward` on plain arrays, and two adapters that unpack a row of the plan into those arrays.

All kernels have one signature, `kernel(row, arena, params, grads, ints)`:

row     (WIDTH,) int64   one operation on one shard of the batch: the offsets and sizes named below
arena   float            every activation and its gradient, and scratch
params  float            all parameters, flat
grads   float            this shard's gradients of the trained parameters, in the same layout. A backward pass
                         overwrites its layer's gradients. Elements that it never writes are 0 from the start
ints    int64            the batch: contexts (B, T), targets (B, L), counts (B, L); then integer scratch, and the levels
                         of the rows (see `levels`) for layers that go along words

Several threads share a large batch. It is divided into shards, whose gradients are added at the end. A layer that needs
numbers of the other shards uses shared memory (SHARED, INT_SHARED), where each shard has its own row.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

# The columns of a row. Offsets are places in the array named; a buffer that a layer does not have is at -1.
FORWARD, BACKWARD = 0, 1  # numbers of kernels, in the kernel table
ROWS = 2  # the number of rows of the input (examples, or examples times positions) in this shard
X, DX, Y, DY = 3, 4, 5, 6  # arena: input, its gradient, output, its gradient
INTS = 7  # ints: the contexts or the targets, for a layer that reads them
COUNTS = 8  # ints: the weight of each target, for a layer that reads targets
SHARD, SHARDS = 9, 10  # the index of this shard, and the number of shards
FIRST = 11  # the first of the shards of the same thread, which runs them one after another
BARRIER = 12  # 1 where all threads wait for each other, before the forward pass and after the backward pass
INT_SHARED = 13  # ints: scratch that all shards see, (SHARDS, n)
LEVELS = 14  # ints: the levels of this shard's rows, for a layer that reads them
# arena: the states that the rows of the first level continue, (rows, n) each, with n as in `state`
STATES = range(15, 17)
MEMORY = 17  # arena: the inputs of the rows of levels before, for a layer that looks back at them
PARAMETERS = range(18, 26)  # params and grads: the layer's parameters, in its own order
SIZES = range(26, 34)  # the numbers that the layer's `sizes` returns
AUX = range(34, 44)  # arena: this shard's scratch arrays, of the sizes in `scratch`; they last from forward to backward
SHARED = range(44, 48)  # arena: scratch arrays that all shards see, (SHARDS, n) each, with n as in `shared`
WIDTH = 48

P0, P1, P2, P3, P4, P5, P6, P7 = PARAMETERS
S0, S1, S2, S3, S4, S5, S6, S7 = SIZES
AUX0, AUX1, AUX2, AUX3, AUX4, AUX5, AUX6, AUX7, AUX8, AUX9 = AUX
SHARED0, SHARED1, SHARED2, SHARED3 = SHARED
STATE0, STATE1 = STATES

Shape = tuple[int, ...]
Kernel = Callable[[Any, Any, Any, Any, Any], None]


class Init(Protocol):
    """A distribution that weights are drawn from."""

    def draw(self, shape: Shape, generator: "np.random.Generator") -> np.ndarray: ...


class Parameter(NamedTuple):
    """An array of a layer: its name in the layer, its shape, and the distribution of its initial values.

    A parameter that is not trained has no gradient: the layer's forward pass updates it.
    """

    name: str
    shape: Shape
    init: Init
    trained: bool = True

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


class Layer(Protocol):
    """A layer's sizes. Shapes are for one example: a batch has the dimension B before them."""

    def parameters(self) -> tuple[Parameter, ...]:
        """Its parameters, 8 at most, in the order of columns P0, P1, ..."""
        ...

    def out_shape(self, in_shape: Shape) -> Shape:
        """The shape of the output for an input shape. Raises ValueError for an input that does not fit."""
        ...

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        """The numbers, 8 at most, that the kernels read from columns S0, S1, ..."""
        ...

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        """Floating-point operations of a forward pass over a batch, at most."""
        ...


class SmallSteps(NamedTuple):
    """A layer in the lecture's small steps, to read and check beside its fused kernels.

    forward     (trace, xp, x, *others) -> y, where others are its parameters, or the targets. It passes each
                intermediate tensor through `trace(name, tensor)`; xp is numpy or torch
    backward    (tensors, dy, *others) -> the gradient of each traced tensor by name, in the order of a backward pass
    along       (levels, layer, N) -> the first of the others, for a layer that goes along words: what its N rows see
    """

    forward: Callable[..., Any]
    backward: Callable[..., dict[str, np.ndarray]]
    along: Callable[[Any, Any, int], list[Any]] = lambda levels, layer, n: []


class Saturation(NamedTuple):
    """Outputs at which an activation's gradient almost vanishes.

    where   outputs (...) -> booleans of their shape
    much    the fraction of saturated outputs above which a net learns badly from the start
    """

    where: Callable[[np.ndarray], np.ndarray]
    much: float


@dataclass(frozen=True)
class Kernels:
    """A layer's row in the registry.

    forward, backward   the adapters; None for a layer that only changes the shape of its input
    torch               (module, x) -> y: the forward pass in PyTorch, which autograd differentiates. The module has
                        the layer as `layer` and its parameters by their names. A layer that goes along words takes the
                        levels of the rows as a third argument. None for the loss and fused layers
    example             a layer for the common tests: for 4 positions of 12 numbers, or 4 of 7 tokens; None for a loss
                        that needs a guide
    inference           the adapter of the forward pass outside training, if it differs
    reads               the part of the batch that the layer reads: "contexts", "targets" or None
    before              the adapters of a first forward and a first backward kernel, after which all threads wait for
                        each other, for a layer whose shards need each other's numbers
    scratch             (layer, in_shape, rows) -> the floats in each of one shard's scratch arrays AUX0, AUX1, ...
    shared              layer -> the floats for each shard in the arrays SHARED0, SHARED1, ...
    int_shared          the integers for each shard in the array INT_SHARED
    pays                (layer, rows) -> True if a fused layer is faster than the layers that it stands for
    steps               the layer in small steps
    batch_statistics    True if training mixes the examples of a batch
    levels              True if the layer reads the levels of the rows
    state               layer -> the numbers of the states that a word carries from one character to the next: n of
                        STATE0, ... The states after a row are its output and, if there are two, in AUX0
    looks_back          True if a row depends on all rows before it in its word. Where levels are computed one by one,
                        the inputs of these are in MEMORY
    training_only       True for a layer that changes nothing outside training
    guide               layer -> (D, n): the prefixes for which it reads n numbers each. Their keys (D,) are the last of
                        ints, and the numbers (D, n) the last of arena: see `engine.guide`
    saturation          of an activation: the outputs at which its gradient vanishes
    """

    forward: Kernel | None
    backward: Kernel | None
    torch: Callable[..., Any] | None
    example: Any
    inference: Kernel | None = None
    reads: str | None = None
    before: tuple[Kernel, Kernel] | None = None
    scratch: Callable[[Any, Shape, int], Sequence[int]] = lambda layer, in_shape, rows: ()
    shared: Callable[[Any], Sequence[int]] = lambda layer: ()
    int_shared: int = 0
    pays: Callable[[Any, int], bool] = lambda layer, rows: True
    steps: SmallSteps | None = None
    batch_statistics: bool = False
    saturation: Saturation | None = None
    levels: bool = False
    state: Callable[[Any], Sequence[int]] = lambda layer: ()
    looks_back: bool = False
    training_only: bool = False
    guide: Callable[[Any], tuple[int, int]] = lambda layer: (0, 0)
