"""Softmax cross-entropy: the negative log-likelihood of each target, in nats.

    p[n, v] = exp(x[n, v]) / sum over u of exp(x[n, u])         nll[n] = -log p[n, target[n]]
    loss = sum over n of share[n] nll[n],     share[n] = count[n] / sum over m of count[m]

Each example counts once in a mini-batch: its share is 1 / N. One that stands for many equal ones counts as often, and a
place that has no target counts 0 times.

The largest logit m of a row is taken off first: exp never overflows, and p does not change. With
nll = log(sum over u of exp(x[u] - m)) - (x[target] - m), the derivative of the logarithm of the sum is the softmax:

    dx[n, v] = share[n] (p[n, v] - (1 if v = target[n] else 0))

Pull the target up by what it lacks, push each other one down by what it has: a row of dx sums to zero.
"""

from dataclasses import dataclass
from math import prod

import numpy as np

from .maths import exp, kernel
from .spec import AUX, DX, INTS, ROWS, S0, Kernels, Parameter, Shape, SmallSteps, X, Y
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
def backward(p, targets, counts, dx):
    """probabilities p (N, V), targets (N,), counts (N,) -> dx (N, V), of the loss."""
    N, V = p.shape
    total = 0
    for n in range(N):
        total += counts[n]
    for n in range(N):
        # loss = sum over n of share[n] nll[n],  nll[n] = log(sum of exp(x[n] - m)) - (x[n, target] - m)
        share = p.dtype.type(counts[n] / total)
        for v in range(V):
            dx[n, v] = p[n, v] * share
        dx[n, targets[n]] -= share


def forward_op(row, arena, params, grads, ints):
    N, V = row[ROWS], row[S0]
    forward(
        matrix(arena, row[X], N, V), vector(ints, row[INTS], N), matrix(arena, row[AUX], N, V), vector(arena, row[Y], N)
    )


def backward_op(row, arena, params, grads, ints):
    N, V = row[ROWS], row[S0]
    targets, counts = vector(ints, row[INTS], N), vector(ints, row[INTS] + N, N)
    backward(matrix(arena, row[AUX], N, V), targets, counts, matrix(arena, row[DX], N, V))


def stepwise_forward(trace, xp, x, targets):
    """Logits x (N, V), targets (N,) -> nll (N,): the loss in the lecture's small steps."""
    shifted = trace("shifted", x - xp.amax(x, 1, keepdims=True))
    counts = trace("counts", xp.exp(shifted))
    counts_sum = trace("counts_sum", counts.sum(1, keepdims=True))
    probs = trace("probs", counts / counts_sum)
    logprobs = trace("logprobs", xp.log(probs))
    return -logprobs[xp.arange(len(x)), targets]


def stepwise_backward(tensors, dnll, targets):
    """dnll (N,) -> the gradient of every tensor above. Multiplied out, they come to the fused `backward`."""
    counts, counts_sum, probs = tensors["counts"], tensors["counts_sum"], tensors["probs"]
    # nll = -logprobs[n, targets[n]]
    dlogprobs = np.zeros_like(probs)
    dlogprobs[np.arange(len(probs)), targets] = -dnll
    # logprobs = log(probs)
    dprobs = dlogprobs / probs
    # probs = counts / counts_sum: counts_sum is shared by a row, so its gradient is summed over the row
    dcounts_sum = -(dprobs * counts).sum(1, keepdims=True) / counts_sum**2
    # counts reaches the loss on two ways: through probs, and through counts_sum
    dcounts = dprobs / counts_sum + dcounts_sum
    # counts = exp(shifted)
    dshifted = dcounts * counts
    return {
        "logprobs": dlogprobs,
        "probs": dprobs,
        "counts_sum": dcounts_sum,
        "counts": dcounts,
        "shifted": dshifted,
    }


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=None,
    example=SoftmaxCrossEntropy(7),
    reads="targets",
    scratch=lambda layer, rows: (rows * layer.n_vocab, 0),
    steps=SmallSteps(stepwise_forward, stepwise_backward),
)
