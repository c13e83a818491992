"""What a layer is, and how a compiled kernel finds its arrays.

A layer is a frozen dataclass of sizes. It names its parameters and the shape of its output; beside it in the same
file stand `forward` and `backward` on plain arrays, and two adapters that unpack a row of the plan into those arrays.

All kernels share one signature, `kernel(row, arena, params, grads, ints)`:

row     (WIDTH,) int64   one operation on one part of the batch: the offsets and sizes named below
arena   float            every activation and its gradient
params  float            all parameters, flat
grads   float            gradients of those that are trained, the same layout, from this part of the batch; a backward
                         pass overwrites its own place, but for what its part never adds to: that is 0 from the start
ints    int64            the batch: contexts (B, T), targets (B, L), counts (B, L); then integer scratch

A large batch is walked in parts, by several threads, and their gradients are added up. Where a layer needs to know of
the other parts, every part leaves numbers in memory that all see (SHARED, INT_SHARED), one row for each part.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

# The columns of a row. Offsets point into the array named; a layer without such a buffer leaves -1.
FORWARD, BACKWARD = 0, 1  # indices into the kernel table
ROWS = 2  # how many rows (examples, or examples times positions) the kernel works on
X, DX, Y, DY = 3, 4, 5, 6  # arena: input, its gradient, output, its gradient
AUX = 7  # arena: float scratch, kept from forward to backward
INTS = 8  # ints: what this layer reads of the batch, contexts or targets
COUNTS = 9  # ints: how often each target counts, for a layer that reads targets
P0, P1, P2, P3 = 10, 11, 12, 13  # params and grads: parameters in the order in which the layer names them
S0, S1, S2, S3 = 14, 15, 16, 17  # sizes, as the layer's `sizes` gives them
PART, PARTS = 18, 19  # which part of the batch this is, of how many
FIRST = 20  # the first of the parts that the same thread walks, one after another
SHARED, INT_SHARED = 21, 22  # arena, ints: scratch that all parts see, or those of one thread
MEET = 23  # 1 where all threads meet, before its forward and after its backward pass
WIDTH = 24

Shape = tuple[int, ...]


class Init(Protocol):
    """A distribution that weights are drawn from."""

    def draw(self, shape: Shape, generator: np.random.Generator) -> np.ndarray: ...


class Parameter(NamedTuple):
    """An array that a layer keeps: its name in the layer, its shape, and how it starts.

    One that is not trained has no gradient: the layer's own forward pass keeps it up to date.
    """

    name: str
    shape: Shape
    init: Init
    trained: bool = True

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))


class Layer(Protocol):
    """A layer's sizes. Shapes are those of one example: a batch adds the dimension B before them."""

    def parameters(self) -> tuple[Parameter, ...]:
        """The arrays that it keeps, in the order in which the kernels expect them (P0, P1, P2, P3)."""
        ...

    def out_shape(self, in_shape: Shape) -> Shape:
        """The output's shape for an input's shape."""
        ...

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        """The sizes that the kernels read from S0, S1, S2, S3."""
        ...

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        """Floating-point operations of a forward pass over a batch, at most."""
        ...


class SmallSteps(NamedTuple):
    """A layer in the lecture's small steps, to be read and checked beside its fused kernels.

    forward     (trace, xp, x, *others) -> y, where others are its parameters, or the targets. It passes each tensor on
                its way through `trace(name, tensor)`; xp is numpy or torch
    backward    (tensors, dy, *others) -> the gradient of each traced tensor by name, in the order of a backward pass
    """

    forward: Callable[..., Any]
    backward: Callable[..., dict[str, np.ndarray]]


class Saturation(NamedTuple):
    """When an activation has all but stopped to answer to its input.

    where   outputs (...) -> booleans of their shape
    much    the share of them above which a net that starts so learns badly
    """

    where: Callable[[np.ndarray], np.ndarray]
    much: float


@dataclass(frozen=True)
class Kernels:
    """A layer's row in the registry.

    forward, backward   the adapters; None for a layer that only renames the shape of its input
    torch               (module, x) -> y: the forward pass in PyTorch, whose autograd derives the rest. The module has
                        the layer as `layer` and its parameters under their names. None for the loss and fused kinds
    example             one for the common tests: from (4, 6) numbers, or from 4 of 7 tokens
    inference           the adapter of a forward pass outside training, where it is another one
    reads               what the layer takes from the batch: "contexts", "targets" or nothing
    before              the adapters of what every part of a batch does before any goes forward, and before any goes
                        backward, of a layer whose parts need each other
    scratch             (layer, rows) -> floats of scratch, for one part of a batch
    shared              layer -> floats and ints for each part, in memory that all parts see
    pays                (layer, rows) -> whether a fused kind is faster than what it stands for
    steps               the layer in small steps
    batch_statistics    whether its training mixes the examples of a batch
    saturation  of an activation: when its gradient vanishes
    """

    forward: Callable | None
    backward: Callable | None
    torch: Callable[..., Any] | None
    example: Any
    inference: Callable | None = None
    reads: str | None = None
    before: tuple[Callable, Callable] | None = None
    scratch: Callable[..., int] = lambda layer, rows: 0
    shared: Callable[..., tuple[int, int]] = lambda layer: (0, 0)
    pays: Callable[..., bool] = lambda layer, rows: True
    steps: SmallSteps | None = None
    batch_statistics: bool = False
    saturation: Saturation | None = None
