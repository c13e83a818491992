"""Softmax cross-entropy: the negative log-likelihood of each target, in nats.

    p[n, v] = exp(x[n, v]) / sum over u of exp(x[n, u])         nll[n, k] = -log p[n, target[n, k]]
    loss = sum over n, k of share[n, k] nll[n, k],      share[n, k] = count[n, k] / sum of all counts

In a mini-batch each row of logits has one target with count 1: its share is 1 / N. A row may also stand for all places
of the data that have the same context. Then it has a target for each different token that follows, and the target's
count is the number of these places. Padding has count 0. For rows that are prefixes of words, which have from one to
all tokens as targets, the targets are a list of pairs of a row and a token.

The largest logit m of a row is subtracted first, so that exp never overflows; p does not change. With
nll = log(sum over u of exp(x[u] - m)) - (x[target] - m), the derivative of the logarithm of the sum is the softmax:

    dx[n, v] = sum over k of share[n, k] (p[n, v] - (1 if v = target[n, k] else 0))

A step pulls the target's logit up by 1 - p and pushes each other logit down by its p: a row of dx sums to zero.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from math import prod

import numpy as np

from .levels import pairs_of
from .maths import exp, kernel
from .spec import (
    AUX0,
    AUX1,
    COUNTS,
    DX,
    INT_SHARED,
    INTS,
    LEVELS,
    ROWS,
    S0,
    S1,
    SHARD,
    SHARDS,
    Kernels,
    Parameter,
    Shape,
    SmallSteps,
    X,
    Y,
)
from .views import matrix, vector

P, OF_ROWS = AUX0, AUX1  # scratch: the probabilities, and two numbers for each row


@dataclass(frozen=True)
class SoftmaxCrossEntropy:
    """Logits (..., n_vocab) and n_targets targets for each row become the nll of each target in nats.

    The nll is (...,), or (..., n_targets) if that is more than one. With n_targets 0 the targets are the pairs of the
    levels (see `levels`), and the nll is that of each pair, one after another.
    """

    n_vocab: int
    n_targets: int = 1

    def parameters(self) -> tuple[Parameter, ...]:
        return ()

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape[:-1] if self.n_targets < 2 else (*in_shape[:-1], self.n_targets)

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (self.n_vocab, self.n_targets)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return 4 * batch_size * prod(in_shape)


@kernel
def softmax(x, p, largest, log_total):
    """Logits x (N, V) -> probabilities p (N, V); of each row the largest logit m, and log(sum of exp(x - m)), (N,)."""
    N, V = x.shape
    for n in range(N):
        m = x[n, 0]
        for v in range(V):
            m = max(m, x[n, v])
        for v in range(V):
            p[n, v] = x[n, v] - m
        largest[n] = m
    flat = p.reshape(N * V)
    for i in range(N * V):
        flat[i] = exp(flat[i])
    for n in range(N):
        total = p[n, 0] * 0
        for v in range(V):
            total += p[n, v]
        log_total[n] = np.log(total)
        for v in range(V):
            p[n, v] /= total


@kernel
def forward(x, targets, p, largest, log_total, nll):
    """Logits x (N, V), targets (N, K) -> nll (N, K) in nats, and the results of `softmax`."""
    softmax(x, p, largest, log_total)
    for n in range(targets.shape[0]):
        for k in range(targets.shape[1]):
            nll[n, k] = largest[n] - x[n, targets[n, k]] + log_total[n]


@kernel
def forward_pairs(x, rows, targets, p, largest, log_total, nll):
    """The same for pairs of a row and a target: rows, targets (P,) -> nll (P,)."""
    softmax(x, p, largest, log_total)
    for i in range(rows.size):
        n = rows[i]
        nll[i] = largest[n] - x[n, targets[i]] + log_total[n]


@kernel
def backward(p, targets, counts, total, dx):
    """probabilities p (N, V), targets and counts (N, K), total count of the batch -> dx (N, V), of the loss."""
    (N, V), K, real = p.shape, targets.shape[1], p.dtype.type
    for n in range(N):
        # loss = sum over n, k of share[n, k] nll[n, k],  nll[n, k] = log(sum of exp(x[n] - m)) - (x[n, target] - m)
        of_row = 0
        for k in range(K):
            of_row += counts[n, k]
        share = real(of_row / total)
        for v in range(V):
            dx[n, v] = p[n, v] * share
        for k in range(K):
            dx[n, targets[n, k]] -= real(counts[n, k] / total)


@kernel
def backward_pairs(p, rows, targets, counts, total, shares, dx):
    """The same for pairs of a row and a target: rows, targets, counts (P,). shares (N,) is scratch."""
    (N, V), real = p.shape, p.dtype.type
    shares.fill(0)
    for i in range(rows.size):
        shares[rows[i]] += real(counts[i] / total)
    for n in range(N):
        for v in range(V):
            dx[n, v] = p[n, v] * shares[n]
    for i in range(rows.size):
        dx[rows[i], targets[i]] -= real(counts[i] / total)


def forward_op(row, arena, params, grads, ints):
    N, V, K = row[ROWS], row[S0], row[S1]
    x, p = matrix(arena, row[X], N, V), matrix(arena, row[P], N, V)
    largest, log_total = vector(arena, row[OF_ROWS], N), vector(arena, row[OF_ROWS] + N, N)
    totals = vector(ints, row[INT_SHARED], row[SHARDS])
    if K:
        forward(x, matrix(ints, row[INTS], N, K), p, largest, log_total, matrix(arena, row[Y], N, K))
        totals[row[SHARD]] = vector(ints, row[COUNTS], N * K).sum()
    else:
        rows, targets, counts = pairs_of(ints, row[LEVELS])
        forward_pairs(x, rows, targets, p, largest, log_total, vector(arena, row[Y], rows.size))
        totals[row[SHARD]] = counts.sum()


def backward_op(row, arena, params, grads, ints):
    N, V, K = row[ROWS], row[S0], row[S1]
    p, dx = matrix(arena, row[P], N, V), matrix(arena, row[DX], N, V)
    total = vector(ints, row[INT_SHARED], row[SHARDS]).sum()
    if K:
        backward(p, matrix(ints, row[INTS], N, K), matrix(ints, row[COUNTS], N, K), total, dx)
    else:
        backward_pairs(p, *pairs_of(ints, row[LEVELS]), total, vector(arena, row[OF_ROWS], N), dx)


def stepwise_forward(trace, xp, x, targets):
    """Logits x (N, V), targets (N,), one a row -> nll (N,): the loss in the lecture's small steps."""
    shifted = trace("shifted", x - xp.amax(x, 1, keepdims=True))
    counts = trace("counts", xp.exp(shifted))
    counts_sum = trace("counts_sum", counts.sum(1, keepdims=True))
    probs = trace("probs", counts / counts_sum)
    logprobs = trace("logprobs", xp.log(probs))
    return -logprobs[xp.arange(len(x)), targets]


def stepwise_backward(tensors, dnll, targets):
    """dnll (N,) -> the gradient of every tensor above. Multiplied out, they are the fused `backward`."""
    counts, counts_sum, probs = tensors["counts"], tensors["counts_sum"], tensors["probs"]
    # nll = -logprobs[n, targets[n]]
    dlogprobs = np.zeros_like(probs)
    dlogprobs[np.arange(len(probs)), targets] = -dnll
    # logprobs = log(probs)
    dprobs = dlogprobs / probs
    # probs = counts / counts_sum: counts_sum is shared by a row, so its gradient is summed over the row
    dcounts_sum = -(dprobs * counts).sum(1, keepdims=True) / counts_sum**2
    # counts reaches the loss in two ways: through probs, and through counts_sum
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
    scratch=lambda layer, in_shape, rows: (rows * layer.n_vocab, 2 * rows),
    int_shared=1,
    steps=SmallSteps(stepwise_forward, stepwise_backward),
)
