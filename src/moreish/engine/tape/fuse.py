"""The choice of fused kernels: which runs of layers are computed as one."""

from collections.abc import Iterator, Sequence
from math import prod

from ...layers import FUSED, LAYERS, Layer, Shape


def fused(layers: Sequence[Layer], B: int, T: int) -> Iterator[tuple[Layer, int]]:
    """Replace runs of layers by their fused form where that is faster, for B contexts of T tokens.

    Yields each layer of the result, and the number of given layers that it stands for.
    """
    in_shape: Shape = (T,)
    i = 0
    while i < len(layers):
        layer, n = layers[i], 1
        for kinds, kind in FUSED.items():
            run = layers[i : i + len(kinds)]
            if tuple(map(type, run)) == kinds:
                whole = kind.of(*run)
                if LAYERS[kind].pays(whole, B * prod(whole.out_shape(in_shape)[:-1])):
                    layer, n = whole, len(kinds)
        yield layer, n
        in_shape = layer.out_shape(in_shape)
        i += n
