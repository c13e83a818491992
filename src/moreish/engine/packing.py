"""Whole words as the rows of a batch, level by level, with equal prefixes as one row (see `layers.levels`).

Words are sorted first, so that words which share a prefix are neighbours. A word shares rows with the word before it as
far as both are equal: the number of tokens in common is enough to find all rows.
"""

# pyright: reportMissingParameterType=false

from typing import NamedTuple

import numpy as np

from ..corpus.stream import END
from ..layers.jit import njit
from ..layers.levels import DEPTH, FROM_START, GIVEN, N_LEVELS, N_PAIRS, REMEMBERED, STRIDE
from ..layers.random import bits


class SortedWords(NamedTuple):
    """Some of the words of a stream.

    stream      (M,) int32: words one after another, each ended by 0
    begins      (n,) int64: the place of the first token of each word
    labels      (n,) int64: the label of each; empty if there are none
    weights     (n,) int64: how often each counts
    order       (n,) int64: the words in sorted order, see `sort_words`
    common      (n,) int64: for each word in this order, the tokens that it has in common with the one before it, its
                end included; -1 if they have different labels
    """

    stream: np.ndarray
    begins: np.ndarray
    labels: np.ndarray
    weights: np.ndarray
    order: np.ndarray
    common: np.ndarray

    def lengths(self) -> np.ndarray:
        """Return the number of characters of each word, in the order of `begins`."""
        ends = np.flatnonzero(self.stream == END)
        return ends[np.searchsorted(ends, self.begins)] - self.begins


@njit
def in_common(words, a, b):
    """The number of equal tokens at the beginning of two words, the end included; -1 if their labels differ."""
    stream = words.stream
    if words.labels.size and words.labels[a] != words.labels[b]:
        return -1
    i, j, n = words.begins[a], words.begins[b], 0
    while stream[i + n] == stream[j + n]:
        if stream[i + n] == 0:
            return n + 1
        n += 1
    return n


@njit
def is_before(words, a, b):
    """True if word a comes before word b or equals it, in the order of labels and then of tokens."""
    n = in_common(words, a, b)
    if n < 0:
        return words.labels[a] < words.labels[b]
    x, y = words.stream[words.begins[a] + n - 1], words.stream[words.begins[b] + n - 1]
    if n and x == 0 and y == 0:
        return True
    return words.stream[words.begins[a] + n] < words.stream[words.begins[b] + n]


@njit
def sort_words(words, scratch):
    """Sort words.order by merging, and write words.common; scratch (n,) int64."""
    n, width = words.order.size, 1
    order, other = words.order, scratch
    while width < n:
        for start in range(0, n, 2 * width):
            middle, end = min(start + width, n), min(start + 2 * width, n)
            i, j = start, middle
            for k in range(start, end):
                if j >= end or (i < middle and is_before(words, order[i], order[j])):
                    other[k] = order[i]
                    i += 1
                else:
                    other[k] = order[j]
                    j += 1
        for k in range(n):
            order[k] = other[k]
        width *= 2
    for k in range(n):
        words.common[k] = in_common(words, order[k - 1], order[k]) if k else -1


@njit
def length_of(words, word):
    """The number of characters of a word."""
    n = 0
    while words.stream[words.begins[word] + n] != 0:
        n += 1
    return n


@njit
def pairs_from(words, k, first, shared):
    """The number of pairs that word k, in sorted order, adds to those of words `first` ... k - 1."""
    common = words.common[k] if shared and k > first else 0
    return length_of(words, words.order[k]) + 1 - max(common, 0)


@njit
def split_evenly(words, shared, parts, room, bounds):
    """Cut the sorted words into parts with about equally many pairs, at most `room` -> bounds (parts + 1,)."""
    n, total = words.order.size, 0
    for k in range(n):
        total += pairs_from(words, k, 0, shared)
    k, done = 0, 0
    for part in range(parts):
        bounds[part] = first = k
        here = 0
        while k < n and (done * parts < total * (part + 1) or part == parts - 1):
            more = pairs_from(words, k, first, shared)
            if here + more > room:
                break
            here += more
            done += pairs_from(words, k, 0, shared)
            k += 1
    bounds[parts] = k


@njit
def pack(words, first, last, shared, contexts, levels, path, pairs):
    """Words `first` ... `last` - 1, in sorted order -> rows of contexts (room, 1) and levels.

    Contexts are (room, 2) with labels. Returns the number of rows. path (4, max_levels) is scratch. If pairs (M - 1,)
    is not empty, the number of each token's pair is written to it, at the place of the token in the stream after its
    first 0.
    """
    head, begins, sizes, alive = levels.head, levels.begins, levels.sizes, levels.alive
    for level in range(sizes.size):
        sizes[level] = alive[level] = 0
    for k in range(first, last):
        common, length = _common(words, k, first, shared), length_of(words, words.order[k])
        for level in range(common + 1, length + 1):
            sizes[level] += 1
            alive[level] += level < length or _goes_on(words, k, last, length, shared)
    n_levels = begin = 0
    while n_levels < sizes.size and sizes[n_levels]:
        begins[n_levels] = begin
        begin += sizes[n_levels]
        n_levels += 1
    head[N_LEVELS], head[STRIDE], head[GIVEN], head[FROM_START] = n_levels, 1, 1, 1
    head[REMEMBERED] = head[DEPTH] = 0
    # The next free place on each level: for rows that go on, and for the others behind them.
    going, ended = path[2], path[3]
    for level in range(n_levels):
        going[level], ended[level] = begins[level], begins[level] + alive[level]
    rows, of_pairs, n_pairs = path[0], path[1], 0
    for k in range(first, last):
        word = words.order[k]
        common, length, begin = _common(words, k, first, shared), length_of(words, word), words.begins[word]
        label = words.labels[word] if words.labels.size else 0
        past = 1  # the place in `past` of the first state that level 1 continues
        for level in range(length + 1):
            token = words.stream[begin + level - 1] if level else 0
            if level > common:
                place = going if level < length or _goes_on(words, k, last, length, shared) else ended
                row = place[level]
                place[level] += 1
                contexts[row, 0] = token
                if contexts.shape[1] > 1:
                    contexts[row, 1] = label
                levels.before[row] = rows[level - 1] if level else -1
                if level:
                    parent = rows[level - 1]
                    levels.parents[row] = past + parent - begins[level - 1]
                    levels.keys[row] = np.int64(bits(levels.keys[parent], token))
                else:
                    levels.parents[row] = 0
                    levels.keys[row] = np.int64(bits(label, 0 if shared else 1 + k))
                rows[level] = row
            if level:
                past += alive[level - 1]
            target = words.stream[begin + level]
            if level >= common:
                of_pairs[level] = n_pairs
                levels.rows[n_pairs], levels.targets[n_pairs], levels.counts[n_pairs] = rows[level], target, 0
                n_pairs += 1
            levels.counts[of_pairs[level]] += words.weights[word]
            if pairs.size:
                pairs[begin + level - 1] = of_pairs[level]
    head[N_PAIRS] = n_pairs
    rows_used = 0
    for level in range(n_levels):
        rows_used += sizes[level]
    return rows_used


@njit
def _common(words, k, first, shared):
    """The tokens that word k has in common with the word before it in its part; -1 if it shares no rows."""
    return words.common[k] if shared and k > first else -1


@njit
def _goes_on(words, k, last, length, shared):
    """True if a later word of the part begins with word k, and is longer."""
    k += 1
    while shared and k < last and words.common[k] >= length:
        if words.common[k] == length:
            return True
        k += 1
    return False
