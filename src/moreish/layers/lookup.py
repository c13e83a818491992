"""LookupLinear: an Embedding, a FlattenConsecutive and a Linear in one, without their matrix product.

After an Embedding, each row of x that a Linear sees consists of F embeddings, one for each position f, and there are
only V different ones. With W cut into blocks W_f (E, H), one for each position,

    y[n] = b + sum over f of C[token[n, f]] W_f = b + sum over f of table[f, token[n, f]],    table[f, v] = C[v] W_f

so the product is computed once for each pair (f, v), and each row of y is a sum of F rows of the table. Backwards, the
gradient of a row of the table is the sum of dy over the places that used it,

    dtable[f, v] = sum over n with token[n, f] = v of dy[n]

and from table_f = C W_f, as in Linear: dW_f = C^T dtable_f, and dC = sum over f of dtable_f W_f^T.

With several threads, each makes a table of its own for all its shards, as this is faster than reading one from another
core. Each shard has its own dtable. The products need their sum: each shard computes some rows of it.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from math import prod
from typing import Any

from .embedding import Embedding
from .init import Normal
from .linear import Linear
from .maths import index, kernel
from .matmul import dot
from .reduce import sum_rows
from .reshape import FlattenConsecutive
from .spec import (
    AUX0,
    AUX1,
    DY,
    FIRST,
    INTS,
    P0,
    P1,
    P2,
    ROWS,
    S0,
    S1,
    S2,
    S3,
    SHARD,
    SHARDS,
    SHARED0,
    SHARED1,
    Kernels,
    Parameter,
    Shape,
    Y,
)
from .views import matrix, vector

SUMMED, DX = AUX0, AUX1  # scratch of `backward`
DTABLES, TABLES = SHARED0, SHARED1


@dataclass(frozen=True)
class LookupLinear:
    """The fused form of two or three layers.

    Tokens (T,) become (T / F, H), or (H,) where F = T. Without flatten, they become (T, H).
    """

    embedding: Embedding
    flatten: FlattenConsecutive | None
    linear: Linear

    @classmethod
    def of(cls, embedding: Embedding, *others: Any) -> "LookupLinear":
        """Fuse layers: an Embedding, perhaps a FlattenConsecutive, a Linear."""
        *flatten, linear = others
        return cls(embedding, flatten[0] if flatten else None, linear)

    def parameters(self) -> tuple[Parameter, ...]:
        return (*self.embedding.parameters(), *self.linear.parameters())

    def out_shape(self, in_shape: Shape) -> Shape:
        shape = self.embedding.out_shape(in_shape)
        return self.linear.out_shape(self.flatten.out_shape(shape) if self.flatten else shape)

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        n_embd = self.embedding.n_embd
        return (self.embedding.n_vocab, n_embd, self.linear.n_in // n_embd, self.linear.n_out)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        V, E, F, H = self.sizes(in_shape)
        rows = batch_size * prod(self.out_shape(in_shape)[:-1])
        return F * V * 2 * E * H + rows * F * H


@kernel
def make_table(C, W, table):
    """C (V, E), W (F E, H) -> table (F V, H)."""
    V, E = C.shape
    for f in range(W.shape[0] // E):
        dot(C, W[f * E : (f + 1) * E], table[f * V : (f + 1) * V])


@kernel
def forward(tokens, table, b, y):
    """tokens (N, F), table (F V, H), b (H,) -> y (N, H). b may have no elements."""
    (N, F), H = tokens.shape, y.shape[1]
    V = table.shape[0] // F
    for n in range(N):
        if b.size:
            for h in range(H):
                y[n, h] = b[h]
        else:
            for h in range(H):
                y[n, h] = 0
        for f in range(0, F - 3, 4):  # four at a time: y is read and written a quarter as often
            i, j = index(f * V + tokens[n, f]), index((f + 1) * V + tokens[n, f + 1])
            k, m = index((f + 2) * V + tokens[n, f + 2]), index((f + 3) * V + tokens[n, f + 3])
            for h in range(H):
                y[n, h] += (table[i, h] + table[j, h]) + (table[k, h] + table[m, h])
        if F % 4 >= 2:
            f = F - F % 4
            i, j = index(f * V + tokens[n, f]), index((f + 1) * V + tokens[n, f + 1])
            for h in range(H):
                y[n, h] += table[i, h] + table[j, h]
        if F % 2:
            i = index((F - 1) * V + tokens[n, F - 1])
            for h in range(H):
                y[n, h] += table[i, h]


@kernel
def table_gradient(tokens, dy, dtable, db):
    """tokens (N, F), dy (N, H) -> dtable (F V, H), db (H,). db may have no elements."""
    (N, F), H = tokens.shape, dy.shape[1]
    V = dtable.shape[0] // F
    dtable.fill(0)
    for n in range(N):
        # y[n] = b + sum over f of table[f, tokens[n, f]]
        for f in range(F):
            i = index(f * V + tokens[n, f])
            for h in range(H):
                dtable[i, h] += dy[n, h]
    if db.size:
        db.fill(0)
        for i in range(V):  # each row of y looked up one row of the first position
            for h in range(H):
                db[h] += dtable[i, h]


@kernel
def backward(C, W, dtables, first, last, summed, dx, dC, dW):
    """C (V, E), W (F E, H), dtables (P, F V H) of P shards -> dC (V, E), dW (F E, H), from rows first ... last - 1.

    A block of dW that has none of these rows is not written: it is 0 from the start. summed (V H,) and dx (V, E) are
    scratch.
    """
    (V, E), H = C.shape, W.shape[1]
    dC.fill(0)
    for f in range(W.shape[0] // E):
        begin, end = max(first, f * V), min(last, (f + 1) * V)
        if begin < end:
            v, n, block = begin - f * V, end - begin, slice(f * E, (f + 1) * E)
            flat = dtables[0, begin * H : end * H]
            if dtables.shape[0] > 1:
                flat = summed[: n * H]
                sum_rows(dtables, begin * H, flat)
            dtable = matrix(flat, 0, n, H)
            # table[f] = C W[block]
            dot(C[v : v + n].T, dtable, dW[block])
            dot(dtable, W[block].T, dx[:n])
            for i in range(n):
                for e in range(E):
                    dC[v + i, e] += dx[i, e]


@kernel
def table_of(row, arena):
    """The table (F V, H) of the thread that works on this shard: it is in the place of the thread's first shard."""
    V, F, H = row[S0], row[S2], row[S3]
    return matrix(arena, row[TABLES] + row[FIRST] * F * V * H, F * V, H)


