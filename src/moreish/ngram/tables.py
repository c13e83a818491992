"""Counts of all orders in one automaton: reading a text with it reaches the longest known context of every character.

A node is a context that has been seen: the last k - 1 characters at order k, with end tokens before the word. These are
as many as the longest context has, if words are padded, and else one. Node 0 is the empty context. A node has a
`parent`, the context without its first character, and entries, one for each character (`char`) seen after it. An entry
has a count, the `lower` entry of the same character at the parent, and the node `after` it: the longest known context
after the character. So reading a text takes one step for each character, and a step to the parent shortens a context.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .windows import DEFAULT_MEMORY, Windows, count_windows


@dataclass(frozen=True)
class Tables:
    """Counts of up to n characters in a row.

    order       n: contexts have up to n - 1 characters
    n_vocab     V, the end token included
    start       the node at the beginning of a word
    level       the order of each node, (nodes,)
    first       the entries of a node are first[node] to first[node + 1] - 1, (nodes + 1,)
    parent      (nodes,); node 0 is its own parent
    char, count, lower, after       (entries,); lower is -1 at order 1
    outer_end   True for a context that begins with the end token, (nodes,): only that token can stand before it
    scale       the mean weight of the words counted

    A count is a whole number, or with weights a sum of them, float64. In the tables of one label (see `labels`), it may
    be 0.
    """

    order: int
    n_vocab: int
    start: int
    level: np.ndarray
    first: np.ndarray
    parent: np.ndarray
    char: np.ndarray
    count: np.ndarray
    lower: np.ndarray
    after: np.ndarray
    outer_end: np.ndarray
    scale: float = 1.0

    @property
    def node(self) -> np.ndarray:
        """The node of each entry, (entries,)."""
        return np.repeat(np.arange(len(self.parent)), np.diff(self.first))

    @cached_property
    def total(self) -> np.ndarray:
        """Sum of the counts of each node's entries, float64 (nodes,)."""
        return self.sums(self.count)

    @cached_property
    def different(self) -> np.ndarray:
        """Number of different characters counted after each node, float64 (nodes,)."""
        return self.sums(self.count > 0)

    def sums(self, of_entries: np.ndarray) -> np.ndarray:
        """Sum a number of each entry over the entries of each node, float64 (nodes,)."""
        return np.bincount(self.node, of_entries, minlength=len(self.parent))


def count_tables(
    stream: np.ndarray,
    order: int,
    n_vocab: int,
    at_least: int = 1,
    memory: int = DEFAULT_MEMORY,
    padded: bool = True,
) -> Tables:
    """Count the windows of up to `order` tokens in a flat stream (see `Corpus.stream`).

    at_least and memory are as in `count_windows`, which counts the longest ones; all shorter ones follow from these.

    padded      True if a word has order - 1 end tokens in front, so that every prefix has a context of each order;
                False if it has one, so that a short prefix has one context, shorter than the order
    """
    windows = count_windows(stream, order, n_vocab, at_least, memory)
    lengths = windows.lengths if padded else _with_one_end(windows, order)
    counts, here = windows.counts, np.arange(len(windows.counts))  # here: the windows at least as long as this order
    target = windows.at(order - 1)
    context = np.zeros(len(counts), np.int64)  # of each window at this order, numbered from 0
    known: list[np.ndarray] = []  # at each order, contexts as (number of the parent, first character), packed, sorted
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("level", "size", "parent", "char", "count", "lower", "outer_end")
    }
    nodes = entries = 0  # of all lower orders
    nodes_before = entries_before = 0  # the first node and entry of the order before
    in_entry = np.zeros(0, np.int64)  # each window's entry at the order before
    parent_of_window = context
    for k in range(1, order + 1):
        keys, representative, entry = np.unique(context * n_vocab + target, return_index=True, return_inverse=True)
        node_of, char = keys // n_vocab, keys % n_vocab
        size = np.bincount(node_of)
        first_window = representative[np.searchsorted(node_of, np.arange(len(size)))]
        lower = entries_before + in_entry[representative] if k > 1 else np.full(len(keys), -1)
        columns["level"].append(np.full(len(size), k))
        columns["size"].append(size)
        columns["parent"].append(nodes_before + parent_of_window[first_window] if k > 1 else np.zeros(1, np.int64))
        columns["char"].append(char)
        columns["count"].append(np.bincount(entry, counts).astype(np.int64))
        columns["lower"].append(lower)
        outer = windows.at(order - k)[here] if k > 1 else np.full(len(counts), -1)  # each context's first character
        columns["outer_end"].append(outer[first_window] == 0)
        nodes_before, entries_before = nodes, entries
        nodes, entries = nodes + len(size), entries + len(keys)
        if k < order:
            longer = lengths[here] > k
            here, counts, target = here[longer], counts[longer], target[longer]
            in_entry, parent_of_window = entry[longer], context[longer]
            pairs, context = np.unique(
                parent_of_window * n_vocab + windows.at(order - 1 - k)[here], return_inverse=True
            )
            known.append(pairs)
    start, columns["after"] = _link(columns, known, n_vocab)
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    small: dict[str, Any] = {
        name: joined[name].astype(np.int32) for name in ("level", "parent", "char", "lower", "after")
    }
    first = np.concatenate([[0], np.cumsum(joined["size"])])
    return Tables(order, n_vocab, start, first=first, count=joined["count"], outer_end=joined["outer_end"], **small)


