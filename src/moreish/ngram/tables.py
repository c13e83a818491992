"""Counts of all orders in one automaton: reading a text with it reaches the longest known context of every character.

A node is a context that has been seen: the last k - 1 characters at order k, with end tokens before the word. These are
as many as the longest context has, if words are padded, and else one. Node 0 is the empty context. A node has a
`parent`, the context without its first character, and entries, one for each character (`char`) seen after it. An entry
has a count, the `lower` entry of the same character at the parent, and the node `after` it: the longest known context
after the character. So reading a text takes one step for each character, and a step to the parent shortens a context.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from ..engine.threads import reserved_threads, run_parallel
from . import small
from .kernels import Graph
from .orders import Columns, Windows, compiled, keep_one_end, link, write_order
from .small import is_small
from .windows import DEFAULT_MEMORY, count_windows

ENTRIES_AT_A_TIME = 1 << 18  # in a block
NUMBERS_PER_THREAD = 1 << 17  # windows or nodes; fewer do not pay for a thread


class Block(NamedTuple):
    """Some nodes of one order, and their entries.

    nodes, entries  places in the arrays of `Tables`
    node            the node of each entry (E,)
    """

    order: int
    nodes: slice
    entries: slice
    node: np.ndarray

    def sums(self, of_entries: np.ndarray) -> np.ndarray:
        """Sum a number of each entry (E,) over the entries of each node, float64 (N,)."""
        begin, end = self.nodes.start, self.nodes.stop
        return np.bincount(self.node - begin, of_entries, minlength=end - begin)


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

    def blocks(self) -> Iterator[Block]:
        """Yield all nodes with their entries in blocks, from order 1 up, so that work on them takes little memory."""
        ends = np.searchsorted(self.level, np.arange(1, self.order + 1), "right").tolist()
        for k, (begin, end) in enumerate(pairwise([0, *ends]), start=1):
            while begin < end:
                stop = int(np.searchsorted(self.first, self.first[begin] + ENTRIES_AT_A_TIME, "right")) - 1
                stop = min(max(stop, begin + 1), end)
                node = np.repeat(np.arange(begin, stop), np.diff(self.first[begin : stop + 1]))
                yield Block(k, slice(begin, stop), slice(int(self.first[begin]), int(self.first[stop])), node)
                begin = stop

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
        sums = np.empty(len(self.parent))
        for block in self.blocks():
            sums[block.nodes] = block.sums(of_entries[block.entries])
        return sums


def count_tables(
    stream: np.ndarray | Iterable[np.ndarray],
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
    return tables_of(count_windows(stream, order, n_vocab, at_least, memory), n_vocab, padded)


def tables_of(windows: Windows, n_vocab: int, padded: bool = True) -> Tables:
    """Make tables of windows, whose lengths are changed: see `count_tables`."""
    order, small_list = windows.n, is_small(len(windows.counts))
    if not padded and small_list:
        windows = windows._replace(lengths=small.lengths_with_one_end(windows))
    elif not padded:
        compiled(keep_one_end)(windows)
    columns, nodes = small.columns_of(windows, n_vocab) if small_list else _columns(windows, n_vocab)
    del windows
    first, parent, outer, char, count = columns
    level = np.repeat(np.arange(1, order + 1, dtype=np.int32), np.diff(nodes))
    children = 1 + np.searchsorted(parent[1:], np.arange(len(parent) + 1))
    start = 0  # the longest context of end tokens alone
    while children[start] < children[start + 1] and outer[children[start]] == 0:
        start = int(children[start])
    lower, after = np.empty(len(char), np.int32), np.empty(len(char), np.int32)
    graph = Graph(first, parent, char, after, start)
    if small_list:
        small.link(graph, level, outer, lower, n_vocab, nodes)
    else:
        for begin, end in pairwise(nodes):
            with reserved_threads((end - begin) // NUMBERS_PER_THREAD) as n_threads:
                ends = [begin + (end - begin) * part // n_threads for part in range(n_threads + 1)]
                link_part = partial(compiled(link), graph, level, children, outer, lower)
                run_parallel([partial(link_part, *part) for part in pairwise(ends)])
    return Tables(order, n_vocab, start, level, first, parent, char, count, lower, after, (outer == 0) & (level > 1))


def _columns(windows: Windows, n_vocab: int) -> tuple[Columns, list[int]]:
    """Return the columns of tables, order after order, and the first node of each order, with the number of all."""

    def write(places: Sequence[tuple[int, int, int]], columns: Columns, writing: bool) -> list[tuple[int, int]]:
        calls = [
            partial(compiled(write_order), windows, k, at, columns, n_vocab, writing)
            for k, at in enumerate(places, start=1)
        ]
        with reserved_threads(min(len(calls), len(windows.counts) // NUMBERS_PER_THREAD)) as n:
            return [size for first in range(0, len(calls), n) for size in run_parallel(calls[first : first + n])]

    sizes = write([(0, 0, 0)] * windows.n, _new_columns(0, 0), False)
    nodes, entries = np.cumsum([(0, 0), *sizes], axis=0).T.tolist()
    columns = _new_columns(nodes[-1], entries[-1])
    columns.first[-1] = entries[-1]
    write(list(zip(nodes[:-1], [0, *nodes[:-2]], entries[:-1], strict=True)), columns, True)
    return columns, nodes


def _new_columns(nodes: int, entries: int) -> Columns:
    of_entries = np.empty(entries, np.int32), np.empty(entries, np.int64)
    return Columns(np.empty(nodes + 1, np.int64), np.empty(nodes, np.int32), np.empty(nodes, np.int32), *of_entries)
