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

Kneser-Ney and Witten-Bell take words with one end token in front, as published. With order - 1 of them, a short prefix
is the context of several orders, with the same counts. Each of these orders multiplies what is left to shorter contexts
by its share, so that beginnings of words are smoothed too little. Fitted smoothing gains from it: beginnings need much
weaker smoothing than other contexts of their length, and repeating a strong one makes it weak. Additive smoothing uses
the highest order alone, so every prefix must have a context there.

With weights a count is a sum of weights; Kneser-Ney then chooses the discount of a count by rounding it up.
"""

from collections.abc import Callable

import numpy as np

from .fitting import distinct, evidence, fit_strengths, sampled, trace_tokens
from .tables import Block, Tables

MIN_DISCOUNT = 0.01
LEAST = 1e-150  # of an entry's probability and of what a context leaves to shorter ones: their product is above 0


def additive(tables: Tables, added: float) -> tuple[np.ndarray, np.ndarray]:
    """Add a number to every count of the highest order: kept (entries,), share (nodes,)."""
    highest = tables.level == tables.order
    total, mass, kept = tables.total, added * tables.n_vocab, np.empty(len(tables.char))
    of_count = np.where(highest, 1 / (total + mass), 0)
    for block in tables.blocks():
        kept[block.entries] = of_count[block.node] * tables.count[block.entries]
    return kept, np.where(highest, mass / (total + mass), 1.0)


def interpolated(tables: Tables, a: np.ndarray, b: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Interpolate with strengths a, b and d (order,): kept (entries,), share (nodes,)."""
    kept, share = np.empty(len(tables.char)), np.empty(len(tables.parent))
    for k, nodes, entries, node in tables.blocks():
        total, different = tables.total[nodes], tables.different[nodes]
        mass = a[k - 1] * different + b[k - 1]
        kept[entries] = np.maximum(tables.count[entries] - d[k - 1], 0)
        kept[entries] /= _positive(total + mass)[node - nodes.start]
        share[nodes] = _share(mass + d[k - 1] * different, total + mass)
    return kept, share


def witten_bell(tables: Tables) -> tuple[np.ndarray, np.ndarray]:
    """Smooth by method C of Witten and Bell: kept (entries,), share (nodes,)."""
    one, zero = np.ones(tables.order), np.zeros(tables.order)
    return interpolated(tables, one, zero, zero)


def kneser_ney(tables: Tables) -> tuple[np.ndarray, np.ndarray]:
    """Smooth by modified Kneser-Ney: kept (entries,), share (nodes,)."""
    counts = _kneser_ney_counts(tables)
    numbers = np.zeros((tables.order, 6), np.int64)  # of counts of 0, 1, ... 4, and more, at each order
    for block in tables.blocks():
        numbers[block.order - 1] += np.bincount(_whole(counts(block), 5), minlength=6)
    D = [np.array([0.0, *discounts(*row[1:5].tolist())]) for row in numbers]
    kept, share = np.empty(len(tables.char)), np.empty(len(tables.parent))
    for block in tables.blocks():
        count = counts(block)
        discount = D[block.order - 1][_whole(count, 3)]
        total = block.sums(count)
        kept[block.entries] = (count - discount) / _positive(total)[block.node - block.nodes.start]
        share[block.nodes] = _share(block.sums(discount), total)
    return kept, share


def _kneser_ney_counts(tables: Tables) -> Callable[[Block], np.ndarray]:
    """Return the counts that Kneser-Ney smooths, as a function of a block."""
    before = np.zeros(tables.first[np.searchsorted(tables.level, tables.order)], np.int64)  # different characters
    for _, _, entries, _ in tables.blocks():
        lower = tables.lower[entries][tables.count[entries] > 0]
        if lower.size and lower[0] >= 0:
            found = np.bincount(lower - lower.min())
            before[lower.min() : lower.min() + len(found)] += found
    np.maximum(before, tables.count[: len(before)] > 0, out=before)  # 0 where all longer contexts were left out as rare

    def counts(block: Block) -> np.ndarray:
        raw_counts = tables.count[block.entries]
        return (
            raw_counts
            if block.order == tables.order
            else np.where(tables.outer_end[block.node], raw_counts, before[block.entries])
        )

    return counts


