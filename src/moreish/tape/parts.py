"""The parts that a large batch is walked in: what threads share out among themselves.

How many parts there are follows from the model and the batch alone. Each is walked in its own memory, and gradients are
summed over the parts in their order: how many threads there are changes no bit of any result.
"""

import math
from collections.abc import Sequence

from numba.extending import register_jitable

from ..layers import Layer

GRAIN = 16  # examples, or weights: whole vectors and cache lines belong to one thread
MOST = 16
EXAMPLES = 64  # that a part has at least
# What one more part costs, as floating-point operations of a forward pass. With a thread for each of p parts a batch
# takes work / p + COST p, which is least at the square root of work / COST.
COST = 1.2e6


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
    """How many parts batches of B contexts of T tokens are walked in, when layers are trained on them."""
    work, shape = 0.0, (T,)
    for layer in layers:
        work += layer.flops(shape, B)
        shape = layer.out_shape(shape)
    best = max(1, min((work / COST) ** 0.5, B / EXAMPLES, MOST))
    return 1 << int(math.log2(best))  # as cores are mostly powers of two, or at least even
