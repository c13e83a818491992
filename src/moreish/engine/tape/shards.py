"""The parts that a large batch is walked in: what threads share out among themselves.

How many parts there are follows from the model and the batch alone. Each is walked in its own memory, and gradients are
summed over the parts in their order: how many threads there are changes no bit of any result.
"""

from collections.abc import Sequence

from numba.extending import register_jitable

from ...layers import Layer
from .fuse import fused

GRAIN = 16  # examples, or weights: whole vectors and cache lines belong to one thread
EXAMPLES = 64  # that each of several parts has at least
COST = 1.2e6  # of one more part, as floating-point operations of a forward pass


@register_jitable
def share(n, grain, place, places):
    """The first and one past the last of the numbers 0 ... n - 1 that belong to a place, in pieces of `grain`."""
    pieces = (n + grain - 1) // grain
    first, last = pieces * place // places, pieces * (place + 1) // places
    return min(n, first * grain), min(n, last * grain)


@register_jitable
def part_of(B, parts, part):
    """The first and one past the last example of a part of a batch."""
    return share(B, GRAIN, part, parts)


def parts_of(layers: Sequence[Layer], B: int, T: int) -> int:
    """How many parts batches of B contexts of T tokens are walked in, when layers are trained on them.

    Those that would take least time with a thread for each, of those that have the fused kernels of the whole batch:
    else many threads would gain by what costs one thread much.
    """

    def kinds(parts: int) -> list[type[Layer]]:
        return [type(layer) for layer, _ in fused(layers, B // parts, T)]

    def time(parts: int) -> float:
        """In floating-point operations."""
        work, shape = 0.0, (T,)
        for layer, _ in fused(layers, B // parts, T):
            work += layer.flops(shape, B // parts)
            shape = layer.out_shape(shape)
        return work + COST * parts

    several = (2, 4, 8, 16)  # as cores are mostly powers of two, or at least even
    return min((1, *(n for n in several if EXAMPLES * n <= B and kinds(n) == kinds(1))), key=time)
