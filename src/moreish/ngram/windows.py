"""Counting the different windows of n tokens: a context of n - 1, filled up with end tokens, and its target.

A window is packed into one number of n times `bits` bits, and counted in a hash table with open addressing, which holds
the different windows alone: 32 to 64 bytes for each, and 96 while it grows, however long the text. Each thread has a
table, which holds its share of what may be kept, and is added to what is counted when it is full. The tables of all
orders that are made from them take up to 50 n bytes for each (measured on random text, which repeats least), so it is
their number that bounds the memory: counting refuses to keep more than fit.

Rare windows may be left out: one that is counted less than `at_least` times is shortened, by the first character of its
context, until it is one of as many as that, together with others that were shortened to the same, or has no context. So
every order counts all the text but for what is rare there. Windows that do not fit before they are shortened are put on
the disk, see `spilling`.
"""

# pyright: reportMissingParameterType=false

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import cache, partial
from itertools import chain

import numpy as np
from numba import njit, types

from ..engine.batches import distinct_windows
from ..engine.tape.compile import compiled_function
from ..engine.threads import reserved_threads, run_parallel
from ..errors import InputError
from .chunks import pieces_of
from .spill import spilled

BITS = 62  # of a packed window
SMALLEST = 1 << 12  # places of a table to begin with
MEMORY = 8 << 30  # bytes that windows and the tables made from them may take, unless said otherwise
PIECE = 1 << 20  # tokens that make a thread of its own worth while
PER_TOKEN = 50  # bytes, of a different window


@njit
def place_of(key, keys, counts):
    """Where a key is in a table, or where it would be put: keys, counts (S,), S a power of two."""
    last = np.uint64(keys.size - 1)
    place = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(20)) & last
    while counts[place] != 0 and keys[place] != key:
        place = (place + np.uint64(1)) & last
    return place


@njit
def add(key, count, keys, counts):
    """Add to the count of a key; returns 1 if it is new in the table, else 0."""
    place = place_of(key, keys, counts)
    new = counts[place] == 0
    keys[place] = key
    counts[place] += count
    return 1 if new else 0


