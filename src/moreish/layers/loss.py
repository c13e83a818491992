"""Softmax cross-entropy: the negative log-likelihood of each target, in nats.

    p[n, v] = exp(x[n, v]) / sum over u of exp(x[n, u])         nll[n] = -log p[n, target[n]]
    loss = (1 / N) sum over n of nll[n]

The largest logit m of a row is taken off first: exp never overflows, and p does not change. With
nll = log(sum over u of exp(x[u] - m)) - (x[target] - m), the derivative of the logarithm of the sum is the softmax:

    dx[n, v] = (p[n, v] - (1 if v = target[n] else 0)) / N

Pull the target up by what it lacks, push each other one down by what it has: a row of dx sums to zero.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from .maths import exp, kernel
from .spec import AUX, DX, INTS, ROWS, S0, Kernels, Parameter, Shape, X, Y
from .views import matrix, vector


@dataclass(frozen=True)
class SoftmaxCrossEntropy:
    """Logits (..., n_vocab) and targets (...,) become the nll of each target in nats (...,)."""

    n_vocab: int

    def parameters(self) -> tuple[Parameter, ...]:
        return ()

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape[:-1]

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (self.n_vocab,)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return 4 * batch_size * prod(in_shape)


@kernel
def forward(x, targets, p, nll):
    """logits x (N, V), targets (N,) -> probabilities p (N, V), nll (N,) in nats."""
    N, V = x.shape
    for n in range(N):
        m = x[n, 0]
        for v in range(V):
            m = max(m, x[n, v])
        for v in range(V):
            p[n, v] = x[n, v] - m
        nll[n] = -p[n, targets[n]]
    flat = p.reshape(N * V)
    for i in range(N * V):
        flat[i] = exp(flat[i])
    for n in range(N):
        total = p[n, 0] * 0
        for v in range(V):
            total += p[n, v]
        nll[n] += np.log(total)
        for v in range(V):
            p[n, v] /= total


@kernel
def backward(p, targets, dx):
    """probabilities p (N, V), targets (N,) -> dx (N, V), of the mean nll."""
    N, V = p.shape
    scale = p.dtype.type(1 / N)
    for n in range(N):
        # nll[n] = log(sum of exp(x[n] - m)) - (x[n, target] - m)
        for v in range(V):
            dx[n, v] = p[n, v] * scale
        dx[n, targets[n]] -= scale


def forward_op(row, arena, params, grads, ints):
    N, V = row[ROWS], row[S0]
    forward(
        matrix(arena, row[X], N, V), vector(ints, row[INTS], N), matrix(arena, row[AUX], N, V), vector(arena, row[Y], N)
    )


def backward_op(row, arena, params, grads, ints):
    N, V = row[ROWS], row[S0]
    backward(matrix(arena, row[AUX], N, V), vector(ints, row[INTS], N), matrix(arena, row[DX], N, V))


KERNELS = Kernels(forward_op, backward_op, reads="targets", scratch=lambda layer, rows: (rows * layer.n_vocab, 0))


def stepwise(x, targets):
    """The loss in the lecture's small steps, in NumPy: {name: (tensor, its gradient)}, in the backward pass's order.

    Logits x (N, V), targets (N,). The fused `backward` above is what these come to when they are multiplied out.
    """
    N = len(x)
    rows = np.arange(N)
    shifted = x - x.max(axis=1, keepdims=True)
    counts = np.exp(shifted)
    counts_sum = counts.sum(axis=1, keepdims=True)
    probs = counts / counts_sum
    logprobs = np.log(probs)
    # loss = -mean of logprobs[rows, targets]
    dlogprobs = np.zeros_like(x)
    dlogprobs[rows, targets] = -1 / N
    # logprobs = log(probs)
    dprobs = dlogprobs / probs
    # probs = counts / counts_sum: counts_sum is shared by a row, so its gradient is summed over the row
    dcounts_sum = -(dprobs * counts).sum(axis=1, keepdims=True) / counts_sum**2
    # counts reaches the loss on two ways: through probs, and through counts_sum
    dcounts = dprobs / counts_sum + dcounts_sum
    # counts = exp(shifted)
    dshifted = dcounts * counts
    return {
        "logprobs": (logprobs, dlogprobs),
        "probs": (probs, dprobs),
        "counts_sum": (counts_sum, dcounts_sum),
        "counts": (counts, dcounts),
        "shifted": (shifted, dshifted),
    }


def stepwise_losses(tensors, targets):
    """The mean nll as a function of each tensor of `stepwise` as it then is: {name: function}."""
    rows = np.arange(len(targets))
    shifted, counts, counts_sum, probs, logprobs = (
        tensors[name][0] for name in ("shifted", "counts", "counts_sum", "probs", "logprobs")
    )

    def loss(p):
        return float(-np.log(p[rows, targets]).mean())

    return {
        "shifted": lambda: loss(np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)),
        "counts": lambda: loss(counts / counts.sum(axis=1, keepdims=True)),
        "counts_sum": lambda: loss(counts / counts_sum),
        "probs": lambda: loss(probs),
        "logprobs": lambda: float(-logprobs[rows, targets].mean()),
    }
