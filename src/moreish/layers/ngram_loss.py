"""The loss of a net with an n-gram inside: the logits get a learnt multiple of the n-gram's log-probabilities.

    z[i, v] = x[n, v] + a g[i, v]        p[i] = softmax(z[i])        nll[i] = -log p[i, target[i]]
    loss = sum over i of share[i] nll[i],      share[i] = count[i] / sum of all counts

A pair i is a row n of logits x, which is a prefix of words, and a token that follows it. g[i] are the log-probabilities
of all tokens after that prefix, and a > 0 is one number, trained as its logarithm. In training, the n-gram's counts
leave the pair itself out (see `ngram.leave_out`), so g depends on the target as well as on the prefix. The rows of g
are a guide, with the keys of the pairs: that of row n and the target makes the key of the longer prefix. A pair that
has no entry has g = 0.

    dz[i, v] = share[i] (p[i, v] - (1 if v = target[i] else 0))

    dx[n, v] = sum over the pairs i of row n of dz[i, v]       d log a = a sum over i, v of dz[i, v] g[i, v]
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from math import prod

import numpy as np

from .init import Constant
from .levels import levels_of, pairs_of
from .loss import softmax
from .maths import kernel
from .random import bits
from .soft_loss import entry_of
from .spec import (
    AUX0,
    AUX1,
    DX,
    INT_SHARED,
    LEVELS,
    P0,
    ROWS,
    S0,
    S1,
    SHARD,
    SHARDS,
    Kernels,
    Parameter,
    Shape,
    X,
    Y,
)
from .views import matrix, vector

P, OF_PAIRS = AUX0, AUX1  # scratch: the probabilities at each pair, and two numbers
FIRST_STRENGTH = 0.5


@dataclass(frozen=True)
class NGramCrossEntropy:
    """Logits (n_vocab,) of each prefix become the nll in nats of each pair of the levels, one after another.

    entries     of the guide
    """

    n_vocab: int
    entries: int = 0

    def parameters(self) -> tuple[Parameter, ...]:
        return (Parameter("log_strength", (1,), Constant(float(np.log(FIRST_STRENGTH)))),)

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape[:-1]

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return (self.n_vocab, self.entries)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return 6 * batch_size * prod(in_shape)


def strength_of(params: np.ndarray) -> float:
    """Return a, given all parameters of a net with an n-gram inside, flat: its logarithm is the last one."""
    with np.errstate(over="ignore"):
        return float(np.exp(params[-1]))


@kernel
def entry_of_pair(keys, of_rows, row, target):
    """The entry of a pair in keys (D,): -1 if there is none; of_rows (N,) are the keys of the rows."""
    return entry_of(keys, np.int64(bits(of_rows[row], target)))


@kernel
def forward(x, rows, targets, of_rows, keys, guide, strength, p, largest, log_total, nll):
    """Logits x (N, V) and pairs (P,) -> nll (P,) in nats, and the results of `softmax`, (P, V) and (P,) twice.

    keys (D,), guide (D, V); of_rows (N,) are the keys of the rows.
    """
    for i in range(rows.size):
        n, entry = rows[i], entry_of_pair(keys, of_rows, rows[i], targets[i])
        for v in range(x.shape[1]):
            p[i, v] = x[n, v]
        if entry >= 0:
            for v in range(x.shape[1]):
                p[i, v] += strength * guide[entry, v]
        nll[i] = -p[i, targets[i]]
    softmax(p, p, largest, log_total)
    for i in range(rows.size):
        nll[i] += largest[i] + log_total[i]


@kernel
def backward(p, rows, targets, counts, total, of_rows, keys, guide, strength, dx, dlog_strength):
    """probabilities p (P, V), pairs and their counts (P,), total count of the batch -> dx (N, V), dlog_strength (1,).

    p becomes dz.
    """
    real, slope = p.dtype.type, 0.0
    dx.fill(0)
    for i in range(rows.size):
        n, share = rows[i], real(counts[i] / total)
        entry = entry_of_pair(keys, of_rows, n, targets[i])
        # nll[i] = log(sum over v of exp(z[i, v])) - z[i, target]
        for v in range(p.shape[1]):
            p[i, v] *= share
        p[i, targets[i]] -= share
        # z[i, v] = x[n, v] + strength g[i, v]
        for v in range(p.shape[1]):
            dx[n, v] += p[i, v]
        if entry >= 0:
            for v in range(p.shape[1]):
                slope += p[i, v] * guide[entry, v]
    # strength = exp(log_strength)
    dlog_strength[0] = real(slope) * strength


@kernel
def guide_of(row, arena, ints):
    """The keys (D,) and the rows (D, V) of the guide."""
    V, D = row[S0], row[S1]
    return vector(ints, ints.size - D, D), matrix(arena, arena.size - D * V, D, V)


def forward_op(row, arena, params, grads, ints):
    N, V = row[ROWS], row[S0]
    (rows, targets, counts), of_rows = pairs_of(ints, row[LEVELS]), levels_of(ints, row[LEVELS]).keys
    keys, guide = guide_of(row, arena, ints)
    p, of_pairs = matrix(arena, row[P], rows.size, V), matrix(arena, row[OF_PAIRS], 2, rows.size)
    x, nll = matrix(arena, row[X], N, V), vector(arena, row[Y], rows.size)
    strength = np.exp(params[row[P0]])
    forward(x, rows, targets, of_rows, keys, guide, strength, p, of_pairs[0], of_pairs[1], nll)
    vector(ints, row[INT_SHARED], row[SHARDS])[row[SHARD]] = counts.sum()


def backward_op(row, arena, params, grads, ints):
    N, V = row[ROWS], row[S0]
    (rows, targets, counts), of_rows = pairs_of(ints, row[LEVELS]), levels_of(ints, row[LEVELS]).keys
    keys, guide = guide_of(row, arena, ints)
    p, dx = matrix(arena, row[P], rows.size, V), matrix(arena, row[DX], N, V)
    total, strength = vector(ints, row[INT_SHARED], row[SHARDS]).sum(), np.exp(params[row[P0]])
    backward(p, rows, targets, counts, total, of_rows, keys, guide, strength, dx, vector(grads, row[P0], 1))


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=None,
    example=None,
    reads="targets",
    scratch=lambda layer, in_shape, rows: (rows * layer.n_vocab, 2 * rows),
    int_shared=1,
    levels=True,
    guide=lambda layer: (layer.entries, layer.n_vocab),
)
