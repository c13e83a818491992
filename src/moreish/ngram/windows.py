"""Counting the different windows of n tokens: a context of n - 1, padded with end tokens, and its target.

A window is packed into one number. Its highest bits are the tokens of the context, from the nearest to the farthest,
and its lowest ones the target. So sorted windows are in the order of the nodes and entries of `Tables`, at every order.

The text is packed and sorted in runs, and each run is merged into the windows counted before, in place. Each thread has
a part of the possible windows, in every run. So memory is needed for the different windows, 16 bytes each, and for one
run, with any number of threads. The tables of all orders that are made from the windows take up to 50 n bytes for each
window (measured on random text, which repeats least). So the number of windows bounds the memory, and counting refuses
to keep more than fit.

Rare windows may be left out. A window that occurs less often than `at_least` loses the first character of its context,
again and again, until the shortened windows that became equal to it occur often enough together, or no context is left.
So every order counts the whole text, except for what is rare there. If the windows do not fit in memory before they are
shortened, they go to the disk (see `spill`).
"""

# pyright: reportMissingParameterType=false

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise

import numpy as np

from ..corpus.stream import whole_words
from ..engine.batches import distinct_windows
from ..engine.compiler import compiler
from ..engine.threads import reserved_threads, run_parallel
from ..errors import InputError
from .orders import Windows
from .small import count_windows as count_small
from .small import is_small
from .spill import spill

MAX_BITS = 62  # of a number
TOKENS_AT_A_TIME = 1 << 22  # in a run
TOKENS_PER_THREAD = 1 << 20  # of a run; fewer do not pay for a thread
TOKENS_SAMPLED = 1 << 16  # to divide the windows among threads
DEFAULT_MEMORY = 8 << 30  # bytes for windows and the tables made from them
BYTES_PER_TOKEN = 50  # memory for a different window, divided by its length


def pack(stream, n, bits, low, high, keys):
    """Pack the window of n tokens that ends at each token of stream (M,) after the first: keys (>= M - 1,).

    Only keys from low to high - 1 are written. Returns their number.
    """
    context, above, size = 0, ~((1 << bits) - 1), 0  # the bits above the target's
    for i in range(1, stream.size):
        token = np.int64(stream[i])
        key = context | token
        keys[size] = key
        size += low <= key and key < high  # without a branch, which the processor could not predict
        context = 0 if token == 0 else (token << bits * (n - 1) | context >> bits) & above
    return size


def count_equal(keys, counts):
    """Move the different ones of sorted keys (M,) to the front; write their counts to the front of counts (M,).

    Returns how many different keys there are.
    """
    n = begin = 0
    for i in range(keys.size):
        if i + 1 == keys.size or keys[i + 1] != keys[i]:
            keys[n], counts[n] = keys[i], i + 1 - begin
            n, begin = n + 1, i + 1
    return n


def count_new(keys, more):
    """Return how many of the sorted keys more (M,) are not among sorted keys (N,)."""
    i = j = both = 0
    while i < keys.size and j < more.size:
        here, there = keys[i] <= more[j], more[j] <= keys[i]
        i, j, both = i + here, j + there, both + (here & there)
    return more.size - both


def merge(keys, counts, n, more, more_counts):
    """Merge the counts (M,) of sorted keys more (M,) into the first n places of keys, counts (D,), from the end on.

    D must be the number of different keys of both.
    """
    i, j, at = n - 1, more.size - 1, keys.size - 1
    while i >= 0 and j >= 0:
        here, there = keys[i] >= more[j], more[j] >= keys[i]
        count = here * counts[i] + there * more_counts[j]
        keys[at], counts[at] = max(keys[i], more[j]), count
        i, j, at = i - here, j - there, at - 1
    while j >= 0:
        keys[at], counts[at] = more[j], more_counts[j]
        j, at = j - 1, at - 1


