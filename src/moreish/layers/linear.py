"""Linear: an affine map of each row.

    y = x W + b          y[n, m] = sum over k of x[n, k] W[k, m] + b[m]

Each element of W, x and b reaches the loss through every y that has it as a term:

    dW[k, m] = sum over n of x[n, k] dy[n, m]      dW = x^T dy
    dx[n, k] = sum over m of dy[n, m] W[k, m]      dx = dy W^T
    db[m]    = sum over n of dy[n, m]

The shapes allow no other choice: dW has W's shape (K, M), and x^T dy is the only product of x (N, K) and dy (N, M)
with this shape. Before a BatchNorm there is no b (`bias=None`), as subtracting the mean removes any constant.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from math import prod

from .init import Constant, Normal
from .maths import kernel
from .matmul import affine, dot
from .spec import DX, DY, P0, P1, ROWS, S0, S1, Init, Kernels, Parameter, Shape, X, Y
from .views import matrix, vector


@dataclass(frozen=True)
class Linear:
    """An affine map from `n_in` to `n_out` numbers: (..., n_in) becomes (..., n_out)."""

    n_in: int
    n_out: int
    weight: Init = Normal(1.0)
    bias: Init | None = Constant(0.0)

    def parameters(self) -> tuple[Parameter, ...]:
        W = Parameter("W", (self.n_in, self.n_out), self.weight)
        return (W,) if self.bias is None else (W, Parameter("b", (self.n_out,), self.bias))

    def out_shape(self, in_shape: Shape) -> Shape:
        if in_shape[-1] != self.n_in:
            raise ValueError(f"Linear takes {self.n_in} numbers, and the layer before it gives {in_shape[-1]}")
        return (*in_shape[:-1], self.n_out)

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (self.n_in, self.n_out)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return batch_size * prod(in_shape[:-1]) * (2 * self.n_in * self.n_out + self.n_out)


@kernel
def forward(x, W, b, y):
    """x (N, K), W (K, M), b (M,) -> y (N, M). b may have no elements."""
    if b.size:
        affine(x, W, b, y)
    else:
        dot(x, W, y)


@kernel
def backward(x, W, dy, dx, dW, db):
    """x (N, K), W (K, M), dy (N, M) -> dx (N, K), dW (K, M), db (M,). db may have no elements."""
    # y = x W + b
    dot(x.T, dy, dW)
    dot(dy, W.T, dx)
    if db.size:
        db.fill(0)
        for n in range(dy.shape[0]):
            for m in range(dy.shape[1]):
                db[m] += dy[n, m]


def forward_op(row, arena, params, grads, ints):
    N, K, M = row[ROWS], row[S0], row[S1]
    forward(
        matrix(arena, row[X], N, K),
        matrix(params, row[P0], K, M),
        vector(params, row[P1], M * (row[P1] >= 0)),
        matrix(arena, row[Y], N, M),
    )


def backward_op(row, arena, params, grads, ints):
    N, K, M = row[ROWS], row[S0], row[S1]
    backward(
        matrix(arena, row[X], N, K),
        matrix(params, row[P0], K, M),
        matrix(arena, row[DY], N, M),
        matrix(arena, row[DX], N, K),
        matrix(grads, row[P0], K, M),
        vector(grads, row[P1], M * (row[P1] >= 0)),
    )


def torch_forward(module, x):
    return x @ module.W if module.layer.bias is None else x @ module.W + module.b


KERNELS = Kernels(forward_op, backward_op, torch=torch_forward, example=Linear(12, 5, Normal(0.4)))
