"""FlattenConsecutive: joins groups of neighbouring positions into longer vectors.

    x (B, T, C) -> y (B, T / n, C n),     y[b, i] = x[b, i n], x[b, i n + 1], ..., x[b, i n + n - 1] concatenated

In row-major memory these are the same numbers with another shape, so neither pass copies anything: y is x, and dy is
dx. With n = T all positions become one, (B, T, C) -> (B, T C): the concatenation of an MLP. With n = 2 pairs are
joined, as in the tree of a WaveNet (van den Oord et al. 2016, figure 3).
"""

from dataclasses import dataclass
from typing import Any

from .spec import Kernels, Parameter, Shape


@dataclass(frozen=True)
class FlattenConsecutive:
    """Joins `n` neighbouring positions: (T, C) becomes (T / n, C n), or (C n,) where T = n."""

    n: int

    def parameters(self) -> tuple[Parameter, ...]:
        return ()

    def out_shape(self, in_shape: Shape) -> Shape:
        T, C = in_shape
        if T % self.n:
            raise ValueError(f"FlattenConsecutive({self.n}) cannot group {T} positions")
        return (T // self.n, C * self.n) if self.n < T else (C * self.n,)

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return ()

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return 0


def torch_forward(module: Any, x: Any) -> Any:
    return x.reshape(len(x), *module.layer.out_shape(tuple(x.shape[1:])))


KERNELS = Kernels(forward=None, backward=None, torch=torch_forward, example=FlattenConsecutive(2))