SIGNATURES = {
    pack: "int64(int32[::1], int64, int64, int64, int64, int64[::1])",
    count_equal: "int64(int64[::1], int64[::1])",
    count_new: "int64(int64[::1], int64[::1])",
    merge: "void(int64[::1], int64[::1], int64, int64[::1], int64[::1])",
}
compiled = compiler(SIGNATURES, "n-gram counting")


Counts = tuple[np.ndarray, np.ndarray]  # different keys, sorted, and the count of each


def count_windows(
    stream: np.ndarray | Iterable[np.ndarray],
    n: int,
    n_vocab: int,
    at_least: int = 1,
    memory: int = DEFAULT_MEMORY,
) -> Windows:
    """Count the different windows of n tokens in a stream (M,), shortening those that occur less than `at_least` times.

    stream may also be streams of some words each, one after another, which need not be in memory at the same time.

    Raises InputError if there are so many windows that their tables would take more than `memory` bytes.
    """
    most, bits = memory // (BYTES_PER_TOKEN * n), max(1, (n_vocab - 1).bit_length())
    streams = [stream] if isinstance(stream, np.ndarray) else stream
    if n * bits > MAX_BITS:  # a large alphabet and a long window: sorted as rows, which is slower
        if at_least > 1:
            raise InputError(
                f"--at-least takes windows of up to {MAX_BITS // bits} of these {n_vocab:,} characters: "
                f"give --order {MAX_BITS // bits}"
            )
        *first, last = streams
        rows, counts = distinct_windows(np.concatenate([*(words[:-1] for words in first), last]), n)
        check_room(len(rows), most, n, at_least, memory)
        return in_order(rows, counts, bits)
    found = _counted(_runs(streams, max(1, min(TOKENS_AT_A_TIME, most))), n, bits, most)
    counted = next(found, CountsInMemory())
    if at_least == 1:
        check_room(len(counted.keys), most, n, at_least, memory)
        lengths = np.full(len(counted.keys), n, np.int8)
        return Windows(counted.keys[:, None], counted.counts, lengths, n, bits, n)
    parts, lengths = [], []
    with ExitStack() as stack:
        if len(counted.keys) > most:
            in_memory, counted = counted, stack.enter_context(spill(memory))
            for more in chain([in_memory], found):
                counted.add(more.keys, more.counts)
        for k in range(n, 0, -1):
            without_farthest = ~(((1 << bits * (n - k + 1)) - 1) << bits) & ((1 << bits * n) - 1)
            parts.append(counted.take(at_least if k > 1 else 1, without_farthest, most))
            lengths.append(np.full(len(parts[-1][0]), k, np.int8))
            check_room(sum(map(len, lengths)), most, n, at_least, memory)
    keys, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.argsort(keys, kind="stable")
    return Windows(keys[order, None], counts[order], np.concatenate(lengths)[order], n, bits, n)


