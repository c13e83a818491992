"""CausalSelfAttention: for each row, a weighted mean of the values of the row and of all rows before it in its word.

Vaswani et al. 2017, section 3.2. The input is three vectors for each row, side by side, from a Linear before it: a
query q, a key k and a value v. The query of row n and the key of row m, which is n or a row before it in its word, give
a score and a weight:

    s[m] = q[n] . k[m] / sqrt(C)        C numbers in a query
    a[m] = exp(s[m]) / sum over l of exp(s[l])
    y[n] = sum over m of a[m] v[m]

Rows after n have no weight, because the model predicts them. The vectors are divided into heads, each with weights of
its own, and these formulas are those of one head. Without the root, the variance of a score would be C.

y[n] depends on v directly, and on q and k through the weights. With da[m] = dy[n] . v[m], the Jacobian of a softmax is
da[m] / ds[l] = a[m] ((m = l) - a[l]), so

    ds[m] = a[m] (da[m] - sum over l of a[l] da[l])
          = a[m] (da[m] - dy[n] . y[n])                 as the sum of a[l] v[l] is y[n]

    dq[n]  = sum over m of ds[m] k[m] / sqrt(C)
    dk[m] += ds[m] q[n] / sqrt(C)                       from every row n that looks back at m
    dv[m] += a[m] dy[n]

The forward pass visits the rows of a word once. It subtracts the largest score so far, and scales the sums down when a
larger one comes (Milakov and Gimelshein 2018). It keeps log sum exp(s) of each row, from which the backward pass
computes the weights again. So the memory does not grow with the square of a word's length.

Dropout sets weights to zero and scales the others up, after the softmax. Its factors multiply a[m] in y and in dv, and
da[m]; dy[n] . y[n] is still the sum of a[l] da[l].
"""

# pyright: reportMissingParameterType=false

import math
from dataclasses import dataclass
from math import prod

import numpy as np

from .attention_steps import STEPS
from .dropout import chances
from .levels import REMEMBERED, USUAL_LENGTH, layer_key, levels_of, weight_factor, with_remembered
from .maths import exp, kernel
from .spec import AUX0, AUX1, DX, DY, LEVELS, ROWS, S0, S1, S2, S3, Kernels, Parameter, Shape, X, Y
from .views import block, matrix

LOG_SUM, OF_HEADS = AUX0, AUX1


@dataclass(frozen=True)
class CausalSelfAttention:
    """Attention of `n_head` heads: queries, keys and values of `n_embd` numbers, (..., 3 n_embd), become (..., n_embd).

    dropout     probability of dropping a weight in training
    salt        a number that no other dropout of the model has
    """

    n_embd: int
    n_head: int
    dropout: float = 0.0
    salt: int = 0

    def parameters(self) -> tuple[Parameter, ...]:
        return ()

    def out_shape(self, in_shape: Shape) -> Shape:
        if in_shape[-1] != 3 * self.n_embd:
            raise ValueError(
                f"CausalSelfAttention takes {3 * self.n_embd} numbers, and the layer before it gives {in_shape[-1]}"
            )
        if self.n_embd % self.n_head:
            raise ValueError(f"{self.n_embd} numbers cannot be divided into {self.n_head} heads")
        return (*in_shape[:-1], self.n_embd)

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (self.n_embd, self.n_head, chances(self.dropout), self.salt)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return batch_size * prod(in_shape[:-1]) * 4 * self.n_embd * USUAL_LENGTH


@kernel
def dot_product(a, b):
    """The dot product of two vectors (C,)."""
    total = a.dtype.type(0)
    for c in range(a.size):
        total += a[c] * b[c]
    return total


@kernel
def add_scaled(factor, a, total):
    """Add factor a (C,) to total (C,)."""
    for c in range(total.size):
        total[c] += factor * a[c]


