"""PositionalEmbedding: adds to each row a vector for its place in the word, which is learnt.

    y[n] = x[n] + P[t],     t the number of characters before row n in its word

Attention and averages ignore the order of rows, and these vectors show it to them (Vaswani et al. 2017, section 3.5).
The rows of a word beyond the table have its last vector. The vectors begin at zero, so that a place that occurs in no
train word changes nothing. P[t] is added at every row with place t, so

    dP[t] = sum over n at t of dy[n]        dx = dy
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from math import prod

from .init import Constant
from .levels import DEPTH, N_LEVELS, STRIDE, levels_of
from .maths import kernel
from .spec import DX, DY, LEVELS, P0, ROWS, S0, S1, Init, Kernels, Parameter, Shape, X, Y
from .views import matrix


@dataclass(frozen=True)
class PositionalEmbedding:
    """A table of `n_positions` vectors of `n_embd` numbers, added to the rows: the shape stays."""

    n_positions: int
    n_embd: int
    init: Init = Constant(0.0)

    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("P", (self.n_positions, self.n_embd), self.init),)

    def out_shape(self, in_shape: Shape) -> Shape:
        if in_shape[-1] != self.n_embd:
            raise ValueError(
                f"PositionalEmbedding takes {self.n_embd} numbers, and the layer before it gives {in_shape[-1]}"
            )
        return in_shape

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (self.n_positions, self.n_embd)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return batch_size * prod(in_shape)


@kernel
def forward(levels, x, P, y):
    """x (N, E), P (T, E) -> y (N, E)."""
    for level in range(levels.head[N_LEVELS]):
        t = min(levels.head[DEPTH] + level, P.shape[0] - 1)
        for i in range(levels.sizes[level]):
            n = levels.begins[level] + i * levels.head[STRIDE]
            for e in range(P.shape[1]):
                y[n, e] = x[n, e] + P[t, e]


@kernel
def backward(levels, dy, dx, dP):
    """dy (N, E) -> dx (N, E), dP (T, E)."""
    dP.fill(0)
    for level in range(levels.head[N_LEVELS]):
        t = min(levels.head[DEPTH] + level, dP.shape[0] - 1)
        for i in range(levels.sizes[level]):
            n = levels.begins[level] + i * levels.head[STRIDE]
            # y[n] = x[n] + P[t]
            for e in range(dP.shape[1]):
                dP[t, e] += dy[n, e]
                dx[n, e] = dy[n, e]


def forward_op(row, arena, params, grads, ints):
    N, T, E = row[ROWS], row[S0], row[S1]
    forward(
        levels_of(ints, row[LEVELS]),
        matrix(arena, row[X], N, E),
        matrix(params, row[P0], T, E),
        matrix(arena, row[Y], N, E),
    )


def backward_op(row, arena, params, grads, ints):
    N, T, E = row[ROWS], row[S0], row[S1]
    backward(
        levels_of(ints, row[LEVELS]),
        matrix(arena, row[DY], N, E),
        matrix(arena, row[DX], N, E),
        matrix(grads, row[P0], T, E),
    )


def torch_forward(module, x, levels):
    from torch.nn.functional import embedding

    # Indexing would be slow on a GPU: see layers.embedding.
    places = levels.positions(x).clamp(max=module.layer.n_positions - 1)
    return x + embedding(places, module.P).view(x.shape)


KERNELS = Kernels(
    forward_op, backward_op, torch=torch_forward, example=PositionalEmbedding(3, 12), levels=True, looks_back=True
)