def _whole(counts: np.ndarray, most: int) -> np.ndarray:
    """Return counts rounded up, but `most` for all above it."""
    return np.ceil(np.minimum(counts, most)).astype(np.int64)


def _positive(total: np.ndarray) -> np.ndarray:
    """Return totals to divide by: 1 for a context that was never seen."""
    return np.where(total > 0, total, 1)


def _share(left: np.ndarray, total: np.ndarray) -> np.ndarray:
    """Return what each node leaves to its parent: all, if it was never seen."""
    return np.where(total > 0, left / _positive(total), 1.0)


def discounts(n1: int, n2: int, n3: int, n4: int) -> tuple[float, float, float]:
    """Estimate the discounts of counts of 1, 2, and 3 or more from the numbers of counts of 1, 2, 3 and 4.

    If one of these numbers is 0, as on a small alphabet, its formula has no value: the discount is then n1 / (n1 + 2
    n2) or, if that has none either, a half. A discount is at most its count, and always above 0.
    """
    y = n1 / (n1 + 2 * n2) if n1 and n2 else 0.5
    found = []
    for r, (here, above) in enumerate(((n1, n2), (n2, n3), (n3, n4)), start=1):
        d = r - (r + 1) * y * above / here if here and above else y
        found.append(float(np.clip(d, MIN_DISCOUNT, r)))
    return found[0], found[1], found[2]


SMOOTHINGS = ("fitted", "kneser-ney", "witten-bell", "additive")
PADDED = ("fitted", "additive")  # smoothings of tables whose words are padded


def keep_positive(tables: Tables, p: np.ndarray, share: np.ndarray) -> None:
    """Raise p (entries,) and share (nodes,) in place, so that no probability is 0 if weights differ by 10^100 or so."""
    np.maximum(p, LEAST, out=p)
    if np.log10(share.min()) * tables.order > np.log10(LEAST):
        return
    left = np.ones(len(share))  # to the empty context and below: the product of the shares on the way
    for block in tables.blocks():
        above = left[tables.parent[block.nodes]] if block.order > 1 else 1.0
        share[block.nodes] = np.maximum(share[block.nodes], LEAST / above)
        left[block.nodes] = above * share[block.nodes]


def constant(tables: Tables, smoothing: str, added: float) -> tuple[np.ndarray, np.ndarray]:
    """Smooth by one of the SMOOTHINGS that are not fitted: kept (entries,), share (nodes,)."""
    match smoothing:
        case "additive":
            return additive(tables, added)
        case "witten-bell":
            return witten_bell(tables)
        case _:
            return kneser_ney(tables)


def smoothed(
    tables: Tables, smoothing: str, added: float, val: np.ndarray, weights: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Smooth tables by one of the SMOOTHINGS; return the arrays of an `Automaton`.

    added       the number that additive smoothing adds to every count
    val         the stream that fitted smoothing is fitted on; it also returns its "strengths" (3, order): a, b and d
    weights     how often each token of val counts (tokens,); None if all count once
    """
    fitted: dict[str, np.ndarray] = {}
    if smoothing == "fitted":
        wanted = sampled(val)
        traced = *trace_tokens(tables, val, wanted), np.ones(len(wanted)) if weights is None else weights[wanted]
        tokens = evidence(tables, *distinct(*traced))
        fitted["strengths"] = np.array(fit_strengths(tokens, tables.n_vocab, tables.scale)[:3])
        kept, share = interpolated(tables, *fitted["strengths"])
    else:
        kept, share = constant(tables, smoothing, added)
    for block in tables.blocks():
        below = kept[tables.lower[block.entries]] if block.order > 1 else 1 / tables.n_vocab
        kept[block.entries] += share[block.node] * below
    graph = {"first": tables.first, "parent": tables.parent, "char": tables.char, "after": tables.after}
    keep_positive(tables, kept, share)
    return {**graph, "start": np.array([tables.start]), "p": kept, "share": share, **fitted}
