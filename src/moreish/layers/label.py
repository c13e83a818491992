"""LabelledEmbedding: an Embedding that also shows every position the label of its word.

    y[b, t] = C[token[b, t]] + D[label[b]]

Each row of C and of D is added to the places that use it, so its gradient is the sum of the gradients there:

    dC[v] = sum over b, t with token[b, t] = v of dy[b, t]          dD[l] = sum over b with label[b] = l, and all t

Given a label, the layer is an Embedding: `given` adds the label's row to every row of C.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass

import numpy as np

from .init import Normal
from .maths import index, kernel
from .spec import DY, INTS, P0, P1, ROWS, S0, S1, S2, S3, Init, Kernels, Parameter, Shape, Y
from .views import matrix


@dataclass(frozen=True)
class LabelledEmbedding:
    """A table of `n_vocab` rows for tokens and one of `n_labels` rows for labels, of `n_embd` numbers each.

    T tokens and after them the label of their word, (T + 1,), become (T, n_embd).
    """

    n_vocab: int
    n_labels: int
    n_embd: int
    init: Init = Normal(1.0)
    label_init: Init = Normal(1.0)

    def parameters(self) -> tuple[Parameter, ...]:
        C = Parameter("C", (self.n_vocab, self.n_embd), self.init)
        return (C, Parameter("D", (self.n_labels, self.n_embd), self.label_init))

    def out_shape(self, in_shape: Shape) -> Shape:
        return (in_shape[0] - 1, self.n_embd)

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (self.n_vocab, self.n_labels, self.n_embd, in_shape[0] - 1)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return batch_size * (in_shape[0] - 1) * self.n_embd


def given(weights: dict[str, np.ndarray], label: int) -> dict[str, np.ndarray]:
    """Turn the weights of a net with a LabelledEmbedding, by name, into those of the same net with an Embedding."""
    found = {}
    for name, weight in weights.items():
        index, kind, parameter = name.rsplit(".", 2)
        if kind != LabelledEmbedding.__name__.lower():
            found[name] = weight
        elif parameter == "C":
            found[f"{index}.embedding.C"] = weight + weights[f"{index}.{kind}.D"][label]
    return found


def n_labels(weights: dict[str, np.ndarray]) -> int:
    """Return the number of labels of a net, from its weights by name; 0 if it has none."""
    return next((len(w) for name, w in weights.items() if name.endswith(".labelledembedding.D")), 0)


@kernel
def forward(tokens, C, D, y):
    """tokens (B, T + 1), C (V, E), D (L, E) -> y (B T, E)."""
    T = tokens.shape[1] - 1
    for b in range(tokens.shape[0]):
        label = index(tokens[b, T])
        for t in range(T):
            n, v = index(b * T + t), index(tokens[b, t])
            for e in range(C.shape[1]):
                y[n, e] = C[v, e] + D[label, e]


@kernel
def backward(tokens, dy, dC, dD):
    """tokens (B, T + 1), dy (B T, E) -> dC (V, E), dD (L, E)."""
    T = tokens.shape[1] - 1
    dC.fill(0)
    dD.fill(0)
    for b in range(tokens.shape[0]):
        label = index(tokens[b, T])
        for t in range(T):
            n, v = index(b * T + t), index(tokens[b, t])
            # y[n, e] = C[v, e] + D[label, e]
            for e in range(dC.shape[1]):
                dC[v, e] += dy[n, e]
                dD[label, e] += dy[n, e]


def forward_op(row, arena, params, grads, ints):
    N, V, L, E, T = row[ROWS], row[S0], row[S1], row[S2], row[S3]
    forward(
        matrix(ints, row[INTS], N // T, T + 1),
        matrix(params, row[P0], V, E),
        matrix(params, row[P1], L, E),
        matrix(arena, row[Y], N, E),
    )


def backward_op(row, arena, params, grads, ints):
    N, V, L, E, T = row[ROWS], row[S0], row[S1], row[S2], row[S3]
    backward(
        matrix(ints, row[INTS], N // T, T + 1),
        matrix(arena, row[DY], N, E),
        matrix(grads, row[P0], V, E),
        matrix(grads, row[P1], L, E),
    )


def torch_forward(module, x):
    from torch.nn.functional import embedding

    return embedding(x[:, :-1], module.C) + embedding(x[:, -1:], module.D)


KERNELS = Kernels(forward_op, backward_op, torch=torch_forward, example=LabelledEmbedding(7, 7, 3), reads="contexts")
