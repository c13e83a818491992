"""Softmax cross-entropy with soft targets: part of each target is a distribution over all tokens.

    loss[n, k] = (1 - s) nll[n, k] + s H[n],      H[n] = -sum over v of q[n, v] log p[n, v]

p and nll are those of `loss`, and s is the softness. q[n] is the uniform distribution (label smoothing; Szegedy et al.
2016, section 7), or the distribution that a teacher gives after the prefix of row n (Hinton, Vinyals and Dean 2015).
The teacher's distributions are a guide (`engine.guide`): sorted keys of prefixes, and a distribution for each, at the
end of ints and of arena. A row whose key is not among them has hard targets only, as if its softness were zero.

    H[n] = log(sum over u of exp(x[u] - m)) - sum over v of q[v] (x[v] - m)

With share[n], the sum of the shares of the row's targets, and hard[n, v], the sum of the shares of those that are v:

    dx[n, v] = (1 - s) (share[n] p[n, v] - hard[n, v]) + s share[n] (p[n, v] - q[n, v])
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from math import prod

from .dropout import chances
from .levels import levels_of, pairs_of
from .loss import SoftmaxCrossEntropy, backward, backward_pairs, forward, forward_pairs
from .maths import kernel
from .random import CHANCES
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
    S2,
    S3,
    SHARD,
    SHARDS,
    Kernels,
    Parameter,
    Shape,
    X,
    Y,
)
from .views import matrix, vector

P, OF_ROWS = AUX0, AUX1  # scratch: the probabilities, and four numbers for each row


@dataclass(frozen=True)
class SoftCrossEntropy:
    """Logits and targets become the soft loss of each target in nats. Shapes are those of `SoftmaxCrossEntropy`.

    softness    s, 0 <= s <= 1, which is rounded to a multiple of 1 / 65,536
    entries     of the guide, for rows that are prefixes of words; 0: q is uniform
    """

    n_vocab: int
    n_targets: int = 1
    softness: float = 0.1
    entries: int = 0

    def parameters(self) -> tuple[Parameter, ...]:
        return ()

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape[:-1] if self.n_targets < 2 else (*in_shape[:-1], self.n_targets)

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (self.n_vocab, self.n_targets, chances(self.softness), self.entries)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return 8 * batch_size * prod(in_shape)


def loss_layer(
    n_vocab: int, n_targets: int = 1, softness: float = 0.0, entries: int = 0
) -> SoftmaxCrossEntropy | SoftCrossEntropy:
    """Return the loss for targets of a softness: the plain one if it is rounded to zero."""
    if chances(softness) == 0:
        return SoftmaxCrossEntropy(n_vocab, n_targets)
    return SoftCrossEntropy(n_vocab, n_targets, softness, entries)


@kernel
def entry_of(keys, key):
    """The place of a key in keys (D,), which are sorted; -1 if it is not there."""
    low, high = 0, keys.size
    while low < high:
        middle = (low + high) // 2
        if keys[middle] < key:
            low = middle + 1
        else:
            high = middle
    return low if low < keys.size and keys[low] == key else -1


@kernel
def soften_rows(x, keys, guide, of_rows, softness, largest, log_total, soft, entropy):
    """Logits x (N, V) -> the softness of each row and its H (N,).

    keys (D,) and guide (D, V); of_rows (N,) are the keys of the rows. Without entries q is uniform.
    """
    (N, V), D, real = x.shape, keys.size, x.dtype.type
    uniform = real(1 / V)
    for n in range(N):
        entry = entry_of(keys, of_rows[n]) if D else 0
        soft[n], entropy[n] = 0, 0
        if entry >= 0:
            mean = real(0)
            for v in range(V):
                mean += (guide[entry, v] if D else uniform) * (x[n, v] - largest[n])
            soft[n], entropy[n] = softness, log_total[n] - mean


@kernel
def soften_gradient(p, keys, guide, of_rows, soft, shares, dx):
    """Mix dx (N, V), the gradient for hard targets, with that for soft ones; soft, shares (N,)."""
    (N, V), D = p.shape, keys.size
    uniform = p.dtype.type(1 / V)
    for n in range(N):
        if soft[n] > 0:
            entry = entry_of(keys, of_rows[n]) if D else 0
            for v in range(V):
                # loss[n] = (1 - s) nll[n] + s H[n],  dH[n] = share[n] (p[n] - q[n])
                q = guide[entry, v] if D else uniform
                dx[n, v] += soft[n] * (shares[n] * (p[n, v] - q) - dx[n, v])


@kernel
def guide_of(row, arena, ints):
    """The keys (D,) and the rows (D, V) of the guide."""
    V, D = row[S0], row[S3]
    return vector(ints, ints.size - D, D), matrix(arena, arena.size - D * V, D, V)


@kernel
def keys_of_rows(row, ints):
    """The keys of the rows, which matter only if there is a guide."""
    return levels_of(ints, row[LEVELS]).keys if row[S3] else ints


def forward_op(row, arena, params, grads, ints):
    N, V, K = row[ROWS], row[S0], row[S1]
    x, p = matrix(arena, row[X], N, V), matrix(arena, row[P], N, V)
    largest, log_total = vector(arena, row[OF_ROWS], N), vector(arena, row[OF_ROWS] + N, N)
    entropy, soft = vector(arena, row[OF_ROWS] + 2 * N, N), vector(arena, row[OF_ROWS] + 3 * N, N)
    totals, (keys, guide) = vector(ints, row[INT_SHARED], row[SHARDS]), guide_of(row, arena, ints)
    softness = x.dtype.type(row[S2] / CHANCES)
    if K:
        y = matrix(arena, row[Y], N, K)
        forward(x, matrix(ints, row[INTS], N, K), p, largest, log_total, y)
        soften_rows(x, keys, guide, keys_of_rows(row, ints), softness, largest, log_total, soft, entropy)
        for n in range(N):
            for k in range(K):
                y[n, k] += soft[n] * (entropy[n] - y[n, k])
        totals[row[SHARD]] = vector(ints, row[COUNTS], N * K).sum()
    else:
        rows, targets, counts = pairs_of(ints, row[LEVELS])
        y = vector(arena, row[Y], rows.size)
        forward_pairs(x, rows, targets, p, largest, log_total, y)
        soften_rows(x, keys, guide, keys_of_rows(row, ints), softness, largest, log_total, soft, entropy)
        for i in range(rows.size):
            y[i] += soft[rows[i]] * (entropy[rows[i]] - y[i])
        totals[row[SHARD]] = counts.sum()


def backward_op(row, arena, params, grads, ints):
    N, V, K = row[ROWS], row[S0], row[S1]
    p, dx = matrix(arena, row[P], N, V), matrix(arena, row[DX], N, V)
    shares, soft = vector(arena, row[OF_ROWS], N), vector(arena, row[OF_ROWS] + 3 * N, N)
    total, (keys, guide) = vector(ints, row[INT_SHARED], row[SHARDS]).sum(), guide_of(row, arena, ints)
    if K:
        counts = matrix(ints, row[COUNTS], N, K)
        backward(p, matrix(ints, row[INTS], N, K), counts, total, dx)
        for n in range(N):
            of_row = 0
            for k in range(K):
                of_row += counts[n, k]
            shares[n] = of_row / total
    else:
        backward_pairs(p, *pairs_of(ints, row[LEVELS]), total, shares, dx)
    soften_gradient(p, keys, guide, keys_of_rows(row, ints), soft, shares, dx)


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=None,
    example=SoftCrossEntropy(7, softness=0.25),
    reads="targets",
    scratch=lambda layer, in_shape, rows: (rows * layer.n_vocab, 4 * rows),
    int_shared=1,
    guide=lambda layer: (layer.entries, layer.n_vocab),
)
