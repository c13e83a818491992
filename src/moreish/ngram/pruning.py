"""Pruning by entropy: entries that change the probabilities least are left out of an automaton of counts.

After a context h, the characters c in E(h) have entries with p(c | h), and all others have a(h) p(c | h'), where a is
the share of h, and h' is its parent. Sums over c give a(h) = A / B, with

    A = 1 - sum over E(h) of p(c | h)       B = 1 - sum over E(h) of p(c | h')

Without the entry of c, this becomes â = (A + p(c | h)) / (B + p(c | h')). Then c has â p(c | h'), and all that were not
in E(h) have â / a times what they had. So the relative entropy of the distributions after h, with the entry and
without, is

    d(hc) = p(c | h) log(p(c | h) / (â p(c | h'))) + A log(a / â)

A longer context x, whose parent is h, gives a(x) p(v | h) to the characters v that it has no entries for. If c is one
of them, their sum stays the same, and so does a(x). The relative entropy after x is then a(x) d(hc), and so on for
contexts longer than x. With the frequency f(h) of the tokens that are read at h, the whole model loses

    cost(hc) = m(h) d(hc)       m(h) = f(h) + sum of a(x) m(x) over all x whose parent is h

nats per token: the expected rise of the loss, if characters follow contexts as the model says. With labels, the costs
of all labels are added, each weighted by its part of the train words. This is the criterion of Stolcke 1998,
"Entropy-based pruning of backoff language models", with three differences: longer contexts are part of it, f is counted
in the train words, where Stolcke takes the model's own probability of h, and entries are judged one after another.

Contexts are visited from the longest to the shortest, and their entries one after another. Each that costs less than a
threshold is left out, and A, B and a(h) change before the next is judged: so the costs of a context add up to the
relative entropy without all its entries that were left out. Stolcke judges them independently. That fails for a context
that has seen every character: any one entry follows from the others and costs nothing, and all would be left out.

An entry is always kept if a kept context needs it: one that is reached through it, or a longer one with an entry of the
same character. So all shares but a(h) stay as they are. Contexts without entries are left out, and what led there leads
to the longest context that is kept. Single characters (order 1) always stay.
"""

# pyright: reportMissingParameterType=false

from collections.abc import Sequence

import numpy as np

from ..corpus.stream import Words
from ..engine.compiler import compiler
from .kernels import Graph, entry_of, next_node

OF_GRAPH = ("first", "parent", "char", "after", "start")


def visit(graph, stream, weights, visits):
    """Add the weight of each word of stream (M,) to the visits (nodes,) of the nodes at its tokens."""
    node, word = graph.start, 0
    for i in range(1, stream.size):
        visits[node] += weights[word]
        node = next_node(graph, node, stream[i])
        word += stream[i] == 0


def prune(graph, p, share, mass, n_vocab, threshold, costs):
    """Write the cost of every entry to costs (E,), infinite if it is needed; leave out those below a threshold.

    p (L, E) and share (L, nodes) are those of L labels; mass (L, nodes) begins as f and ends as m. The shares of the
    contexts that lose an entry are set; that of a context without entries becomes 1.
    """
    first, parent, char, after = graph.first, graph.parent, graph.char, graph.after
    L, n_nodes = share.shape
    needed, fixed = np.zeros(char.size, np.bool_), np.zeros(n_nodes, np.bool_)
    stays = np.ones(n_nodes, np.bool_)
    lower = np.empty((L, n_vocab))  # p(c | h') of the entries of h
    weight, left, below = np.empty(L), np.empty(L), np.empty(L)  # left is A, below is B
    costs[: first[1]] = np.inf
    for h in range(n_nodes - 1, 0, -1):
        below.fill(1.0)
        for e in range(first[h], first[h + 1]):
            at, token = parent[h], char[e]
            weight.fill(1.0)
            entry = entry_of(graph, at, token)
            while entry < 0 and at != 0:
                weight *= share[:, at]
                at = parent[at]
                entry = entry_of(graph, at, token)
            for k in range(L):
                lower[k, token] = weight[k] * (p[k, entry] if entry >= 0 else share[k, 0] / n_vocab)
                below[k] -= lower[k, token]
        below = np.maximum(below, 0.0)
        left[:] = share[:, h] * below
        kept = 0
        for e in range(first[h], first[h + 1]):
            token = char[e]
            if fixed[h] or needed[e] or (after[e] != next_node(graph, parent[h], token) and stays[after[e]]):
                costs[e] = np.inf
            else:
                cost = 0.0
                for k in range(L):
                    own, low = p[k, e], lower[k, token]
                    new = (left[k] + own) / (below[k] + low)
                    d = own * np.log(own / (new * low)) + left[k] * np.log(share[k, h] / new)
                    cost += mass[k, h] * d
                costs[e] = max(cost, 0.0)
            if costs[e] < threshold:
                left += p[:, e]
                below += lower[:, token]
                share[:, h] = left / below
                continue
            kept += 1
            at = parent[h]
            entry = entry_of(graph, at, token)
            while entry < 0 and at != 0:
                fixed[at] = True
                at = parent[at]
                entry = entry_of(graph, at, token)
            if entry >= 0:
                needed[entry] = True
        if kept == 0:
            stays[h] = False
            share[:, h] = 1.0
        mass[:, parent[h]] += share[:, h] * mass[:, h]


