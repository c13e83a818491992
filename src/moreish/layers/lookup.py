"""LookupLinear: an Embedding, a FlattenConsecutive and a Linear in one, without their matrix product.

The rows of x that a Linear sees after an Embedding are made of few different pieces: at position f stands one of V
embeddings. With W cut into blocks W_f (E, H), one a position,

    y[n] = b + sum over f of C[token[n, f]] W_f = b + sum over f of table[f, token[n, f]],    table[f, v] = C[v] W_f

so the product is taken once for each different pair (f, v) of the batch, and each row of y is a sum of F looked-up
rows. Backwards, a row of the table receives the sum of dy over the places that looked it up,

    dtable[f, v] = sum over n with token[n, f] = v of dy[n]

and from table_f = C W_f, as in Linear: dW_f = C^T dtable_f, and dC = sum over f of dtable_f W_f^T.
Only the pairs that occur are stored: `slot` numbers them, position by position, as they are met.
"""

from dataclasses import dataclass
from math import prod

from .embedding import Embedding
from .init import Normal
from .linear import Linear
from .maths import index, kernel
from .product import dot
from .reshape import FlattenConsecutive
from .spec import AUX, DY, INT_AUX, INTS, P0, P1, P2, ROWS, S0, S1, S2, S3, Kernels, Parameter, Shape, Y
from .views import matrix, vector


@dataclass(frozen=True)
class LookupLinear:
    """The fused form of `embedding`, `flatten` and `linear`: tokens (T,) become (T / F, H), or (H,) where F = T."""

    embedding: Embedding
    flatten: FlattenConsecutive
    linear: Linear

    def parameters(self) -> tuple[Parameter, ...]:
        return (*self.embedding.parameters(), *self.linear.parameters())

    def out_shape(self, in_shape: Shape) -> Shape:
        return self.linear.out_shape(self.flatten.out_shape(self.embedding.out_shape(in_shape)))

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        n_embd = self.embedding.n_embd
        return (self.embedding.n_vocab, n_embd, self.linear.n_in // n_embd, self.linear.n_out)

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        V, E, F, H = self.sizes(in_shape)
        rows = batch_size * prod(self.out_shape(in_shape)[:-1])
        return F * min(rows, V) * 2 * E * H + rows * F * H


@kernel
def forward(tokens, C, W, b, number, slot, first, seen, x, table, y):
    """tokens (N, F), C (V, E), W (F E, H), b (H,) -> y (N, H). b may have no elements.

    Left for the backward pass: slot (N, F), the table's row for each token; first (F + 1,), where each position's
    rows begin; seen (S,), each row's token, and x (S, E), its embedding, with S = F min(N, V).
    number (V,) and table (S, H) are scratch.
    """
    (N, F), E, H = tokens.shape, C.shape[1], y.shape[1]
    used = 0
    for f in range(F):
        first[f] = used
        number.fill(-1)  # each token's row of the table at this position, or -1
        for n in range(N):
            v = tokens[n, f]
            if number[v] < 0:
                number[v] = used
                for e in range(E):
                    x[used, e] = C[v, e]
                seen[used] = v
                used += 1
            slot[n, f] = number[v]
        dot(x[first[f] : used], W[f * E : (f + 1) * E], table[first[f] : used])
    first[F] = used
    for n in range(N):
        if b.size:
            for h in range(H):
                y[n, h] = b[h]
        else:
            for h in range(H):
                y[n, h] = 0
        for f in range(0, F - 3, 4):  # four at a time: y is read and written a quarter as often
            i, j, k, m = index(slot[n, f]), index(slot[n, f + 1]), index(slot[n, f + 2]), index(slot[n, f + 3])
            for h in range(H):
                y[n, h] += (table[i, h] + table[j, h]) + (table[k, h] + table[m, h])
        if F % 4 >= 2:
            f = F - F % 4
            i, j = index(slot[n, f]), index(slot[n, f + 1])
            for h in range(H):
                y[n, h] += table[i, h] + table[j, h]
        if F % 2:
            i = index(slot[n, F - 1])
            for h in range(H):
                y[n, h] += table[i, h]


@kernel
def backward(W, slot, first, seen, x, dy, dtable, dx, dC, dW, db):
    """W (F E, H), dy (N, H) and what forward left -> dC (V, E), dW (F E, H), db (H,).

    dtable (S, H) and dx (S, E) are scratch.
    """
    (N, F), E, H = slot.shape, dC.shape[1], dy.shape[1]
    dC.fill(0)
    dtable.fill(0)
    for n in range(N):
        # y[n] = b + sum over f of table[slot[n, f]]
        for f in range(F):
            i = index(slot[n, f])
            for h in range(H):
                dtable[i, h] += dy[n, h]
    if db.size:
        db.fill(0)
        for i in range(first[1]):  # each row of y looked up one row of the first position
            for h in range(H):
                db[h] += dtable[i, h]
    for f in range(F):
        block, rows = slice(f * E, (f + 1) * E), slice(first[f], first[f + 1])
        # table[rows] = x[rows] W[block]
        dot(x[rows].T, dtable[rows], dW[block])
        dot(dtable[rows], W[block].T, dx[rows])
    for s in range(first[F]):
        v = index(seen[s])
        # x[s] = C[v]
        for e in range(E):
            dC[v, e] += dx[s, e]


def forward_op(row, arena, params, grads, ints):
    N, V, E, F, H = row[ROWS], row[S0], row[S1], row[S2], row[S3]
    S, i, a = F * min(N, V), row[INT_AUX], row[AUX]
    forward(
        matrix(ints, row[INTS], N, F),
        matrix(params, row[P0], V, E),
        matrix(params, row[P1], F * E, H),
        vector(params, row[P2], H * (row[P2] >= 0)),
        vector(ints, i + N * F + F + 1 + S, V),
        matrix(ints, i, N, F),
        vector(ints, i + N * F, F + 1),
        vector(ints, i + N * F + F + 1, S),
        matrix(arena, a, S, E),
        matrix(arena, a + 2 * S * E, S, H),
        matrix(arena, row[Y], N, H),
    )


def backward_op(row, arena, params, grads, ints):
    N, V, E, F, H = row[ROWS], row[S0], row[S1], row[S2], row[S3]
    S, i, a = F * min(N, V), row[INT_AUX], row[AUX]
    backward(
        matrix(params, row[P1], F * E, H),
        matrix(ints, i, N, F),
        vector(ints, i + N * F, F + 1),
        vector(ints, i + N * F + F + 1, S),
        matrix(arena, a, S, E),
        matrix(arena, row[DY], N, H),
        matrix(arena, a + 2 * S * E, S, H),  # the table has served: its gradient takes its place
        matrix(arena, a + S * E, S, E),
        matrix(grads, row[P0], V, E),
        matrix(grads, row[P1], F * E, H),
        vector(grads, row[P2], H * (row[P2] >= 0)),
    )


def scratch(layer: LookupLinear, rows: int) -> tuple[int, int]:
    V, E, F, H = layer.sizes(())
    S = F * min(rows, V)
    return S * (2 * E + H), rows * F + F + 1 + S + V


def pays(layer: LookupLinear, rows: int) -> bool:
    """Pays from four rows a character on: with V = 27 it breaks even near 64 rows, and gains from there."""
    return rows >= 4 * layer.embedding.n_vocab


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=None,
    example=LookupLinear(Embedding(7, 3), FlattenConsecutive(2), Linear(6, 5, Normal(0.4))),
    reads="contexts",
    scratch=scratch,
    pays=pays,
)
