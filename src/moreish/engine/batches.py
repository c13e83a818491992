"""Contexts and batches, computed from the flat stream of tokens.

A batch depends on (seed, step) alone. A pass over the data visits every example once, in the order of a permutation
that is computed element by element: neither windows nor a shuffled index of the data are stored.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass

import numpy as np
from numba import njit

from ..corpus.stream import END
from .rng import bit_width, bits, permuted

MAX_TARGETS = 1024  # of an example of whole words
WINDOWS_PER_SORT = 1 << 18  # windows that `distinct_windows` sorts at a time


@njit
def context(stream, position, row, n, contexts):
    """The n tokens before `position` -> contexts[row, :n], with 0, the end token, in places before the word.

    stream (M,) is words one after another, each ended by 0, after a first 0.
    """
    k = n - 1
    while k >= 0:
        position -= 1
        contexts[row, k] = stream[position]
        if contexts[row, k] == 0:
            break
        k -= 1
    while k >= 0:
        contexts[row, k] = 0
        k -= 1


@njit
def example(stream, position, row, contexts, targets, counts):
    """The tokens from `position` to the end of their word -> one row of contexts (B, T), targets and counts (B, L).

    counts is 1 for each target, and 0 in places past the end of the word, where tokens and targets are 0.
    """
    L = targets.shape[1]
    n = contexts.shape[1] - L + 1  # tokens before the first target; then come all targets but the last
    context(stream, position, row, n, contexts)
    token = stream[position]
    targets[row, 0] = token
    counts[row, 0] = 1
    for k in range(1, L):
        contexts[row, n - 1 + k] = token
        ended = token == 0
        token = 0 if ended else stream[position + k]
        targets[row, k] = token
        counts[row, k] = 0 if ended else 1


@njit
def draw_batch(stream, starts, seed, first, contexts, targets, counts):
    """Examples `first`, `first` + 1, ... of stream (M,) -> contexts (B, T), targets (B, L) and counts (B, L).

    Examples begin at the places starts (S,), or at every token if starts is empty. Their numbers go through an endless
    sequence of passes, each a permutation of all examples. Step s takes numbers s B to s B + B - 1.
    """
    n = starts.size if starts.size else stream.size - 1
    B = contexts.shape[0]
    width = bit_width(n)
    number, place = np.int64(first) // n, np.int64(first) % n
    key = bits(seed, number)
    for i in range(B):
        chosen = permuted(place, n, width, key)
        position = starts[chosen] if starts.size else 1 + chosen
        example(stream, position, i, contexts, targets, counts)
        place += 1
        if place == n:
            number, place = number + 1, 0
            key = bits(seed, number)


@njit
def windows(stream, first, n, contexts, targets):
    """The n windows from position `first` of stream (M,) -> contexts (>= n, T) and targets (>= n,)."""
    for i in range(n):
        context(stream, first + i, i, contexts.shape[1], contexts)
        targets[i] = stream[first + i]


@njit
def group_windows(stream, first, n, contexts, slots, head, follower):
    """The different contexts of the n windows from position `first` -> contexts (>= n, T); returns their number.

    The windows are numbered from 0. Those of context i are head[i], follower[head[i]] and so on until -1; head and
    follower are (>= n,). slots (S,), S a power of two and at least 2 n, is a hash table with open addressing.
    """
    for i in range(slots.size):
        slots[i] = -1
    used, T, last = 0, contexts.shape[1], np.uint64(slots.size - 1)
    for i in range(n):
        context(stream, first + i, used, T, contexts)
        key = np.uint64(0)
        for k in range(T):
            key = bits(key, contexts[used, k])
        place = key & last
        while slots[place] >= 0:
            other = slots[place]
            k = 0
            while k < T and contexts[other, k] == contexts[used, k]:
                k += 1
            if k == T:
                break
            place = (place + np.uint64(1)) & last
        if slots[place] < 0:
            slots[place] = used
            head[used] = -1
            used += 1
        of = slots[place]
        follower[i] = head[of]
        head[of] = i
    return used


@dataclass(frozen=True)
class Batches:
    """The source of the batches for training.

    stream      (M,) int32 tokens
    size        B, examples in a batch
    seed        the batch of a step depends on the seed and the number of the step
    starts      (S,) int64 places where examples begin, each for up to L targets; empty: at every token
    n_places    L, the largest number of tokens in a row that an example predicts
    n_targets   K, the number of targets at each of these places
    fixed       contexts (B, T), targets (B, L K) and counts (B, L K): the batch of every step, instead of drawn ones
    """

    stream: np.ndarray
    size: int
    seed: int
    starts: np.ndarray
    n_places: int = 1
    n_targets: int = 1
    fixed: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @property
    def n_examples(self) -> int:
        """The number of examples in one pass over the data."""
        if self.fixed is not None:
            return self.size
        return self.starts.size or self.stream.size - 1

    def room(self, context: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Arrays for a batch of layers with this context: (B, context - 1 + L), (B, L K) and (B, L K) int64."""
        targets, counts = np.zeros((2, self.size, self.n_places * self.n_targets), np.int64)
        return np.zeros((self.size, context - 1 + self.n_places), np.int64), targets, counts

    def fill(self, step: int, contexts: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> None:
        """Write the batch of a step into arrays made by `room`."""
        if self.fixed is None:
            draw_batch(self.stream, self.starts, self.seed, step * self.size, contexts, targets, counts)
        else:
            contexts[:], targets[:], counts[:] = self.fixed

    @classmethod
    def drawn(cls, stream: np.ndarray, size: int, seed: int, context: int, whole_words: bool) -> "Batches":
        """Batches of single tokens, each after its context; or of whole words, for layers that predict each position.

        Every word has room for the same number of targets, and a longer word is several examples. The room is chosen
        for the fewest positions in all: more room means more padding after short words, less room repeats contexts.
        """
        if not whole_words:
            return cls(stream, size, seed, np.zeros(0, np.int64))
        begins = np.flatnonzero(stream[:-1] == END) + 1
        lengths = np.diff(begins, append=len(stream)).astype(np.int32)
        rooms = np.arange(1, min(int(lengths.max()), MAX_TARGETS) + 1)
        different, words = np.unique(lengths, return_counts=True)
        examples = (-(-different // rooms[:, None]) * words).sum(1)
        room = int(rooms[np.argmin(examples * (context - 1 + rooms))])
        per_word = -(-lengths // room)  # examples
        starts = np.repeat(begins, per_word)
        number = np.arange(len(starts), dtype=np.int32)  # of an example in its word
        number -= np.repeat(np.cumsum(per_word, dtype=np.int32) - per_word, per_word)
        starts += number * room
        return cls(stream, size, seed, starts, n_places=room)

    @classmethod
    def of_all(cls, stream: np.ndarray, context: int) -> "Batches":
        """One batch of all tokens: an example for each different context, with all tokens that follow it, counted."""
        rows, counts = distinct_windows(stream, context + 1)
        first = np.flatnonzero(np.append(True, (rows[1:, :-1] != rows[:-1, :-1]).any(1)))
        followers = np.diff(np.append(first, len(rows)))  # the number of different targets after each context
        example, place = np.repeat(np.arange(len(first)), followers), np.arange(len(rows)) - np.repeat(first, followers)
        targets, target_counts = np.zeros((2, len(first), int(followers.max())), np.int64)
        targets[example, place], target_counts[example, place] = rows[:, -1], counts
        fixed = np.ascontiguousarray(rows[first, :-1]), targets, target_counts
        return cls(stream[:0], len(first), 0, np.zeros(0, np.int64), n_targets=targets.shape[1], fixed=fixed)


def distinct_windows(stream: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The different windows of `width` tokens in a stream, sorted, (D, width), and the counts of each (D,)."""
    V = int(stream.max()) + 1
    packed = V**width < 1 << 62  # a window as one number of base V
    found = np.zeros(0, np.int64) if packed else np.zeros((0, width), np.int64)
    counts = np.zeros(0, np.int64)
    for first in range(1, len(stream), WINDOWS_PER_SORT):
        rows = np.zeros((min(WINDOWS_PER_SORT, len(stream) - first), width), np.int64)
        windows(stream, first, len(rows), rows[:, :-1], rows[:, -1])
        more = rows @ V ** np.arange(width)[::-1] if packed else rows
        found, of_which = np.unique(np.concatenate([found, more]), axis=0, return_inverse=True)
        once = np.ones(len(rows), np.int64)
        counts = np.bincount(of_which.ravel(), np.concatenate([counts, once])).astype(np.int64)
    return found[:, None] // V ** np.arange(width)[::-1] % V if packed else found, counts
