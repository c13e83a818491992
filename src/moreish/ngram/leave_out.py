"""Leave one out: the probabilities after each context of train, from counts without the token that follows there.

A net that is trained with an n-gram inside must see it as it is on new words. On its own train words the n-gram has
counted the very token that it predicts, and the net would trust it far too much. So where token c follows h, this one
occurrence is taken out of the counts of all orders. With the strengths a, b, d of `smoothing.interpolated`:

    n'(hc) = n(hc) - 1      N'(h) = N(h) - 1        t'(h) = t(h) - 1 if n(hc) = 1, else t(h)

A context that had no other occurrence is then one never seen, and leaves all to the shorter one. The same idea is in
Kneser and Ney 1995, section 3, for the estimation of discounts.
"""

import numpy as np

from .tables import Tables

NUMBERS_AT_A_TIME = 1 << 21  # of probabilities


def log_left_out(tables: Tables, strengths: np.ndarray, nodes: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Return the log-probabilities of every token at M tokens of train, each left out of the counts: float32 (M, V).

    nodes and entries (M, order) are those of the tokens, as `trace_stream` returns them; strengths (3, order) are a, b
    and d. The tables must have whole counts, and all contexts of train.
    """
    found = np.empty((len(nodes), tables.n_vocab), np.float32)
    # Tokens with the same entry of the highest order have the same contexts.
    _, some, of = np.unique(entries[:, -1], return_index=True, return_inverse=True)
    different = np.empty((len(some), tables.n_vocab), np.float32)
    size = max(1, NUMBERS_AT_A_TIME // tables.n_vocab)
    for first in range(0, len(some), size):
        here = some[first : first + size]
        different[first : first + size] = np.log(_left_out(tables, strengths, nodes[here], entries[here]))
    np.take(different, of, axis=0, out=found)
    return found


def _left_out(tables: Tables, strengths: np.ndarray, nodes: np.ndarray, entries: np.ndarray) -> np.ndarray:
    """Return the probabilities of every token, from order 1 up: float64 (M, V)."""
    p = np.full((len(nodes), tables.n_vocab), 1 / tables.n_vocab)
    for (a, b, d), at, left in zip(strengths.T, nodes.T, entries.T, strict=True):
        total, different = tables.total[at] - 1, tables.different[at] - (tables.count[left] == 1)
        seen = total > 0
        at, left, total, different = at[seen], left[seen], total[seen], different[seen]
        mass = a * different + b
        below = p[seen] * ((mass + d * different) / (total + mass))[:, None]
        size = tables.first[at + 1] - tables.first[at]  # the entries of all these nodes, one node after another
        of = np.repeat(np.arange(len(at)), size)
        entry = np.arange(len(of)) + np.repeat(tables.first[at] - (np.cumsum(size) - size), size)
        count = tables.count[entry] - (entry == left[of])
        below[of, tables.char[entry]] += np.maximum(count - d, 0) / (total + mass)[of]
        p[seen] = below
    return p