def in_order(rows: np.ndarray, counts: np.ndarray, bits: int) -> Windows:
    """Return windows (D, n), in any order, and their counts (D,)."""
    n = rows.shape[1]
    per_number = min(n, MAX_BITS // bits)
    keys = np.zeros((len(rows), -(-n // per_number)), np.int64)
    for place in range(n):
        number, within = divmod((place + 1) % n, per_number)
        keys[:, -1 - number] |= rows[:, place].astype(np.int64) << bits * within
    order = np.lexsort(keys.T[::-1])
    return Windows(keys[order], counts[order], np.full(len(rows), n, np.int8), n, bits, per_number)


@dataclass
class CountsInMemory:
    """Counts (N,) of different keys (N,) from low to high - 1, sorted."""

    low: int = 0
    high: int = 1 << MAX_BITS

    def __post_init__(self):
        self.keys, self.counts = np.zeros(0, np.int64), np.zeros(0, np.int64)

    def count(self, run: np.ndarray, n: int, bits: int) -> None:
        """Add the windows of n tokens in a stream."""
        keys = np.empty(len(run) - 1, np.int64)
        keys = keys[: compiled(pack)(run, n, bits, self.low, self.high, keys)]
        keys.sort()
        counts = np.empty_like(keys)
        different = compiled(count_equal)(keys, counts)
        keys, counts, size = keys[:different], counts[:different], len(self.keys)
        self.resize(size + compiled(count_new)(self.keys, keys))
        compiled(merge)(self.keys, self.counts, size, keys, counts)

    def resize(self, size: int) -> None:
        """Change the number of keys: without a copy, if there are many."""
        for array in (self.keys, self.counts):
            array.resize(size, refcheck=False)

    def take(self, at_least: int, mask: int, most: int) -> Counts:
        """Remove the keys that occur often enough and return them with their counts. Mask the keys that stay."""
        enough = self.counts >= at_least
        taken = self.keys[enough], self.counts[enough]
        self.keys, inverse = np.unique(self.keys[~enough] & mask, return_inverse=True)
        self.counts = np.bincount(inverse, self.counts[~enough]).astype(np.int64)
        return taken


def _runs(streams: Iterable[np.ndarray], size: int) -> Iterator[np.ndarray]:
    """Yield some streams, as if they were one, in runs of about `size` tokens."""
    some = list[np.ndarray]()
    for run in (run for stream in streams for run in whole_words(stream, size)):
        some.append(run[1:] if some else run)
        if sum(map(len, some)) > size:
            yield some[0] if len(some) == 1 else np.concatenate(some)
            some.clear()
    if some:
        yield np.concatenate(some)


def _counted(runs: Iterator[np.ndarray], n: int, bits: int, most: int) -> Iterator[CountsInMemory]:
    """Yield the counts of all windows, and begin anew whenever there are more than `most` different ones."""
    parts = list[CountsInMemory]()
    for run in runs:
        if not parts and is_small(len(run)):
            parts = [CountsInMemory()]
            parts[0].keys, parts[0].counts = count_small(run, n, bits)
            continue
        with reserved_threads(len(run) // TOKENS_PER_THREAD) as n_threads:
            if not parts:
                parts = [CountsInMemory(*bounds) for bounds in pairwise(_bounds(run, n, bits, n_threads))]
            run_parallel([partial(part.count, run, n, bits) for part in parts])
        if sum(len(part.keys) for part in parts) > most:
            yield _joined(parts)
            parts = []
    if parts:
        yield _joined(parts)


def _bounds(run: np.ndarray, n: int, bits: int, n_parts: int) -> list[int]:
    """Return bounds of parts of the possible windows that about as many tokens fall into."""
    first = next(whole_words(run, TOKENS_SAMPLED))
    keys = np.empty(len(first), np.int64)
    keys = np.sort(keys[: compiled(pack)(first, n, bits, 0, 1 << MAX_BITS, keys)])
    return [0, *(int(keys[len(keys) * part // n_parts]) for part in range(1, n_parts)), 1 << MAX_BITS]


def _joined(parts: list[CountsInMemory]) -> CountsInMemory:
    first, *others = parts
    end = len(first.keys)
    first.resize(sum(len(part.keys) for part in parts))
    for part in others:
        begin, end = end, end + len(part.keys)
        first.keys[begin:end], first.counts[begin:end] = part.keys, part.counts
        part.resize(0)
    return first


def check_room(found: int, most: int, n: int, at_least: int, memory: int) -> None:
    """Raise InputError if more than `most` windows of n tokens were found: their tables would take `memory` bytes."""
    if found > most:
        often = f" that occur at least {at_least} times" if at_least > 1 else ""
        raise InputError(
            f"the list has more than {most:,} different sequences of {n} characters{often}, whose counts would take "
            f"more than {memory / 2**30:.3g} GB (--memory): count shorter ones, with --order {n - 1}, or leave out "
            f"the rare ones, with --at-least {2 * at_least}"
        )
