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

from .numbering import Numbering
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
    return tables_of(count_windows(stream, order, n_vocab, at_least, memory), order, n_vocab, padded)


def tables_of(windows: Windows, order: int, n_vocab: int, padded: bool = True) -> Tables:
    """Make the tables of all orders from the windows of the highest; padded is as in `count_tables`."""
    columns, known = _by_order(windows, order, n_vocab, padded)
    start, columns["after"] = _link(columns, known, n_vocab)
    joined: dict[str, Any] = {name: np.concatenate(columns.pop(name)) for name in list(columns)}
    first = np.concatenate([[0], np.cumsum(joined.pop("size"))])
    return Tables(order, n_vocab, start, first=first, **joined)


def _by_order(
    windows: Windows, order: int, n_vocab: int, padded: bool
) -> tuple[dict[str, list[np.ndarray]], list[Numbering]]:
    """Return the columns of the tables of each order but `after`, and the contexts of each order above 1.

    Contexts are n_vocab times the number of the parent at its order, plus the first character.
    """
    lengths = windows.lengths if padded else _with_one_end(windows, order)
    counts, here = windows.counts, np.arange(len(windows.counts), dtype=np.int32)  # here: windows of this order or more
    target = windows.at(order - 1).astype(np.int32)
    context = np.zeros(len(counts), np.int32)  # of each window at this order, numbered from 0
    pairs = Numbering(np.zeros(1, np.int64), n_vocab)  # contexts at this order
    known: list[Numbering] = []
    shorter = pairs  # entries of the order before: n_vocab * context + character
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("level", "size", "parent", "char", "count", "lower", "outer_end")
    }
    nodes_before = entries_before = 0  # the first node and entry of the order before
    for k in range(1, order + 1):
        keys = context.astype(np.int64) * n_vocab + target
        entries = Numbering(keys, len(pairs) * n_vocab)
        node_of, char = np.divmod(entries.sorted, n_vocab)
        parent, outer = np.divmod(pairs.sorted, n_vocab)
        columns["level"].append(np.full(len(pairs), k, np.int32))
        columns["size"].append(np.bincount(node_of))
        columns["parent"].append((nodes_before + parent).astype(np.int32))
        columns["char"].append(char.astype(np.int32))
        columns["count"].append(np.bincount(entries.of(keys), counts).astype(np.int64))
        lower = entries_before + shorter.of(parent[node_of] * n_vocab + char) if k > 1 else np.full(len(char), -1)
        columns["lower"].append(lower.astype(np.int32))
        columns["outer_end"].append((outer == 0) & (k > 1))
        if k > 1:
            nodes_before, entries_before = nodes_before + columns["size"][-2].size, entries_before + len(shorter)
        shorter = entries
        if k < order:
            if not (longer := lengths[here] > k).all():
                here, counts, target, context = (x[longer] for x in (here, counts, target, context))
            keys = context.astype(np.int64) * n_vocab + windows.at(order - 1 - k)[here]
            pairs = Numbering(keys, len(pairs) * n_vocab)
            context = pairs.of(keys)
            known.append(pairs)
    return columns, known


def _with_one_end(windows: Windows, n: int) -> np.ndarray:
    """Return the lengths (D,) of windows of up to n tokens without all but the last end token of their contexts."""
    lengths, still = windows.lengths.copy(), np.ones(len(windows.counts), bool)
    for place in range(n - 2):
        still &= (windows.at(place) == 0) & (windows.at(place + 1) == 0)
        lengths[still] = np.minimum(lengths[still], n - 1 - place)
    return lengths


def _link(columns: dict[str, list[np.ndarray]], known: list[Numbering], n_vocab: int) -> tuple[int, list[np.ndarray]]:
    """Return the node at the beginning of a word, and for each order the node after each entry.

    columns and known are those of `_by_order`; known holds the contexts that are one character longer than those of
    each order but the highest.
    """
    order, afters = len(columns["level"]), []
    starts = np.cumsum([0, *map(len, columns["level"])])
    at, start = 0, 0
    for k, pairs in enumerate(known, start=1):  # the longest known context of end tokens alone
        at = int(pairs.of(np.array([at * n_vocab]))[0])
        if at < 0:
            break
        start = at + int(starts[k])
    reached = np.zeros(0, np.int32)  # the context after each entry of the order before, -1 where it was left out
    for k in range(1, order + 1):
        char, below = columns["char"][k - 1], columns["lower"][k - 1] - _first_entry(columns, k - 1)
        # The longest known context after the lower entry, and its number if it has all characters read, else -1.
        after = afters[-1][below] if k > 1 else np.zeros(len(char), np.int32)
        if k < order:  # at the highest order a longer context would be too long
            shorter = reached[below].astype(np.int64) if k > 1 else np.zeros(len(char), np.int64)
            outer = char
            if k > 1:
                outer = np.repeat(known[k - 2].sorted % n_vocab, columns["size"][k - 1])
            reached = np.where(shorter >= 0, known[k - 1].of(np.maximum(shorter, 0) * n_vocab + outer), np.int32(-1))
            after = np.where(reached >= 0, reached + np.int32(starts[k]), after)
        after[char == 0] = start
        afters.append(after)
    return start, afters


def _first_entry(columns: dict[str, list[np.ndarray]], k: int) -> int:
    """Return the number of the first entry of order k."""
    return sum(len(chars) for chars in columns["char"][: k - 1])
