"""Unfold: joins each position with the one `dilation` places before it. Then a Linear makes a dilated convolution.

    x (B, T, C) -> y (B, T - d, 2 C),     y[b, t] = x[b, t], x[b, t + d] concatenated

A causal convolution of two taps (van den Oord et al. 2016, section 2.1) computes x[t - d] W_0 + x[t] W_1 + b at every
position t that has both. That is one row of y times W_0 stacked on W_1: this layer and then a Linear. Every position is
computed once, however many characters it helps to predict. The tree of FlattenConsecutive keeps every second pair of
one context; this layer keeps all pairs. With dilations 1, 2, 4, ... the last position is the top of the tree.

x[b, t] is copied to the left half of y[b, t] and to the right half of y[b, t - d], if these exist, so

    dx[b, t] = dy[b, t][:C] + dy[b, t - d][C:]
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass

from .maths import kernel
from .spec import DX, DY, ROWS, S0, S1, S2, Kernels, Parameter, Shape, X, Y
from .views import matrix


@dataclass(frozen=True)
class Unfold:
    """Joins positions that are `dilation` places apart: (T, C) becomes (T - dilation, 2 C)."""

    dilation: int

    def parameters(self) -> tuple[Parameter, ...]:
        return ()

    def out_shape(self, in_shape: Shape) -> Shape:
        T, C = in_shape
        if self.dilation >= T:
            raise ValueError(f"Unfold({self.dilation}) needs more than {T} positions")
        return (T - self.dilation, 2 * C)

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (*in_shape, self.dilation)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return 0


@kernel
def forward(x, T, d, y):
    """x (B T, C) -> y (B (T - d), 2 C)."""
    C = x.shape[1]
    for b in range(x.shape[0] // T):
        for t in range(T - d):
            n, m = b * (T - d) + t, b * T + t
            for c in range(C):
                y[n, c] = x[m, c]
            for c in range(C):
                y[n, C + c] = x[m + d, c]


@kernel
def backward(dy, T, d, dx):
    """dy (B (T - d), 2 C) -> dx (B T, C)."""
    C = dx.shape[1]
    dx.fill(0)
    for b in range(dx.shape[0] // T):
        for t in range(T - d):
            n, m = b * (T - d) + t, b * T + t
            # y[n] = x[m], x[m + d]
            for c in range(C):
                dx[m, c] += dy[n, c]
            for c in range(C):
                dx[m + d, c] += dy[n, C + c]


def forward_op(row, arena, params, grads, ints):
    N, T, C, d = row[ROWS], row[S0], row[S1], row[S2]
    forward(matrix(arena, row[X], N, C), T, d, matrix(arena, row[Y], N // T * (T - d), 2 * C))


def backward_op(row, arena, params, grads, ints):
    N, T, C, d = row[ROWS], row[S0], row[S1], row[S2]
    backward(matrix(arena, row[DY], N // T * (T - d), 2 * C), T, d, matrix(arena, row[DX], N, C))


def torch_forward(module, x):
    from torch import cat

    d = module.layer.dilation
    return cat([x[:, :-d], x[:, d:]], -1)


KERNELS = Kernels(forward_op, backward_op, torch=torch_forward, example=Unfold(2))
