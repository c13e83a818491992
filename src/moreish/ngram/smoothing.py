"""Smoothing: from counts to probabilities, none of which is zero.

All smoothings but the additive one interpolate from order 1 up. For a context h that occurs N(h) times, before t(h)
different characters, and a character c that follows it n(hc) times,

    p_k(c | h) = kept(hc) + share(h) p_{k-1}(c | h')           h' is h without its first character, p_0 is 1 / V

So a smoothing is `kept` for every entry and `share` for every node; a context never seen leaves all to h'.

witten-bell     kept = n / (N + t), share = t / (N + t). Witten and Bell 1991, method C
kneser-ney      kept = (n - D) / N, share = (sum of D) / N, where D is one of three discounts, for counts of 1, 2 and
                more, estimated from the numbers of entries with these counts. Below the highest order n is the number
                of different characters before hc, unless h begins a word. Chen and Goodman 1999, section 3
fitted          kept = max(n - d, 0) / (N + m), share = (m + d t) / (N + m), m = a t + b: a discount and a pseudo-mass
                for each order; a, b and d are fitted on val. Words are short, and the usual constants are far too weak
additive        kept = n / (N + A V), share = A V / (N + A V), at the highest order only: the lower ones are uniform
"""

from collections.abc import Callable

import numpy as np

from ..corpus import whole_words
from .automaton import trace_stream
from .tables import Tables

MAX_FIT_TOKENS = 100_000  # of val, to fit strengths on
TRACED_TOKENS = 1 << 20  # at a time
MAX_LOG_STRENGTH = 12.0  # bound of a fitted logarithm or logit, either way
MIN_DISCOUNT = 0.01


def additive(tables: Tables, added: float) -> tuple[np.ndarray, np.ndarray]:
    """Add a number to every count of the highest order: kept (entries,), share (nodes,)."""
    highest = tables.level == tables.order
    total, mass = tables.sums(tables.count), added * tables.n_vocab
    kept = np.where(highest, 1 / (total + mass), 0)[tables.node] * tables.count
    return kept, np.where(highest, mass / (total + mass), 1.0)


