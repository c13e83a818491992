"""Fitting the strengths of `smoothing.interpolated` to val, by the gradient of its loss."""

from typing import NamedTuple

import numpy as np

from ..corpus import whole_words
from ..engine.bfgs import Loss, minimised
from .automaton import trace_stream
from .tables import Tables

MAX_FIT_TOKENS = 100_000  # of val, to fit strengths on
TRACED_TOKENS = 1 << 20  # at a time
MIN_GAIN = 1e-4  # nats by which a second start must be better
MAX_LOG_STRENGTH = 12.0  # bound of a fitted logarithm or logit, either way


class Evidence(NamedTuple):
    """Counts that bear on M tokens, for each order: arrays (order, M), except for weights.

    seen        True for a context that has been seen
    total       N(h), 0 for a context never seen
    different   t(h), likewise
    found       n(hc)
    others      with labels, p(c | h) by the counts of all labels together; else None
    weights     how often each token counts (M,); None if all count once
    """

    seen: np.ndarray
    total: np.ndarray
    different: np.ndarray
    found: np.ndarray
    others: np.ndarray | None = None
    weights: np.ndarray | None = None


def distinct(nodes: np.ndarray, entries: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the different rows of nodes and entries (M, order), and the sum of the weights (M,) of each.

    Rows are equal if their longest contexts and their entries with the longest contexts are.
    """
    longest = nodes.max(1).astype(np.int64) << 32 | (entries.max(1) + 1)
    _, first, which = np.unique(longest, return_index=True, return_inverse=True)
    return nodes[first], entries[first], np.bincount(which, weights)


def evidence(
    tables: Tables,
    nodes: np.ndarray,
    entries: np.ndarray,
    weights: np.ndarray | None = None,
    others: np.ndarray | None = None,
) -> Evidence:
    """Return the evidence of tables about tokens, from nodes and entries (M, order) as `trace_stream` returns them."""
    seen = nodes.T >= 0
    total, different = (np.where(seen, x[nodes.T], 0) for x in (tables.total, tables.different))
    found = np.where(entries.T >= 0, tables.count[entries.T], 0).astype(np.float64)
    return Evidence(seen, total, different, found, others, weights)


def fit_loss(tokens: Evidence, n_vocab: int, scale: float = 1.0) -> Loss:
    """Return the loss of val tokens as a function of the logarithms of a and b and the logit of d, (3 order,).

    scale is the mean weight of the words counted: a and b are multiples of it.

    With labels there is also the logit of w, (4 order,). The loss is the mean nll; its gradient follows from the chain
    rule, from the highest order down.
    """
    seen, N, t, n, others, weights = tokens
    order, M = N.shape
    n_tokens = M if weights is None else weights.sum() / weights

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        a, b, d, w = strengths(x, order, scale)
        p = [np.full(M, 1 / n_vocab)]
        below = []  # what each order leaves its share to
        for k in range(order):
            m = a[k] * t[k] + b[k]
            below.append(p[k] if others is None else w[k] * p[k] + (1 - w[k]) * others[k])
            mixed = (np.maximum(n[k] - d[k], 0) + (m + d[k] * t[k]) * below[k]) / (N[k] + m)
            p.append(np.where(seen[k], mixed, p[k]))
        gradient, dp = np.zeros((4, order)), -1 / p[-1] / n_tokens
        for k in reversed(range(order)):
            m = a[k] * t[k] + b[k]
            v = np.where(seen[k], dp / (N[k] + m), 0)
            # p_k = (max(n - d, 0) + (m + d t) below) / (N + m)
            dm, dd = v * (below[k] - p[k + 1]), v * (t[k] * below[k] - (n[k] > 0))
            gradient[:3, k] = (dm * t[k]).sum() * a[k], dm.sum() * b[k], dd.sum() * d[k] * (1 - d[k])
            dbelow = v * (m + d[k] * t[k])
            if others is not None:  # below = w p_{k-1} + (1 - w) others
                gradient[3, k] = (dbelow * (p[k] - others[k])).sum() * w[k] * (1 - w[k])
                dbelow *= w[k]
            dp = np.where(seen[k], dbelow, dp)
        return float(-np.average(np.log(p[-1]), weights=weights)), gradient[: len(x) // order].ravel()

    return loss


def fit_strengths(
    tokens: Evidence, n_vocab: int, scale: float = 1.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Fit the strengths a, b, d and w (order,) to val tokens, by BFGS; w is 1 without labels.

    The first start is a = b = 1, as for repeated words. It is far from the minimum if weights are large: then a and b
    also start at their scale.
    """
    order = len(tokens.total)
    n_numbers = (3 if tokens.others is None else 4) * order
    loss, best = fit_loss(tokens, n_vocab, scale), np.inf
    found = start = np.zeros(n_numbers)
    start[: 2 * order] = -np.log(scale)
    for first in [start, np.zeros(n_numbers)] if scale > 1 else [start]:
        x = minimised(loss, first)
        value = loss(x)[0]
        if value < best - MIN_GAIN:
            found, best = x, value
    return strengths(found, order, scale)


def strengths(x: np.ndarray, order: int, scale: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Map any numbers (3 order,) or (4 order,) to a, b > 0, 0 < d < 1 and 0 < w < 1, (order,) each.

    Without numbers for it, w is 1.
    """
    a, b, d, *w = np.clip(x, -MAX_LOG_STRENGTH, MAX_LOG_STRENGTH).reshape(-1, order)
    return scale * np.exp(a), scale * np.exp(b), 1 / (1 + np.exp(-d)), 1 / (1 + np.exp(-w[0])) if w else np.ones(order)


def sampled(stream: np.ndarray, most: int = MAX_FIT_TOKENS) -> np.ndarray:
    """Return the numbers of the tokens of a stream to fit on: all of them, or `most` drawn at random."""
    n = len(stream) - 1
    return np.arange(n) if n <= most else np.random.default_rng(0).choice(n, most, replace=False)


def trace_tokens(tables: Tables, stream: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Trace some tokens of a stream as `trace_stream` does; memory is used only for these."""
    nodes, entries = np.zeros((2, len(wanted), tables.order), np.int32)
    begin = 0
    for words in whole_words(stream, TRACED_TOKENS):
        here = np.flatnonzero((wanted >= begin) & (wanted < begin + len(words) - 1))
        for chosen, found in zip((nodes, entries), trace_stream(tables, words), strict=True):
            chosen[here] = found[wanted[here] - begin]
        begin += len(words) - 1
    return nodes, entries
