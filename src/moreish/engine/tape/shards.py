"""Shards: the parts of a large batch that threads work on at the same time.

The number of shards depends on the model and the batch alone. Each shard has its own memory, and gradients are summed
over the shards in their order. So results do not depend on the number of threads.
"""

# pyright: reportMissingParameterType=false

from collections.abc import Sequence

from ...layers import LAYERS, Layer, leaves
from ...layers.jit import register_jitable
from .fuse import fused

GRAIN = 16  # examples: a thread owns whole vectors and cache lines
SEVERAL = (2, 4, 8, 16)  # shards: most processors have a power of two, or at least an even number, of cores
MIN_SHARD_EXAMPLES, MIN_SHARD_TOKENS, MIN_RECURRENT_TOKENS = 64, 100, 400
SHARD_FLOPS = 1.2e6  # the cost of one more shard, in floating-point operations of a forward pass


@register_jitable
def bounds(n, grain, index, count):
    """The first and one past the last of the numbers 0 ... n - 1 in slice `index` of `count` nearly equal slices.

    Slices begin at multiples of `grain`.
    """
    grains = (n + grain - 1) // grain
    first, last = grains * index // count, grains * (index + 1) // count
    return min(n, first * grain), min(n, last * grain)


@register_jitable
def shard_bounds(B, shard, shards):
    """The first and one past the last example of a shard of a batch."""
    return bounds(B, GRAIN, shard, shards)


def count_shards(layers: Sequence[Layer], B: int, T: int) -> int:
    """The number of shards for training layers on batches of B contexts of T tokens.

    It is the number that takes the least time with one thread a shard, among those that have the same fused kernels as
    the whole batch. With other kernels, many threads would gain little and one thread would lose much.
    """

    def kinds(shards: int) -> list[type[Layer]]:
        return [type(layer) for layer, _ in fused(layers, B // shards, T)]

    def time(shards: int) -> float:
        """In floating-point operations."""
        work, shape = 0.0, (T,)
        for layer, _ in fused(layers, B // shards, T):
            work += layer.flops(shape, B // shards)
            shape = layer.out_shape(shape)
        return work + SHARD_FLOPS * shards

    return min((1, *(n for n in SEVERAL if MIN_SHARD_EXAMPLES * n <= B and kinds(n) == kinds(1))), key=time)


def count_word_shards(layers: Sequence[Layer], tokens: float, T: int) -> int:
    """The number of shards for training layers that go along words, on batches of about a number of tokens.

    T is the number of columns of their contexts. A shard has fewer rows on each level than the whole batch and shares
    fewer prefixes. If layers go from level to level, it needs more of them than a shard of contexts.
    """
    recurrent = any(LAYERS[type(layer)].state(layer) for _, layer in leaves(layers))
    least = MIN_RECURRENT_TOKENS if recurrent else MIN_SHARD_TOKENS
    shape, work = (T,), 0.0
    for layer in layers:
        work += layer.flops(shape, int(tokens))
        shape = layer.out_shape(shape)
    several = [n for n in SEVERAL if least * n <= tokens]
    return min((1, *several), key=lambda n: work / n + SHARD_FLOPS * n)
