"""Fitting the strengths of `smoothing.interpolated` to val, by the gradient of its loss."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ..corpus import whole_words
from .automaton import trace_stream
from .tables import Tables

MAX_FIT_TOKENS = 100_000  # of val, to fit strengths on
TRACED_TOKENS = 1 << 20  # at a time
MAX_LOG_STRENGTH = 12.0  # bound of a fitted logarithm or logit, either way


class Evidence(NamedTuple):
    """What the counts say about M tokens, for each order: arrays (order, M), except for weights.

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


def evidence(
    tables: Tables,
    nodes: np.ndarray,
    entries: np.ndarray,
    others: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> Evidence:
    """Return the evidence of tables about tokens, from nodes and entries (M, order) as `trace_stream` returns them."""
    seen = nodes.T >= 0
    total, different = (np.where(seen, x[nodes.T], 0) for x in (tables.total, tables.different))
    found = np.where(entries.T >= 0, tables.count[entries.T], 0).astype(np.float64)
    return Evidence(seen, total, different, found, others, weights)


Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]  # from numbers (n,) to a value and its gradient (n,)


def fit_loss(tokens: Evidence, n_vocab: int) -> Loss:
    """Return the loss of val tokens as a function of the logarithms of a and b and the logit of d, (3 order,).

    With labels there is also the logit of w, (4 order,). The loss is the mean nll; its gradient follows from the chain
    rule, from the highest order down.
    """
    seen, N, t, n, others, weights = tokens
    order, M = N.shape
    n_tokens = M if weights is None else weights.sum() / weights

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        a, b, d, w = strengths(x, order)
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


def fit_strengths(tokens: Evidence, n_vocab: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Fit the strengths a, b, d and w (order,) to val tokens, by BFGS; w is 1 without labels."""
    order = len(tokens.total)
    n_numbers = (3 if tokens.others is None else 4) * order
    return strengths(minimised(fit_loss(tokens, n_vocab), np.zeros(n_numbers)), order)


def strengths(x: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Map any numbers (3 order,) or (4 order,) to a, b > 0, 0 < d < 1 and 0 < w < 1, (order,) each.

    Without numbers for it, w is 1.
    """
    a, b, d, *w = np.clip(x, -MAX_LOG_STRENGTH, MAX_LOG_STRENGTH).reshape(-1, order)
    return np.exp(a), np.exp(b), 1 / (1 + np.exp(-d)), 1 / (1 + np.exp(-w[0])) if w else np.ones(order)


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


def minimised(function: Loss, x: np.ndarray, steps: int = 200, least: float = 1e-7) -> np.ndarray:
    """Minimise a function by BFGS from x (Broyden, Fletcher, Goldfarb and Shanno 1970); return where it is least.

    After a step that gains less than `least` the next one follows the plain gradient. If that gains less too, it is the
    last.
    """
    value, gradient = function(x)
    inverse, plain = np.eye(len(x)), True
    for _ in range(steps):
        direction = -inverse @ gradient
        direction *= min(1.0, 2.0 / max(np.abs(direction).max(), 1e-12))
        length, slope = 1.0, gradient @ direction
        while True:
            moved = x + length * direction
            found, turned = function(moved)
            if found <= value + 1e-4 * length * slope or length < 1e-6:
                break
            length /= 2
        if not found < value - least:
            if plain:
                return moved if found < value else x
            inverse, plain = np.eye(len(x)), True
            continue
        dx, dg = moved - x, turned - gradient
        if dx @ dg > 1e-12:
            left = np.eye(len(x)) - np.outer(dx, dg) / (dx @ dg)
            inverse = left @ inverse @ left.T + np.outer(dx, dx) / (dx @ dg)
        else:
            inverse = 4 * inverse  # the slope grows: take a longer step
        plain = False
        x, value, gradient = moved, found, turned
    return x