def _with_one_end(windows: Windows, n: int) -> np.ndarray:
    """Return the lengths (D,) of windows of up to n tokens without all but the last end token of their contexts."""
    lengths, still = windows.lengths.copy(), np.ones(len(windows.counts), bool)
    for place in range(n - 2):
        still &= (windows.at(place) == 0) & (windows.at(place + 1) == 0)
        lengths[still] = np.minimum(lengths[still], n - 1 - place)
    return lengths


def _link(columns: dict[str, list[np.ndarray]], known: list[np.ndarray], n_vocab: int) -> tuple[int, list[np.ndarray]]:
    """Return the node at the beginning of a word, and for each order the node after each entry.

    columns hold the tables of each order. known holds, for each order but the highest, the contexts that are one
    character longer, as (number of the parent at its order, first character), packed and sorted.
    """
    order, afters = len(columns["level"]), []
    starts = np.cumsum([0, *map(len, columns["level"])])
    at, start = 0, 0
    for k, pairs in enumerate(known, start=1):  # the longest known context of end tokens alone
        at = int(_find(pairs, np.array([at * n_vocab]))[0])
        if at < 0:
            break
        start = at + int(starts[k])
    reached = np.zeros(0, np.int64)  # the context after each entry of the order before, -1 where it was left out
    for k in range(1, order + 1):
        char, lower = columns["char"][k - 1], columns["lower"][k - 1]
        # The longest known context after the lower entry, and its number if it has all characters read, else -1.
        after, shorter = np.zeros((2, len(char)), np.int64)
        if k > 1:
            below = lower - _first_entry(columns, k - 1)
            after, shorter = afters[-1][below], reached[below]
        if k < order:  # at the highest order a longer context would be too long
            node_of = np.repeat(np.arange(len(columns["size"][k - 1])), columns["size"][k - 1])
            outer = known[k - 2][node_of] % n_vocab if k > 1 else char
            reached = np.where(shorter >= 0, _find(known[k - 1], shorter * n_vocab + outer), -1)
            after = np.where(reached >= 0, reached + starts[k], after)
        afters.append(after)
        afters[-1][char == 0] = start
    return start, afters


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Return the place of each wanted number among sorted keys, -1 if it is not there."""
    at = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    return np.where(keys[at] == wanted, at, -1) if len(keys) else np.full(len(wanted), -1)


def _first_entry(columns: dict[str, list[np.ndarray]], k: int) -> int:
    """Return the number of the first entry of order k."""
    return sum(len(chars) for chars in columns["char"][: k - 1])
