"""Steps in an automaton of counts (see `Tables`): from a token to its entry, the next node, and probabilities."""

# pyright: reportMissingParameterType=false

from typing import NamedTuple

import numpy as np

from ..layers.jit import fields, njit


@fields("int64[::1]", *3 * ("int32[::1]",), "int64")
class Graph(NamedTuple):
    """Nodes and entries of an automaton; see `Tables` for each array.

    first       int64 (nodes + 1,)
    parent      int32 (nodes,)
    char, after int32 (entries,)
    start       the node at the beginning of a word
    """

    first: np.ndarray
    parent: np.ndarray
    char: np.ndarray
    after: np.ndarray
    start: int


@fields("float64[::1]", "float64[::1]", "int64", "int64")
class Probabilities(NamedTuple):
    """Probabilities over a `Graph`.

    p       of each entry's character after its node, float64 (entries,)
    share   the probability that a node leaves to its parent, for characters not seen after it, float64 (nodes,)
    n_vocab V, the end token included
    order   a context has up to order - 1 characters
    """

    p: np.ndarray
    share: np.ndarray
    n_vocab: int
    order: int


@njit
def place_of(first, char, node, token):
    """Return the place of a token among those of a node, char[first[node]] to char[first[node + 1] - 1], or -1."""
    low, end = first[node], first[node + 1]
    size = min(end - low, token + 1)  # the characters differ and are in order: the i-th one is at least i
    while size > 1:
        half = size >> 1
        low += half * (char[low + half] <= token)  # without a branch, which the processor could not predict
        size -= half
    return low if low < end and char[low] == token else -1


@njit
def entry_of(graph, node, token):
    """Return the entry of a token at a node, or -1."""
    return place_of(graph.first, graph.char, node, token)


@njit
def next_node(graph, node, token):
    """Return the node of the longest known context after a token has been read at `node`."""
    while True:
        entry = entry_of(graph, node, token)
        if entry >= 0:
            return graph.after[entry]
        if node == 0:
            return graph.start if token == 0 else 0
        node = graph.parent[node]


@njit
def distribution(graph, probabilities, node, path, out):
    """Write the probability of every token after a node to out (V,). path (order,) is scratch."""
    first, char, p, share = graph.first, graph.char, probabilities.p, probabilities.share
    length = 0
    while node != 0:
        path[length] = node
        length += 1
        node = graph.parent[node]
    path[length] = 0
    out.fill(1 / probabilities.n_vocab)
    for k in range(length, -1, -1):
        at = path[k]
        for v in range(out.size):
            out[v] *= share[at]
        for entry in range(first[at], first[at + 1]):
            out[char[entry]] = p[entry]
