"""Counts and smoothing for each label of a list: the counts of a label back off to those of all words.

The tables of a label are those of all words, with its own counts. With kept and share by a smoothing of these counts
(see `smoothing`), and p without a label for all words,

    p_k(c | h, label) = kept(hc) + share(h) (w_k p_{k-1}(c | h', label) + (1 - w_k) p_k(c | h))

So the share of a context goes partly to the shorter context with the same label, and partly to the same context with
any label. Fitted smoothing fits w to val with its other strengths; it is CONSTANT_W for witten-bell and kneser-ney, and
1 for additive smoothing, which has no shorter contexts.

A character that no word has after h leaves all to h'. Its share there is the one with which p sums to one. So all
labels share one graph, and given a label the probabilities are an automaton like any other.
"""

# pyright: reportMissingParameterType=false

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from ..corpus.stream import Words, per_token
from ..engine.compiler import compiler
from ..errors import InputError
from .fitting import MAX_FIT_TOKENS, Evidence, evidence, fit_strengths, sampled, trace_tokens
from .kernels import Graph, entry_of, next_node
from .smoothing import constant, interpolated, keep_positive
from .tables import Tables

CONSTANT_W = 0.9  # near the values that are fitted on lists of names and of words
LEAST_SHARE = 1e-12  # of a context after which all characters were seen


def recount(graph, stream, weights, counts):
    """Add the weight of each word of stream (M,) to the counts (entries,) of all its tokens; weights (words,)."""
    node, word = graph.start, 0
    for i in range(1, stream.size):
        token, at = stream[i], node
        while True:
            entry = entry_of(graph, at, token)
            if entry >= 0:
                counts[entry] += weights[word]
            if at == 0:
                break
            at = graph.parent[at]
        node = next_node(graph, node, token)
        word += token == 0


SIGNATURES = {recount: "void(Graph, int32[::1], float64[::1], float64[::1])"}
compiled = compiler(SIGNATURES, "label counting")


def recounted(tables: Tables, words: Words) -> Tables:
    """Return tables with the weighted counts of some words in place of their own."""
    counts, stream = np.zeros(len(tables.char)), words.stream
    weights = np.ones(np.count_nonzero(stream[1:] == 0)) if words.weights is None else words.weights
    t = tables
    compiled(recount)(Graph(t.first, t.parent, t.char, t.after, t.start), stream, weights, counts)
    return replace(tables, count=counts, scale=float(weights.mean()) if len(weights) else 1.0)


def smoothed_by_label(
    tables: Tables,
    smoothing: str,
    added: float,
    train: Sequence[Words],
    val: Sequence[Words],
    of_all: dict[str, np.ndarray],
    memory: int,
) -> dict[str, np.ndarray]:
    """Smooth the counts of each label; return the arrays of an `Automaton`, with p (labels, entries) and share (labels,
    nodes).

    tables, of_all      counts of all words, and the arrays that `smoothed` made of them
    train, val          the words of each label

    Fitted smoothing returns its "strengths" (4, order) too: a, b, d and w. Raises InputError if the arrays would take
    more than `memory` bytes.
    """
    size = 8 * len(train) * (len(tables.char) + len(tables.parent))
    if size > memory:
        raise InputError(
            f"the counts of {len(train):,} labels would take {size / 2**30:.3g} GB, more than {memory / 2**30:.3g} GB "
            f"(--memory): count shorter sequences, with --order {tables.order - 1}, or leave out the rare ones, with "
            "--at-least 2"
        )
    p = np.array([recounted(tables, words).count for words in train])
    share = np.empty((len(train), len(tables.parent)))
    w, fitted = np.full(tables.order, 1.0 if smoothing == "additive" else CONSTANT_W), {}
    if smoothing == "fitted":
        tokens = [_evidence(replace(tables, count=n), words, val, of_all) for n, words in zip(p, val, strict=True)]
        *abd, w = fit_strengths(_joined(tokens), tables.n_vocab, tables.scale)
        fitted["strengths"] = np.array([*abd, w])
    for counts, left in zip(p, share, strict=True):
        of_label = replace(tables, count=counts.copy())
        if smoothing == "fitted":
            kept, left[:] = interpolated(of_label, *fitted["strengths"][:3])
        else:
            kept, left[:] = constant(of_label, smoothing, added)
        counts[:] = kept
        _back_off(tables, w, counts, left, of_all["p"])
    return {**of_all, "p": p, "share": share, **fitted}


def _back_off(tables: Tables, w: np.ndarray, p: np.ndarray, share: np.ndarray, of_all: np.ndarray) -> None:
    """Turn kept (entries,) and share (nodes,) of a label into the probabilities of an `Automaton`, in place."""
    node, level = tables.node, tables.level
    for k in range(1, tables.order + 1):
        here, nodes = np.flatnonzero(level[node] == k), level == k
        below = p[tables.lower[here]] if k > 1 else np.full(len(here), 1 / tables.n_vocab)
        p[here] += share[node[here]] * (w[k - 1] * below + (1 - w[k - 1]) * of_all[here])
        if w[k - 1] < 1:
            # What all words leave to characters never seen after h, for each part that the label leaves them at h'.
            seen, seen_below = (np.bincount(node[here], x, len(share))[nodes] for x in (of_all[here], below))
            ratio = np.maximum(1 - seen, 0) / np.maximum(1 - seen_below, LEAST_SHARE)
            share[nodes] = np.maximum(share[nodes] * (w[k - 1] + (1 - w[k - 1]) * ratio), LEAST_SHARE)
    keep_positive(tables, p, share)


def _evidence(tables: Tables, words: Words, val: Sequence[Words], of_all: dict[str, np.ndarray]) -> Evidence:
    """Return the evidence about some tokens of one label's val words, as many as its part of all val tokens."""
    n = sum(len(part.stream) - 1 for part in val)
    wanted = sampled(words.stream, max(1, MAX_FIT_TOKENS * (len(words.stream) - 1) // n))
    nodes, entries = trace_tokens(tables, words.stream, wanted)
    others, p = np.empty(nodes.T.shape), np.full(len(wanted), 1 / tables.n_vocab)
    for k, (at, entry) in enumerate(zip(nodes.T, entries.T, strict=True)):
        p = np.where(entry >= 0, of_all["p"][entry], np.where(at >= 0, of_all["share"][at], 1) * p)
        others[k] = p
    weights = np.ones(len(wanted))
    if words.weights is not None:
        weights = per_token(words.stream, words.weights)[wanted]
    return evidence(tables, nodes, entries, weights, others)


def _joined(tokens: Sequence[Evidence]) -> Evidence:
    """Join the evidence about the tokens of several labels."""
    *by_order, weights = zip(*tokens, strict=True)
    return Evidence(*(np.concatenate(rows, axis=1) for rows in by_order), weights=np.concatenate(weights))
