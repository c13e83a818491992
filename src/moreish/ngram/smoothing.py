"""From counts to probabilities that leave nothing impossible.

All smoothings but the additive one interpolate from order 1 up. Of a context h and a character c with count n(hc), out
of N(h) in all and t(h) different characters,

    p_k(c | h) = kept(hc) + share(h) p_{k-1}(c | h')           h' is h without its first character, p_0 is 1 / V

so what a smoothing gives is `kept` for every entry and `share` for every node; a context never seen backs off whole.

witten-bell     kept = n / (N + t), share = t / (N + t). Witten and Bell 1991, method C
kneser-ney      kept = (n - D) / N, share = (sum of D) / N, where D is one of three discounts, for counts of 1, 2 and
                more, from how many entries have these counts. Below the highest order n counts different characters
                before, unless only the beginning of a word can stand there. Chen and Goodman 1999, section 3
fitted          kept = max(n - d, 0) / (N + m), share = (m + d t) / (N + m), m = a t + b: a discount and a pseudo-mass
                for each order, a, b and d being fitted on val. Words are short, and the usual constants far too weak
additive        kept = n / (N + A V), share = A V / (N + A V), at the highest order alone: the lower ones are uniform
"""

from collections.abc import Callable

import numpy as np

from ..corpus import whole_words
from .automaton import traced
from .tables import Tables

VAL_TOKENS = 100_000  # that strengths are fitted on, at most
TOKENS = 1 << 20  # that are traced at a time
LIMIT = 12.0  # of a fitted number, in logarithms
LEAST = 0.01  # discount


def additive(tables: Tables, added: float) -> tuple[np.ndarray, np.ndarray]:
    """Add a number to every count of the highest order -> kept (entries,), share (nodes,)."""
    highest = tables.level == tables.order
    total, mass = tables.sums(tables.count), added * tables.n_vocab
    kept = np.where(highest, 1 / (total + mass), 0)[tables.node] * tables.count
    return kept, np.where(highest, mass / (total + mass), 1.0)


def interpolated(tables: Tables, a: np.ndarray, b: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The strengths of each order, (order,) each -> kept (entries,), share (nodes,)."""
    k = tables.level - 1
    total, kinds = tables.sums(tables.count), np.diff(tables.first)
    mass = a[k] * kinds + b[k]
    kept = np.maximum(tables.count - d[k][tables.node], 0) / (total + mass)[tables.node]
    return kept, (mass + d[k] * kinds) / (total + mass)


def witten_bell(tables: Tables) -> tuple[np.ndarray, np.ndarray]:
    """-> kept (entries,), share (nodes,)."""
    one, zero = np.ones(tables.order), np.zeros(tables.order)
    return interpolated(tables, one, zero, zero)


def kneser_ney(tables: Tables) -> tuple[np.ndarray, np.ndarray]:
    """-> kept (entries,), share (nodes,)."""
    node = tables.node
    before = np.bincount(tables.lower[tables.lower >= 0], minlength=len(tables.char))  # different characters before
    before = np.maximum(before, 1)  # none is known where all that are longer were left out
    raw = (tables.level == tables.order) | tables.outer_end
    count = np.where(raw[node], tables.count, before)
    total, discount = tables.sums(count), np.zeros(len(count))
    for k in range(1, tables.order + 1):
        here = tables.level[node] == k
        D = np.array([0.0, *discounts(count[here])])
        discount[here] = D[np.minimum(count[here], 3)]
    return (count - discount) / total[node], tables.sums(discount) / total


def discounts(counts: np.ndarray) -> tuple[float, float, float]:
    """The discounts of counts of 1, 2, and 3 or more, by how many there are of 1, 2, 3 and 4.

    Where some of these do not occur, as on a small alphabet, the formulas have no value: then a half, or what the lower
    ones give. A discount is never more than its count, nor so small that nothing is left for the unseen.
    """
    n1, n2, n3, n4 = (int((counts == r).sum()) for r in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
    found = []
    for r, (here, above) in enumerate(((n1, n2), (n2, n3), (n3, n4)), start=1):
        d = r - (r + 1) * y * above / here if here and above else y
        found.append(float(np.clip(d, LEAST, r)))
    return found[0], found[1], found[2]


def fit_strengths(tables: Tables, nodes: np.ndarray, entries: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The strengths a, b and d (order,) that give val tokens the least loss.

    nodes, entries (M, order): each token's contexts and its entry in each, -1 where there is none. The loss of all
    tokens and its gradient, by the chain rule from the highest order down, go into the method of Broyden, Fletcher,
    Goldfarb and Shanno, over the logarithms of a and b and the logit of d.
    """
    total, kinds = tables.sums(tables.count), np.diff(tables.first).astype(np.float64)
    seen = nodes.T >= 0
    N, t = np.where(seen, total[nodes.T], 0), np.where(seen, kinds[nodes.T], 0)
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

    return strengths(minimised(loss, np.zeros(3 * tables.order)))


def traced_some(tables: Tables, stream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What `traced` says of a stream, of VAL_TOKENS tokens drawn from it if it has more; in memory for those alone."""
    n = len(stream) - 1
    some = np.arange(n) if n <= VAL_TOKENS else np.random.default_rng(0).choice(n, VAL_TOKENS, replace=False)
    nodes, entries = np.zeros((2, len(some), tables.order), np.int32)
    begin = 0
    for words in whole_words(stream, TOKENS):
        here = np.flatnonzero((some >= begin) & (some < begin + len(words) - 1))
        for chosen, found in zip((nodes, entries), traced(tables, words), strict=True):
            chosen[here] = found[some[here] - begin]
        begin += len(words) - 1
    return nodes, entries


def strengths(x: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """a, b > 0 and 0 < d < 1, (order,) each, from any numbers (3 order,)."""
    a, b, d = np.clip(x, -LIMIT, LIMIT).reshape(3, -1)
    return np.exp(a), np.exp(b), 1 / (1 + np.exp(-d))


def minimised(
    function: Callable[[np.ndarray], tuple[float, np.ndarray]], x: np.ndarray, steps: int = 200, least: float = 1e-7
) -> np.ndarray:
    """Where a function, which gives its value and gradient, is least: BFGS from x.

    A step that gains under `least` is followed by one along the plain gradient, and the second such one is the last.
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
            inverse = 4 * inverse  # the slope grows: go further
        plain = False
        x, value, gradient = moved, found, turned
    return x


SMOOTHINGS = ("fitted", "kneser-ney", "witten-bell", "additive")


def smoothed(tables: Tables, smoothing: str, added: float, val: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of an `Automaton` with one of the SMOOTHINGS.

    added is for the additive one, a val stream for the fitted one, which has its strengths among the arrays too:
    (3, order), the a, b and d of each order.
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
            fitted["strengths"] = np.array(fit_strengths(tables, *traced_some(tables, val)))
            kept, share = interpolated(tables, *fitted["strengths"])
    p, node, level = kept.copy(), tables.node, tables.level
    for k in range(1, tables.order + 1):
        here = level[node] == k
        below = p[tables.lower[here]] if k > 1 else 1 / tables.n_vocab
        p[here] += share[node[here]] * below
    walk = {"first": tables.first, "parent": tables.parent, "char": tables.char, "after": tables.after}
    return {**walk, "start": np.array([tables.start]), "p": p, "share": share, **fitted}