def count_into(stream, start, history, bits, mask, keys, counts, used, most):
    """Count windows from position `start` of stream (M,) on into a table: keys, counts (S,), S a power of two.

    history is the packed context of the first one; mask takes n - 1 tokens. Stops at the end of the stream, or when
    half of the table is used, or more than `most` places; returns the position, the history and the places used.
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
    """Put all counts into a larger table."""
    for i in range(keys.size):
        if counts[i] != 0:
            add(keys[i], counts[i], larger_keys, larger_counts)


def look_up(wanted, keys, counts, found):
    """The counts of some keys (D,) in a table -> found (D,)."""
    for i in range(wanted.size):
        found[i] = counts[place_of(wanted[i], keys, counts)]


def merge(keys, counts, other_keys, other_counts, all_keys, all_counts):
    """Counts (N,) and (M,) of keys in order -> the first of all (N + M,), those of the same key added up; how many."""
    i = j = n = 0
    while i < keys.size and j < other_keys.size:
        # Without a branch: which key is less cannot be predicted.
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


@dataclass(frozen=True)
class Windows:
    """Windows of up to n tokens, and how often each occurs.

    at          a function from a place in the window, 0 to n - 1, to the tokens there (D,)
    counts      (D,)
    lengths     (D,); what is at places before the last `length` of a shortened window is nothing
    """

    at: Callable[[int], np.ndarray]
    counts: np.ndarray
    lengths: np.ndarray


def count_windows(stream: np.ndarray, n: int, n_vocab: int, at_least: int = 1, memory: int = MEMORY) -> Windows:
    """The different windows of n tokens in a stream (M,); those of less than `at_least` are shortened.

    Raises InputError if there are so many that their tables would outgrow bytes of memory.
    """
    most, bits = memory // (PER_TOKEN * n), max(1, (n_vocab - 1).bit_length())
    if n * bits > BITS:  # a large alphabet and a long window: slower, by sorting
        if at_least > 1:
            raise InputError(
                f"--at-least takes windows of up to {BITS // bits} of these {n_vocab:,} characters: "
                f"give --order {BITS // bits}"
            )
        rows, counts = distinct_windows(stream, n)
        _check(len(rows), most, n, at_least, memory)
        return Windows(lambda place: rows[:, place], counts, np.full(len(rows), n))
    masks = [(1 << bits * k) - 1 for k in range(n)]  # of the last k tokens
    counted, rest = _counted(stream, bits, masks[-1], most)
    rows, lengths = [], []
    with ExitStack() as stack:
        if len(counted.keys) > most:
            _check(most + 1 if at_least == 1 else 0, most, n, at_least, memory)
            first, counted = counted, stack.enter_context(spilled(memory))
            for some in chain([(first.keys, first.counts)], *rest):
                counted.add(*some)
        for k in range(n, 0, -1):
            rows.append(counted.take(at_least if k > 1 else 1, masks[k - 1], most))
            lengths.append(np.full(len(rows[-1][0]), k))
            _check(sum(map(len, lengths)), most, n, at_least, memory)
    keys, counts = (np.concatenate(column) for column in zip(*rows, strict=True))
    return Windows(lambda place: keys >> bits * (n - 1 - place) & (1 << bits) - 1, counts, np.concatenate(lengths))


Table = tuple[np.ndarray, np.ndarray]  # different keys, in order, and how often each occurs


def _counted(stream: np.ndarray, bits: int, mask: int, most: int) -> tuple["Held", list[Iterator[Table]]]:
    """The packed windows of a stream and their counts, until there are more than `most`; and what is left to count."""
    counted = Held(*np.zeros((2, 0), np.int64))
    with reserved_threads(len(stream) // PIECE) as size:
        left = [_tables(stream[a : b + 1], bits, mask, most // size) for a, b in pieces_of(stream, size)]
        while left and len(counted.keys) <= most:
            found = run_parallel([partial(next, tables, None) for tables in left])
            left = [tables for tables, table in zip(left, found, strict=True) if table is not None]
            for table in found:
                if table is not None:
                    counted.add(*table)
    return counted, left


def _tables(stream: np.ndarray, bits: int, mask: int, most: int) -> Iterator[Table]:
    """The packed windows of a stream, in order, and their counts; anew whenever there are more than `most`."""
    count, move, look_up, _ = _compiled()
    keys, counts = np.zeros((2, SMALLEST), np.int64)
    position, history, used = 1, 0, 0
    while position < len(stream):
        position, history, used = count(stream, position, history, bits, mask, keys, counts, used, most)
        if position == len(stream) or used > most:
            different = np.sort(keys[counts > 0])
            found = np.empty_like(different)
            look_up(different, keys, counts, found)
            yield different, found
            counts[:], used = 0, 0
        else:
            larger = np.zeros((2, 2 * keys.size), np.int64)
            move(keys, counts, *larger)
            keys, counts = larger


@dataclass
class Held:
    """Counts (N,) of different keys (N,), in order, in memory."""

    keys: np.ndarray
    counts: np.ndarray

    def add(self, keys: np.ndarray, counts: np.ndarray) -> None:
        """Add counts (N,) of keys (N,), in order too."""
        if not len(self.keys):
            self.keys, self.counts = keys, counts
            return
        room = np.empty((2, len(self.keys) + len(keys)), np.int64)
        n = _compiled()[-1](self.keys, self.counts, keys, counts, *room)
        self.keys, self.counts = room[:, :n]

    def take(self, at_least: int, mask: int, most: int) -> tuple[np.ndarray, np.ndarray]:
        """The keys with counts that are large enough; of the others, a mask of the key stays, to be taken later."""
        enough = self.counts >= at_least
        taken = self.keys[enough], self.counts[enough]
        self.keys, of_which = np.unique(self.keys[~enough] & mask, return_inverse=True)
        self.counts = np.bincount(of_which, self.counts[~enough]).astype(np.int64)
        return taken


def _check(found: int, most: int, n: int, at_least: int, memory: int) -> None:
    if found > most:
        often = f" that occur at least {at_least} times" if at_least > 1 else ""
        raise InputError(
            f"the list has more than {most:,} different runs of {n} characters{often}, whose counts would take more "
            f"than {memory / 2**30:.3g} GB (--memory): count shorter ones, with --order {n - 1}, or leave out the rare "
            f"ones, with --at-least {2 * at_least}"
        )


@cache
def _compiled() -> tuple[Callable, ...]:
    count, numbers, none = types.int64, types.int64[::1], types.void
    of_three = types.UniTuple(count, 3)
    signatures = {
        count_into: of_three(types.int32[::1], count, count, count, count, numbers, numbers, count, count),
        move: none(*[numbers] * 4),
        look_up: none(*[numbers] * 4),
        merge: count(*[numbers] * 6),
    }
    return tuple(compiled_function(function, signature) for function, signature in signatures.items())