@kernel
def forward(levels, x, key, dropped, of_heads, log_sum, y):
    """x (M, 3E), all rows; the last N of them -> y (N, E), and log_sum (N, heads) for the backward pass.

    of_heads (4, heads) is scratch.
    """
    (N, heads), E = log_sum.shape, y.shape[1]
    C, first = E // heads, levels.head[REMEMBERED]
    scale = y.dtype.type(1 / math.sqrt(C))
    weight, shrink, largest, total = of_heads[0], of_heads[1], of_heads[2], of_heads[3]
    y.fill(0)
    for n in range(N):
        largest.fill(-np.inf)
        total.fill(0)
        m, distance = first + n, 0
        while m >= 0:
            for head in range(heads):
                weight[head] = scale * dot_product(block(x, first + n, head, C), block(x, m, heads + head, C))
            for head in range(heads):
                larger = max(largest[head], weight[head])
                shrink[head] = exp(largest[head] - larger)
                weight[head] = exp(weight[head] - larger)
                largest[head] = larger
                total[head] = total[head] * shrink[head] + weight[head]
            for head in range(heads):
                a = weight[head] * weight_factor(levels, key, n, distance * heads + head, dropped, x)
                v, out = block(x, m, 2 * heads + head, C), block(y, n, head, C)
                for c in range(C):
                    out[c] = out[c] * shrink[head] + a * v[c]
            m, distance = levels.before[m], distance + 1
        for head in range(heads):
            out = block(y, n, head, C)
            for c in range(C):
                out[c] /= total[head]
            log_sum[n, head] = largest[head] + math.log(total[head])


@kernel
def backward(levels, x, key, dropped, of_heads, log_sum, y, dy, dx):
    """x (N, 3E), log_sum (N, heads), y, dy (N, E) -> dx (N, 3E). of_heads (4, heads) is scratch."""
    (N, heads), E = log_sum.shape, y.shape[1]
    C = E // heads
    scale = y.dtype.type(1 / math.sqrt(C))
    mean, a, da, ds = of_heads[0], of_heads[1], of_heads[2], of_heads[3]
    dx.fill(0)
    for n in range(N):
        for head in range(heads):
            mean[head] = dot_product(block(dy, n, head, C), block(y, n, head, C))
        m, distance = np.int64(n), 0
        while m >= 0:
            for head in range(heads):
                a[head] = scale * dot_product(block(x, n, head, C), block(x, m, heads + head, C))
                da[head] = dot_product(block(dy, n, head, C), block(x, m, 2 * heads + head, C))
            for head in range(heads):
                factor = weight_factor(levels, key, n, distance * heads + head, dropped, x)
                a[head] = exp(a[head] - log_sum[n, head])
                # a = softmax(s), and y[n] = sum over m of factor a[m] v[m]
                ds[head] = scale * a[head] * (factor * da[head] - mean[head])
                a[head] *= factor
            for head in range(heads):
                q, k, out = block(x, n, head, C), block(x, m, heads + head, C), block(dy, n, head, C)
                dq, dk, dv = block(dx, n, head, C), block(dx, m, heads + head, C), block(dx, m, 2 * heads + head, C)
                # s[m] = q[n] . k[m] / sqrt(C)
                add_scaled(a[head], out, dv)
                add_scaled(ds[head], k, dq)
                add_scaled(ds[head], q, dk)
            m, distance = levels.before[m], distance + 1


def forward_op(row, arena, params, grads, ints):
    N, E, heads, levels = row[ROWS], row[S0], row[S1], levels_of(ints, row[LEVELS])
    forward(
        levels,
        with_remembered(row, arena, levels, 3 * E),
        layer_key(levels, row[S3]),
        row[S2],
        matrix(arena, row[OF_HEADS], 4, heads),
        matrix(arena, row[LOG_SUM], N, heads),
        matrix(arena, row[Y], N, E),
    )


def backward_op(row, arena, params, grads, ints):
    N, E, heads, levels = row[ROWS], row[S0], row[S1], levels_of(ints, row[LEVELS])
    backward(
        levels,
        matrix(arena, row[X], N, 3 * E),
        layer_key(levels, row[S3]),
        row[S2],
        matrix(arena, row[OF_HEADS], 4, heads),
        matrix(arena, row[LOG_SUM], N, heads),
        matrix(arena, row[Y], N, E),
        matrix(arena, row[DY], N, E),
        matrix(arena, row[DX], N, 3 * E),
    )


def scratch(layer: CausalSelfAttention, in_shape: Shape, rows: int) -> tuple[int, ...]:
    return (rows * layer.n_head, 4 * layer.n_head)


def torch_forward(module, x, levels):
    import torch

    y = STEPS.forward(lambda name, tensor: tensor, torch, x.flatten(0, -2), levels.attended(module.layer, x))
    return y.view(*x.shape[:-1], -1)


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=torch_forward,
    example=CausalSelfAttention(4, 2),
    scratch=scratch,
    steps=STEPS,
    levels=True,
    looks_back=True,
)
