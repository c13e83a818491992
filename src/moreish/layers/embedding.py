"""Embedding: looks up a row of a table for each token (Bengio et al. 2003, section 2).

    y[n] = C[token[n]]

It equals a one-hot vector times C. Row v of C is copied to every place n where token[n] = v, so by the chain rule its
gradient is the sum of the gradients at these places:

    dC[v] = sum over n with token[n] = v of dy[n]
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass

from .init import Normal
from .maths import index, kernel
from .spec import DY, INTS, P0, ROWS, S0, S1, Init, Kernels, Parameter, Shape, Y
from .views import matrix, vector


@dataclass(frozen=True)
class Embedding:
    """A table of `n_vocab` rows of `n_embd` numbers; tokens (...,) become (..., n_embd)."""

    n_vocab: int
    n_embd: int
    init: Init = Normal(1.0)

    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("C", (self.n_vocab, self.n_embd), self.init),)

    def out_shape(self, in_shape: Shape) -> Shape:
        return (*in_shape, self.n_embd)

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (self.n_vocab, self.n_embd)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return 0


@kernel
def forward(tokens, C, y):
    """tokens (N,), C (V, E) -> y (N, E)."""
    for n in range(tokens.size):
        v = index(tokens[n])
        for e in range(C.shape[1]):
            y[n, e] = C[v, e]


@kernel
def backward(tokens, dy, dC):
    """tokens (N,), dy (N, E) -> dC (V, E)."""
    dC.fill(0)
    for n in range(tokens.size):
        v = index(tokens[n])
        # y[n, e] = C[v, e]
        for e in range(dC.shape[1]):
            dC[v, e] += dy[n, e]


def forward_op(row, arena, params, grads, ints):
    N, V, E = row[ROWS], row[S0], row[S1]
    forward(vector(ints, row[INTS], N), matrix(params, row[P0], V, E), matrix(arena, row[Y], N, E))


def backward_op(row, arena, params, grads, ints):
    N, V, E = row[ROWS], row[S0], row[S1]
    backward(vector(ints, row[INTS], N), matrix(arena, row[DY], N, E), matrix(grads, row[P0], V, E))


def torch_forward(module, x):
    from torch.nn.functional import embedding

    # It equals module.C[x]. The gradient of that would be slow on a GPU: it is summed one occurrence after another.
    return embedding(x, module.C)


KERNELS = Kernels(forward_op, backward_op, torch=torch_forward, example=Embedding(7, 3), reads="contexts")