def renumber(parent, stays, number):
    """Write the number of each node (nodes,) among those that stay, or of the longest one that it shortens to."""
    n = 0
    for h in range(parent.size):
        number[h] = n if stays[h] else number[parent[h]]
        n += stays[h]


SIGNATURES = {
    visit: "void(Graph, int32[::1], float64[::1], float64[::1])",
    prune: "void(Graph, float64[:, ::1], float64[:, ::1], float64[:, ::1], int64, float64, float64[::1])",
    renumber: "void(int32[::1], boolean[::1], int32[::1])",
}
compiled = compiler(SIGNATURES, "n-gram pruning")


def graph_of(arrays: dict[str, np.ndarray]) -> Graph:
    """Return the graph in the arrays of an `Automaton`."""
    first, parent, char, after, start = (arrays[name] for name in OF_GRAPH)
    return Graph(first, parent, char, after, int(start[0]))


def without_counts(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return the arrays of an `Automaton` and the strengths, without counts that are kept for merging."""
    return {name: array for name, array in arrays.items() if name in (*OF_GRAPH, "p", "share", "strengths")}


def frequencies(arrays: dict[str, np.ndarray], words: Sequence[Words]) -> np.ndarray:
    """Return the part of all tokens of some words that are read at each node: float64 (L, nodes), for L labels."""
    found = np.zeros((len(words), len(arrays["parent"])))
    for visits, of in zip(found, words, strict=True):
        weights = np.ones(np.count_nonzero(of.stream[1:] == 0)) if of.weights is None else of.weights
        compiled(visit)(graph_of(arrays), of.stream, weights, visits)
    return found / found.sum()


def costs_of(
    arrays: dict[str, np.ndarray], n_vocab: int, frequency: np.ndarray, threshold: float = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Return the costs of all entries in nats per token, (E,), and the shares (L, nodes) without the cheaper ones.

    arrays      of an `Automaton`; with labels, p (L, E) and share (L, nodes)
    frequency   of each node, (L, nodes): see `frequencies`
    threshold   entries that cost less are left out
    """
    p, share = np.atleast_2d(arrays["p"]), np.atleast_2d(arrays["share"]).copy()
    costs = np.zeros(p.shape[1])
    compiled(prune)(graph_of(arrays), p, share, frequency.copy(), n_vocab, threshold, costs)
    return costs, share


def pruned(
    arrays: dict[str, np.ndarray], n_vocab: int, frequency: np.ndarray, threshold: float
) -> dict[str, np.ndarray]:
    """Return the arrays of an automaton without the entries that cost less than a threshold, in nats per token.

    See `costs_of` for the arguments.
    """
    costs, share = costs_of(arrays, n_vocab, frequency, threshold)
    kept, size, parent = costs >= threshold, np.diff(arrays["first"]), arrays["parent"]
    n_kept = np.bincount(np.repeat(np.arange(len(parent)), size), kept, len(parent)).astype(np.int64)
    stays, number = n_kept > 0, np.empty_like(parent)
    compiled(renumber)(parent, stays, number)
    return {
        **without_counts(arrays),
        "first": np.concatenate([[0], np.cumsum(n_kept[stays])]),
        "parent": number[parent[stays]],
        "char": arrays["char"][kept],
        "after": number[arrays["after"][kept]],
        "start": number[arrays["start"]].astype(np.int64),
        "p": np.ascontiguousarray(arrays["p"][..., kept]),
        "share": np.ascontiguousarray(share[..., stays].reshape(*arrays["share"].shape[:-1], -1)),
    }


def n_bytes(arrays: dict[str, np.ndarray]) -> int:
    """Return the bytes of some arrays in a file or in memory."""
    return sum(array.nbytes for array in arrays.values())
