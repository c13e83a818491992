"""Counts of every order in one automaton, whose walk over a text meets the longest known context of every character.

A node is a context that has been seen: the last k - 1 characters at order k, end tokens where the word had not begun.
Node 0 is the empty one. Every node knows its `parent`, the context without its first character, and its entries, a run
of `char`: the characters seen after it. An entry knows its count, the `lower` entry of the same character at the
parent, and the node that comes `after` it: the longest known context once the character has been read. So a text is
read with one step a character, and going from a context to a shorter one is a step to the parent.
"""

from dataclasses import dataclass

import numpy as np

from .windows import MEMORY, count_windows


@dataclass(frozen=True)
class Tables:
    """What was counted, up to an order.

    order       n: contexts have up to n - 1 characters
    n_vocab     V, the end token included
    start       the node at the beginning of a word
    level       each node's order, (nodes,); their entries: first[node] to first[node + 1], (nodes + 1,)
    parent      (nodes,); of node 0 itself
    char, count, lower, after       (entries,); lower is -1 at order 1
    outer_end   whether a context begins with the end token, (nodes,): nothing but that token can stand before it
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

    @property
    def node(self) -> np.ndarray:
        """The node of each entry, (entries,)."""
        return np.repeat(np.arange(len(self.parent)), np.diff(self.first))

    def sums(self, of_entries: np.ndarray) -> np.ndarray:
        """For each node the sum of something over its entries, (nodes,) float64."""
        return np.bincount(self.node, of_entries, minlength=len(self.parent))


def count_tables(stream: np.ndarray, order: int, n_vocab: int, at_least: int = 1, memory: int = MEMORY) -> Tables:
    """Count a flat stream of tokens (see `Corpus.stream`): the different windows of `order` tokens, and from them all
    shorter ones. See `count_windows` for what is left out, and how much memory it may take."""
    windows = count_windows(stream, order, n_vocab, at_least, memory)
    counts, here = windows.counts, np.arange(len(windows.counts))  # here: the windows that are as long as this order
    target = windows.at(order - 1)
    context = np.zeros(len(counts), np.int64)  # of each window at this order, numbered from 0
    known: list[np.ndarray] = []  # at each order, contexts as (number of the parent, first character), packed, sorted
    columns: dict[str, list[np.ndarray]] = {
        name: [] for name in ("level", "size", "parent", "char", "count", "lower", "outer_end")
    }
    nodes = entries = 0  # how many the lower orders have
    above_nodes = above_entries = 0  # where those of the order before begin
    in_entry = np.zeros(0, np.int64)  # each window's entry at the order before
    parent_of_window = context
    for k in range(1, order + 1):
        keys, representative, entry = np.unique(context * n_vocab + target, return_index=True, return_inverse=True)
        node_of, char = keys // n_vocab, keys % n_vocab
        size = np.bincount(node_of)
        first_window = representative[np.searchsorted(node_of, np.arange(len(size)))]
        lower = above_entries + in_entry[representative] if k > 1 else np.full(len(keys), -1)
        columns["level"].append(np.full(len(size), k))
        columns["size"].append(size)
        columns["parent"].append(above_nodes + parent_of_window[first_window] if k > 1 else np.zeros(1, np.int64))
        columns["char"].append(char)
        columns["count"].append(np.bincount(entry, counts).astype(np.int64))
        columns["lower"].append(lower)
        outer = windows.at(order - k)[here] if k > 1 else np.full(len(counts), -1)  # each context's first character
        columns["outer_end"].append(outer[first_window] == 0)
        above_nodes, above_entries = nodes, entries
        nodes, entries = nodes + len(size), entries + len(keys)
        if k < order:
            longer = windows.lengths[here] > k
            here, counts, target = here[longer], counts[longer], target[longer]
            in_entry, parent_of_window = entry[longer], context[longer]
            pairs, context = np.unique(
                parent_of_window * n_vocab + windows.at(order - 1 - k)[here], return_inverse=True
            )
            known.append(pairs)
    start, columns["after"] = _link(columns, known, n_vocab)
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    small = {name: joined[name].astype(np.int32) for name in ("level", "parent", "char", "lower", "after")}
    first = np.concatenate([[0], np.cumsum(joined["size"])])
    return Tables(order, n_vocab, start, first=first, count=joined["count"], outer_end=joined["outer_end"], **small)


def _link(columns: dict[str, list[np.ndarray]], known: list[np.ndarray], n_vocab: int) -> tuple[int, list[np.ndarray]]:
    """The node at the beginning of a word, and at each order the node after each entry.

    columns hold each order's part of the tables; known, for each order but the highest, the contexts one longer, as
    (number of the parent at its order, first character), packed and sorted.
    """
    order, afters = len(columns["level"]), []
    starts = np.cumsum([0, *map(len, columns["level"])])
    at, start = 0, 0
    for k, pairs in enumerate(known, start=1):  # the context of end tokens alone, as long as there is one
        at = int(_find(pairs, np.array([at * n_vocab]))[0])
        if at < 0:
            break
        start = at + int(starts[k])
    reached = np.zeros(0, np.int64)  # after each entry of the order before: its context, -1 where it is left out
    for k in range(1, order + 1):
        char, lower = columns["char"][k - 1], columns["lower"][k - 1]
        # What comes after the lower entry, which is one shorter: the longest known context, and whether it is all read.
        after, shorter = np.zeros((2, len(char)), np.int64)
        if k > 1:
            below = lower - _first_entry(columns, k - 1)
            after, shorter = afters[-1][below], reached[below]
        if k < order:  # else a longer one would be too long
            node_of = np.repeat(np.arange(len(columns["size"][k - 1])), columns["size"][k - 1])
            outer = known[k - 2][node_of] % n_vocab if k > 1 else char
            reached = np.where(shorter >= 0, _find(known[k - 1], shorter * n_vocab + outer), -1)
            after = np.where(reached >= 0, reached + starts[k], after)
        afters.append(after)
        afters[-1][char == 0] = start
    return start, afters


def _find(keys: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Where each of some numbers is among sorted ones, -1 where it is not."""
    at = np.minimum(np.searchsorted(keys, wanted), max(len(keys) - 1, 0))
    return np.where(keys[at] == wanted, at, -1) if len(keys) else np.full(len(wanted), -1)


def _first_entry(columns: dict[str, list[np.ndarray]], k: int) -> int:
    """Where the entries of order k begin."""
    return sum(len(chars) for chars in columns["char"][: k - 1])
