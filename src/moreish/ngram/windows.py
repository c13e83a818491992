"""Counting the different windows of n tokens: a context of n - 1, padded with end tokens, and its target.

A window is packed into one integer of n times `bits` bits and counted in a hash table with open addressing. The table
holds only the different windows: 32 to 64 bytes each, and 96 while it grows, however long the text is. Each thread
fills a table of its own, with an equal share of the windows that may be kept; a full table is added to the total. The
tables of all orders that are made from the windows take up to 50 n bytes for each window (measured on random text,
which repeats least). So the number of windows bounds the memory, and counting refuses to keep more than fit.

Rare windows may be left out. A window that occurs less often than `at_least` loses the first character of its context,
again and again, until the shortened windows that became equal to it occur often enough together, or no context is left.
So every order counts the whole text, except for what is rare there. If the windows do not fit in memory before they are
shortened, they go to the disk (see `spill`).
"""

# pyright: reportMissingParameterType=false

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import chain

import numpy as np

from ..engine.batches import distinct_windows
from ..engine.compiler import compiler
from ..engine.threads import reserved_threads, run_parallel
from ..errors import InputError
from ..layers.jit import njit
from .chunks import split_at_words
from .small import MAX_TOKENS, is_small
from .small import count_windows as count_small
from .spill import spill

MAX_BITS = 62  # of a packed window
MIN_SLOTS = 1 << 12  # of a hash table
DEFAULT_MEMORY = 8 << 30  # bytes for windows and the tables made from them
TOKENS_PER_THREAD = 1 << 20  # fewer do not pay for a thread
BYTES_PER_TOKEN = 50  # memory for a different window, divided by its length


@njit
def slot_of(key, keys, counts):
    """Return the slot that holds a key, or the free one for it: keys, counts (S,), S a power of two."""
    last = np.uint64(keys.size - 1)
    slot = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(20)) & last
    while counts[slot] != 0 and keys[slot] != key:
        slot = (slot + np.uint64(1)) & last
    return slot


@njit
def add(key, count, keys, counts):
    """Add to the count of a key. Returns 1 if the key is new in the table, else 0."""
    slot = slot_of(key, keys, counts)
    new = counts[slot] == 0
    keys[slot] = key
    counts[slot] += count
    return 1 if new else 0


