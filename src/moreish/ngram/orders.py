"""Tables of all orders from sorted windows, compiled. See `Tables` for the arrays."""

# pyright: reportMissingParameterType=false

from typing import NamedTuple

import numpy as np

from ..engine.compiler import compiler
from ..layers.jit import fields, njit
from .kernels import place_of


@fields("int64[:, ::1]", "int64[::1]", "int8[::1]", *3 * ("int64",))
class Windows(NamedTuple):
    """Different windows of up to n tokens, and their counts, sorted by the context, from its nearest token on.

    keys        int64 (D, W): the tokens, `per_number` in each of W numbers; W is 1 if all n fit
    counts      int64 (D,)
    lengths     int8 (D,): of a shortened window only the last `length` tokens are valid
    bits        of a token
    """

    keys: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray
    n: int
    bits: int
    per_number: int

    def at(self, place: int) -> np.ndarray:
        """Return the tokens at a place in the window, 0 to n - 1, as they follow one another in the text: (D,)."""
        number, within = divmod((place + 1) % self.n, self.per_number)  # from the lowest bits on
        return self.keys[:, -1 - number] >> self.bits * within & (1 << self.bits) - 1


@fields("int64[::1]", *3 * ("int32[::1]",), "int64[::1]")
class Columns(NamedTuple):
    """The arrays of `Tables` that follow from windows alone, and the first token of each context, outer (nodes,)."""

    first: np.ndarray
    parent: np.ndarray
    outer: np.ndarray
    char: np.ndarray
    counts: np.ndarray


@njit
def bits_of(windows, place):
    """Return where the token at a place is: in which number, and from which bit on.

    Place 0 is the target, 1 the farthest token of the context, n - 1 the nearest.
    """
    return windows.keys.shape[1] - 1 - place // windows.per_number, windows.bits * (place % windows.per_number)


@njit
def agree(keys, i, j, number, bit):
    """Return True if windows i and j have the same tokens from the nearest one of the context to that at a place."""
    for k in range(number):
        if keys[i, k] != keys[j, k]:
            return False
    return keys[i, number] >> bit == keys[j, number] >> bit


@njit
def token(keys, i, place, bits, per_number):
    """Return the token of window i at a place: see `bits_of`."""
    return keys[i, keys.shape[1] - 1 - place // per_number] >> bits * (place % per_number) & ((1 << bits) - 1)


def keep_one_end(windows):
    """Shorten windows, in place, so that no context begins with two end tokens."""
    keys, _, lengths, n, bits, per_number = windows
    for i in range(lengths.size):
        place = n - lengths[i] + 1  # of the farthest token
        while (
            place < n - 1
            and token(keys, i, place, bits, per_number) == token(keys, i, place + 1, bits, per_number) == 0
        ):
            place += 1
        lengths[i] = n - place + 1


def write_order(windows, k, at, columns, n_vocab, writing):
    """Write the nodes and entries of order k to columns, from the places `at` = (node, parent, entry) on, if `writing`.

    Returns how many nodes and entries there are. All windows with the same context follow each other, as those of its
    parent do: a node is a run of windows with the same k - 1 nearest tokens. Its targets are added up in an array of
    all tokens, of which only blocks with a target are searched.
    """
    keys, counts, lengths = windows.keys, windows.counts, windows.lengths
    first, parents, outer, char, count = columns
    first_node, parent, first_entry = at
    node, parent, entry = first_node - 1, parent - 1, first_entry
    sums, node_of = np.zeros(n_vocab, np.int64), np.full(n_vocab, -1)  # of each token as a target
    block = (windows.bits + 1) // 2  # the logarithm of its size
    marked = np.zeros(1 + (n_vocab >> block), np.bool_)
    token_bits, target = (1 << windows.bits) - 1, keys.shape[1] - 1
    number, bit = bits_of(windows, windows.n - max(k, 2) + 1)
    nearer, its_bit = bits_of(windows, windows.n - max(k, 3) + 2)
    before = before_longer = -1
    for i in range(counts.size + 1):
        last = i == counts.size
        if not last:
            if lengths[i] < k - 1:
                continue
            if before < 0 or (k > 2 and not agree(keys, before, i, nearer, its_bit)):
                parent += 1
            before = i
            if lengths[i] < k:
                continue
        if last or before_longer < 0 or (k > 1 and not agree(keys, before_longer, i, number, bit)):
            if writing and node >= first_node:
                for b in range(marked.size):
                    if marked[b]:
                        marked[b] = False
                        for token in range(b << block, min(n_vocab, (b + 1) << block)):
                            if node_of[token] == node:
                                char[entry], count[entry] = token, sums[token]
                                entry += 1
            if last:
                break
            node += 1
            if writing:
                first[node], parents[node] = entry, parent
                outer[node] = keys[i, number] >> bit & token_bits if k > 1 else 0
        before_longer = i
        token = keys[i, target] & token_bits
        if node_of[token] != node:
            node_of[token], sums[token], marked[token >> block] = node, 0, True
            entry += not writing
        sums[token] += counts[i]
    return node + 1 - first_node, entry - first_entry


def link(graph, level, children, outer, lower, begin, end):
    """Write `lower` and `after` of the entries of nodes from begin to end, of one order; those below must be written.

    The contexts one token longer than a node's are its children, from children[node] to children[node + 1] - 1. The
    context after an entry is that after its lower entry, longer by the first token of the entry's own context.
    """
    first, parent, char, after, start = graph
    for node in range(begin, end):
        for entry in range(first[node], first[node + 1]):
            token, below, at = char[entry], -1, 0
            if node > 0:
                below = place_of(first, char, parent[node], token)
                at = after[below]
            lower[entry] = below
            if token == 0:
                at = start
            elif level[at] == level[node]:  # else a context on the way has been left out
                longer = place_of(children, outer, at, outer[node] if node > 0 else token)
                at = longer if longer >= 0 else at
            after[entry] = at


SIGNATURES = {
    keep_one_end: "void(Windows)",
    write_order: "UniTuple(int64, 2)(Windows, int64, UniTuple(int64, 3), Columns, int64, boolean)",
    link: "void(Graph, int32[::1], int64[::1], int32[::1], int32[::1], int64, int64)",
}
compiled = compiler(SIGNATURES, "tables of counts")