def interpolated(tables: Tables, a: np.ndarray, b: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate with strengths a, b and d (order,): kept (entries,), share (nodes,)."""
    k = tables.level - 1
    total, different = tables.sums(tables.count), np.diff(tables.first)
    mass = a[k] * different + b[k]
    kept = np.maximum(tables.count - d[k][tables.node], 0) / (total + mass)[tables.node]
    return kept, (mass + d[k] * different) / (total + mass)


def witten_bell(tables: Tables) -> tuple[np.ndarray, np.ndarray]:
    """Smooth by method C of Witten and Bell: kept (entries,), share (nodes,)."""
    one, zero = np.ones(tables.order), np.zeros(tables.order)
    return interpolated(tables, one, zero, zero)


def kneser_ney(tables: Tables) -> tuple[np.ndarray, np.ndarray]:
    """Smooth by modified Kneser-Ney: kept (entries,), share (nodes,)."""
    node = tables.node
    before = np.bincount(tables.lower[tables.lower >= 0], minlength=len(tables.char))  # different characters before
    before = np.maximum(before, 1)  # 0 where all longer contexts were left out as rare
    raw = (tables.level == tables.order) | tables.outer_end
    count = np.where(raw[node], tables.count, before)
    total, discount = tables.sums(count), np.zeros(len(count))
    for k in range(1, tables.order + 1):
        here = tables.level[node] == k
        D = np.array([0.0, *discounts(count[here])])
        discount[here] = D[np.minimum(count[here], 3)]
    return (count - discount) / total[node], tables.sums(discount) / total


def discounts(counts: np.ndarray) -> tuple[float, float, float]:
    """Estimate the discounts of counts of 1, 2, and 3 or more from the numbers of counts of 1, 2, 3 and 4.

    If one of these numbers is 0, as on a small alphabet, its formula has no value: the discount is then n1 / (n1 + 2
    n2) or, if that has none either, a half. A discount is at most its count, and always above 0.
    """
    n1, n2, n3, n4 = (int((counts == r).sum()) for r in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
    found = []
    for r, (here, above) in enumerate(((n1, n2), (n2, n3), (n3, n4)), start=1):
        d = r - (r + 1) * y * above / here if here and above else y
        found.append(float(np.clip(d, MIN_DISCOUNT, r)))
    return found[0], found[1], found[2]


Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]  # from numbers (n,) to a value and its gradient (n,)


def fit_loss(tables: Tables, nodes: np.ndarray, entries: np.ndarray) -> Loss:
    """Return the loss of val tokens as a function of the logarithms of a and b and the logit of d, (3 order,).

    nodes, entries (M, order) are the contexts of each token and its entry in each, -1 where there is none. The loss is
    the mean nll; its gradient follows from the chain rule, from the highest order down.
    """
    total, different = tables.sums(tables.count), np.diff(tables.first).astype(np.float64)
    seen = nodes.T >= 0
    N, t = np.where(seen, total[nodes.T], 0), np.where(seen, different[nodes.T], 0)
    n = np.where(entries.T >= 0, tables.count[entries.T], 0).astype(np.float64)
    M = len(nodes)

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        a, b, d = strengths(x)
        p = [np.full(M, 1 / tables.n_vocab)]
        for k in range(tables.order):
            m = a[k] * t[k] + b[k]
            mixed = (np.maximum(n[k] - d[k], 0) + (m + d[k] * t[k]) * p[k]) / (N[k] + m)
            p.append(np.where(seen[k], mixed, p[k]))
        gradient, dp = np.zeros((3, tables.order)), -1 / p[-1] / M
        for k in reversed(range(tables.order)):
            m = a[k] * t[k] + b[k]
            w = np.where(seen[k], dp / (N[k] + m), 0)
            # p_k = (max(n - d, 0) + (m + d t) p_{k-1}) / (N + m)
            dm, dd = w * (p[k] - p[k + 1]), w * (t[k] * p[k] - (n[k] > 0))
            gradient[:, k] = (dm * t[k]).sum() * a[k], dm.sum() * b[k], dd.sum() * d[k] * (1 - d[k])
            dp = np.where(seen[k], w * (m + d[k] * t[k]), dp)
        return float(-np.log(p[-1]).mean()), gradient.ravel()

    return loss


def fit_strengths(tables: Tables, val: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Fit the strengths a, b and d (order,) to a val stream, by BFGS."""
    loss = fit_loss(tables, *trace_sample(tables, val))
    return strengths(minimised(loss, np.zeros(3 * tables.order)))


def trace_sample(tables: Tables, stream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Trace the tokens of a stream as `trace_stream` does, or MAX_FIT_TOKENS drawn from them if there are more.

    Memory is used only for the tokens drawn.
    """
    n = len(stream) - 1
    drawn = np.arange(n) if n <= MAX_FIT_TOKENS else np.random.default_rng(0).choice(n, MAX_FIT_TOKENS, replace=False)
    nodes, entries = np.zeros((2, len(drawn), tables.order), np.int32)
    begin = 0
    for words in whole_words(stream, TRACED_TOKENS):
        here = np.flatnonzero((drawn >= begin) & (drawn < begin + len(words) - 1))
        for chosen, found in zip((nodes, entries), trace_stream(tables, words), strict=True):
            chosen[here] = found[drawn[here] - begin]
        begin += len(words) - 1
    return nodes, entries


def strengths(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Map any numbers (3 order,) to a, b > 0 and 0 < d < 1, (order,) each."""
    a, b, d = np.clip(x, -MAX_LOG_STRENGTH, MAX_LOG_STRENGTH).reshape(3, -1)
    return np.exp(a), np.exp(b), 1 / (1 + np.exp(-d))


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


SMOOTHINGS = ("fitted", "kneser-ney", "witten-bell", "additive")


def smoothed(tables: Tables, smoothing: str, added: float, val: np.ndarray) -> dict[str, np.ndarray]:
    """Smooth tables by one of the SMOOTHINGS; return the arrays of an `Automaton`.

    added       the number that additive smoothing adds to every count
    val         the stream that fitted smoothing is fitted on; it also returns its "strengths" (3, order): a, b and d
    """
    fitted: dict[str, np.ndarray] = {}
    match smoothing:
        case "additive":
            kept, share = additive(tables, added)
        case "witten-bell":
            kept, share = witten_bell(tables)
        case "kneser-ney":
            kept, share = kneser_ney(tables)
        case _:
            fitted["strengths"] = np.array(fit_strengths(tables, val))
            kept, share = interpolated(tables, *fitted["strengths"])
    p, node, level = kept.copy(), tables.node, tables.level
    for k in range(1, tables.order + 1):
        here = level[node] == k
        below = p[tables.lower[here]] if k > 1 else 1 / tables.n_vocab
        p[here] += share[node[here]] * below
    graph = {"first": tables.first, "parent": tables.parent, "char": tables.char, "after": tables.after}
    return {**graph, "start": np.array([tables.start]), "p": p, "share": share, **fitted}