def count_into(stream, start, history, bits, mask, keys, counts, used, most):
    """Count windows from position `start` of stream (M,) on into a table: keys, counts (S,), S a power of two.

    history is the packed context of the first window; mask keeps n - 1 tokens. Stops at the end of the stream, when
    half of the table is used, or when more than `most` slots are. Returns the position, the history and the used slots.
    """
    limit = min(keys.size // 2, most + 1)
    position = start
    while position < stream.size and used < limit:
        token = stream[position]
        key = (history << bits) | token
        used += add(key, 1, keys, counts)
        history = 0 if token == 0 else key & mask
        position += 1
    return position, history, used


def move(keys, counts, larger_keys, larger_counts):
    """Copy all counts into a larger table."""
    for i in range(keys.size):
        if counts[i] != 0:
            add(keys[i], counts[i], larger_keys, larger_counts)


def look_up(wanted, keys, counts, found):
    """Write the counts of wanted keys (D,) in a table to found (D,)."""
    for i in range(wanted.size):
        found[i] = counts[slot_of(wanted[i], keys, counts)]


def merge(keys, counts, other_keys, other_counts, all_keys, all_counts):
    """Merge counts (N,) and (M,) of sorted keys into all_keys, all_counts (N + M,), adding those of equal keys.

    Returns how many different keys there are.
    """
    i = j = n = 0
    while i < keys.size and j < other_keys.size:
        # Without a branch: the processor cannot predict which key is smaller.
        here, there = keys[i] <= other_keys[j], other_keys[j] <= keys[i]
        all_keys[n] = min(keys[i], other_keys[j])
        all_counts[n] = here * counts[i] + there * other_counts[j]
        i, j, n = i + here, j + there, n + 1
    while i < keys.size:
        all_keys[n], all_counts[n] = keys[i], counts[i]
        i, n = i + 1, n + 1
    while j < other_keys.size:
        all_keys[n], all_counts[n] = other_keys[j], other_counts[j]
        j, n = j + 1, n + 1
    return n


SIGNATURES = {
    count_into: "UniTuple(int64, 3)(int32[::1], int64, int64, int64, int64, int64[::1], int64[::1], int64, int64)",
    move: "void(int64[::1], int64[::1], int64[::1], int64[::1])",
    look_up: "void(int64[::1], int64[::1], int64[::1], int64[::1])",
    merge: "int64(int64[::1], int64[::1], int64[::1], int64[::1], int64[::1], int64[::1])",
}
compiled = compiler(SIGNATURES, "n-gram counting")


@dataclass(frozen=True)
class Windows:
    """Different windows of up to n tokens, and their counts.

    at          a function from a place in the window, 0 to n - 1, to the tokens there (D,)
    counts      (D,)
    lengths     (D,): in a shortened window only the last `length` places are valid
    """

    at: Callable[[int], np.ndarray]
    counts: np.ndarray
    lengths: np.ndarray


def count_windows(stream: np.ndarray, n: int, n_vocab: int, at_least: int = 1, memory: int = DEFAULT_MEMORY) -> Windows:
    """Count the different windows of n tokens in a stream (M,), shortening those that occur less than `at_least` times.

    Raises InputError if there are so many that their tables would take more than `memory` bytes.
    """
    most, bits = memory // (BYTES_PER_TOKEN * n), max(1, (n_vocab - 1).bit_length())
    if n * bits > MAX_BITS:  # a large alphabet and a long window: sorted, which is slower
        if at_least > 1:
            raise InputError(
                f"--at-least takes windows of up to {MAX_BITS // bits} of these {n_vocab:,} characters: "
                f"give --order {MAX_BITS // bits}"
            )
        rows, counts = distinct_windows(stream, n)
        check_room(len(rows), most, n, at_least, memory)
        return Windows(lambda place: rows[:, place], counts, np.full(len(rows), n, np.int8))
    masks = [(1 << bits * k) - 1 for k in range(n)]  # of the last k tokens
    counted, rest = _count_in_memory(stream, bits, masks[-1], most)
    parts, lengths = [], []
    with ExitStack() as stack:
        if len(counted.keys) > most:
            check_room(most + 1 if at_least == 1 else 0, most, n, at_least, memory)
            first, counted = counted, stack.enter_context(spill(memory))
            for keys, counts in chain([(first.keys, first.counts)], *rest):
                counted.add(keys, counts)
        for k in range(n, 0, -1):
            parts.append(counted.take(at_least if k > 1 else 1, masks[k - 1], most))
            lengths.append(np.full(len(parts[-1][0]), k, np.int8))
            check_room(sum(map(len, lengths)), most, n, at_least, memory)
    keys, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Windows(lambda place: keys >> bits * (n - 1 - place) & (1 << bits) - 1, counts, np.concatenate(lengths))


Counts = tuple[np.ndarray, np.ndarray]  # different keys, sorted, and the count of each


@dataclass
class CountsInMemory:
    """Counts (N,) of different keys (N,), sorted."""

    keys: np.ndarray
    counts: np.ndarray

    def add(self, keys: np.ndarray, counts: np.ndarray) -> None:
        """Add counts (N,) of sorted keys (N,)."""
        if not len(self.keys):
            self.keys, self.counts = keys, counts
            return
        merged = np.empty((2, len(self.keys) + len(keys)), np.int64)
        n = compiled(merge)(self.keys, self.counts, keys, counts, *merged)
        self.keys, self.counts = merged[:, :n]

    def take(self, at_least: int, mask: int, most: int) -> Counts:
        """Remove the keys that occur often enough and return them with their counts. Mask the keys that stay."""
        enough = self.counts >= at_least
        taken = self.keys[enough], self.counts[enough]
        self.keys, inverse = np.unique(self.keys[~enough] & mask, return_inverse=True)
        self.counts = np.bincount(inverse, self.counts[~enough]).astype(np.int64)
        return taken


def _count_in_memory(
    stream: np.ndarray, bits: int, mask: int, most: int
) -> tuple[CountsInMemory, list[Iterator[Counts]]]:
    """Count the packed windows of a stream until there are more than `most`; return the counts and the work left."""
    if is_small(len(stream), MAX_TOKENS):
        return CountsInMemory(*count_small(stream, mask.bit_length() // bits + 1, bits)), []
    counted = CountsInMemory(*np.zeros((2, 0), np.int64))
    with reserved_threads(len(stream) // TOKENS_PER_THREAD) as n_threads:
        chunks = split_at_words(stream, n_threads)
        left = [_count_chunk(stream[a : b + 1], bits, mask, most // n_threads) for a, b in chunks]
        while left and len(counted.keys) <= most:
            found = run_parallel([partial(next, work, None) for work in left])
            left = [work for work, counts in zip(left, found, strict=True) if counts is not None]
            for counts in found:
                if counts is not None:
                    counted.add(*counts)
    return counted, left


def _count_chunk(stream: np.ndarray, bits: int, mask: int, most: int) -> Iterator[Counts]:
    """Yield the packed windows of a stream, sorted, and their counts; begin anew when there are more than `most`."""
    keys, counts = np.zeros((2, MIN_SLOTS), np.int64)
    position, history, used = 1, 0, 0
    while position < len(stream):
        position, history, used = compiled(count_into)(stream, position, history, bits, mask, keys, counts, used, most)
        if position == len(stream) or used > most:
            different = np.sort(keys[counts > 0])
            found = np.empty_like(different)
            compiled(look_up)(different, keys, counts, found)
            yield different, found
            counts[:], used = 0, 0
        else:
            larger = np.zeros((2, 2 * keys.size), np.int64)
            compiled(move)(keys, counts, *larger)
            keys, counts = larger


def check_room(found: int, most: int, n: int, at_least: int, memory: int) -> None:
    """Raise InputError if more than `most` windows of n tokens were found: their tables would take `memory` bytes."""
    if found > most:
        often = f" that occur at least {at_least} times" if at_least > 1 else ""
        raise InputError(
            f"the list has more than {most:,} different sequences of {n} characters{often}, whose counts would take "
            f"more than {memory / 2**30:.3g} GB (--memory): count shorter ones, with --order {n - 1}, or leave out "
            f"the rare ones, with --at-least {2 * at_least}"
        )
