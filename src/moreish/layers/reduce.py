"""Sums over the shards of a batch."""

# pyright: reportMissingParameterType=false

from .maths import index, kernel


@kernel
def sum_rows(rows, start, total):
    """rows (P, S), P >= 1 -> total (n,): the sums of columns start ... start + n - 1, in the order of the rows."""
    for i in range(total.size):
        total[i] = rows[0, index(start + i)]
    for p in range(1, rows.shape[0]):
        for i in range(total.size):
            total[i] += rows[p, index(start + i)]
