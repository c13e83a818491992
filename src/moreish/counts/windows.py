"""Counting the different windows of n tokens: a context of n - 1, filled up with end tokens, and its target.

A window is packed into one number of n times `bits` bits, and counted in a hash table with open addressing, which holds
the different windows alone: 32 to 64 bytes for each, and 96 while it grows, however long the text. The tables of all
orders that are made from them take up to 50 n bytes for each (measured on random text, which repeats least), so it is
their number that bounds the memory: counting refuses to go beyond MEMORY.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit, types

from ..errors import InputError
from ..tape.batch import distinct_windows
from ..tape.compiled import compiled_function

BITS = 62  # of a packed window
SMALLEST = 1 << 12  # places of a table to begin with
MEMORY = 8 << 30  # bytes that windows and the tables made from them may take
PER_TOKEN = 50  # bytes, of a different window


@njit
def add(key, count, keys, counts, last):
    """Add to the count of a key; returns 1 if it is new in the table, else 0."""
    place = (np.uint64(key) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(20)) & np.uint64(last)
    while counts[place] != 0 and keys[place] != key:
        place = (place + np.uint64(1)) & np.uint64(last)
    new = counts[place] == 0
    keys[place] = key
    counts[place] += count
    return 1 if new else 0


def count_into(stream, start, history, bits, mask, keys, counts, used, most):
    """Count windows from position `start` of stream (M,) on into a table: keys, counts (S,), S a power of two.

    history is the packed context of the first one; mask takes n - 1 tokens. Stops at the end of the stream, or when
    half of the table is used, or more than `most` places; returns the position, the history and the places used.
    """
    last, limit = keys.size - 1, min(keys.size // 2, most + 1)
    position = start
    while position < stream.size and used < limit:
        token = stream[position]
        key = (history << bits) | token
        used += add(key, 1, keys, counts, last)
        history = 0 if token == 0 else key & mask
        position += 1
    return position, history, used


def move(keys, counts, larger_keys, larger_counts):
    """Put all counts into a larger table."""
    for i in range(keys.size):
        if counts[i] != 0:
            add(keys[i], counts[i], larger_keys, larger_counts, larger_keys.size - 1)


def count_windows(stream: np.ndarray, n: int, n_vocab: int) -> tuple[Callable[[int], np.ndarray], np.ndarray]:
    """The different windows of n tokens in a stream, and how often each occurs (D,).

    The windows are a function from a place in the window, 0 to n - 1, to the tokens there (D,).
    Raises InputError if there are so many that their tables would outgrow MEMORY.
    """
    most, bits = MEMORY // (PER_TOKEN * n), max(1, (n_vocab - 1).bit_length())
    if n * bits > BITS:  # a large alphabet and a long window: slower, by sorting
        rows, counts = distinct_windows(stream, n)
        _check(len(rows), most, n)
        return lambda place: rows[:, place], counts
    keys, counts = np.zeros((2, SMALLEST), np.int64)
    position, history, used = 1, 0, 0
    mask = (1 << bits * (n - 1)) - 1
    count, move = _compiled()
    while position < len(stream):
        position, history, used = count(stream, position, history, bits, mask, keys, counts, used, most)
        _check(used, most, n)
        if position < len(stream):
            larger = np.zeros((2, 2 * keys.size), np.int64)
            move(keys, counts, *larger)
            keys, counts = larger
    keys, counts = keys[counts > 0], counts[counts > 0]
    order = np.argsort(keys)
    keys, counts = keys[order], counts[order]
    return lambda place: keys >> bits * (n - 1 - place) & (1 << bits) - 1, counts


def _check(found: int, most: int, n: int) -> None:
    if found > most:
        raise InputError(
            f"the list has more than {most:,} different runs of {n} characters, whose counts would take more than "
            f"{MEMORY >> 30} GB: count shorter ones, with --order {n - 1}"
        )


@cache
def _compiled() -> tuple[Callable, Callable]:
    count, numbers = types.int64, types.int64[::1]
    of_three = types.UniTuple(count, 3)
    return (
        compiled_function(
            count_into, of_three(types.int32[::1], count, count, count, count, numbers, numbers, count, count)
        ),
        compiled_function(move, types.void(numbers, numbers, numbers, numbers)),
    )