def make_table_op(row, arena, params, grads, ints):
    V, E, F, H = row[S0], row[S1], row[S2], row[S3]
    if row[SHARD] == row[FIRST]:
        make_table(matrix(params, row[P0], V, E), matrix(params, row[P1], F * E, H), table_of(row, arena))


def forward_op(row, arena, params, grads, ints):
    N, F, H = row[ROWS], row[S2], row[S3]
    forward(
        matrix(ints, row[INTS], N, F),
        table_of(row, arena),
        vector(params, row[P2], H * (row[P2] >= 0)),
        matrix(arena, row[Y], N, H),
    )


def table_gradient_op(row, arena, params, grads, ints):
    N, V, F, H = row[ROWS], row[S0], row[S2], row[S3]
    table_gradient(
        matrix(ints, row[INTS], N, F),
        matrix(arena, row[DY], N, H),
        matrix(arena, row[DTABLES] + row[SHARD] * F * V * H, F * V, H),
        vector(grads, row[P2], H * (row[P2] >= 0)),
    )


def backward_op(row, arena, params, grads, ints):
    V, E, F, H, p, P = row[S0], row[S1], row[S2], row[S3], row[SHARD], row[SHARDS]
    backward(
        matrix(params, row[P0], V, E),
        matrix(params, row[P1], F * E, H),
        matrix(arena, row[DTABLES], P, F * V * H),
        F * V * p // P,
        F * V * (p + 1) // P,
        vector(arena, row[SUMMED], V * H),
        matrix(arena, row[DX], V, E),
        matrix(grads, row[P0], V, E),
        matrix(grads, row[P1], F * E, H),
    )


def scratch(layer: LookupLinear, in_shape: Shape, rows: int) -> tuple[int, ...]:
    V, E, _, H = layer.sizes(in_shape)
    return (V * H, V * E)


def shared(layer: LookupLinear) -> tuple[int, ...]:
    V, _, F, H = layer.sizes(())
    return (F * V * H, F * V * H)


def pays(layer: LookupLinear, rows: int) -> bool:
    """True from 4 V rows. With V = 27 it breaks even near 64 rows."""
    return rows >= 4 * layer.embedding.n_vocab


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=None,
    example=LookupLinear(Embedding(7, 3), FlattenConsecutive(2), Linear(6, 5, Normal(0.4))),
    reads="contexts",
    before=(make_table_op, table_gradient_op),
    scratch=scratch,
    shared=shared,
    pays=pays,
)
