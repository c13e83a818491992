"""Contexts and batches, computed from the flat stream of tokens.

A batch depends on (seed, step) alone. A pass over the data visits every example once, in the order of a permutation
that is computed element by element: neither windows nor a shuffled index of the data are stored.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from ..corpus.stream import END, per_token
from ..layers.jit import njit
from .rng import bit_width, bits, permuted, uniform

MAX_TARGETS = 1024  # of an example of whole words
COUNT_TOTAL = 1 << 40  # of counts that are not whole numbers, or too large for exact sums
EXACT = 1 << 53  # whole numbers up to this one are exact in float64
WINDOWS_PER_SORT = 1 << 18  # windows that `distinct_windows` sorts at a time


class Source(NamedTuple):
    """The tokens that batches are drawn from.

    stream      (M,) int32: words one after another, each ended by 0, after a first 0
    starts      (S,) int64: places where examples begin; empty if they begin at every token
    labels      (n,) int32: the label of each of the n examples; empty if there are none
    ends        (n,) float64: sums of the examples' weights, scaled so that the last is n; empty if all count once
    seed        the batch of a step depends on the seed and the number of the step
    """

    stream: np.ndarray
    starts: np.ndarray
    labels: np.ndarray
    ends: np.ndarray
    seed: int


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
def example(stream, position, row, T, contexts, targets, counts):
    """The tokens from `position` to the end of their word -> one row of contexts (B, >= T), targets and counts (B, L).

    counts is 1 for each target, and 0 in places past the end of the word, where tokens and targets are 0.
    """
    L = targets.shape[1]
    n = T - L + 1  # tokens before the first target; then come all targets but the last
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
def weighted(ends, at):
    """The first example whose cumulative weight is above `at`; ends (n,)."""
    low, high = 0, ends.size - 1
    while low < high:
        middle = (low + high) // 2
        if ends[middle] > at:
            high = middle
        else:
            low = middle + 1
    return low


@njit
def choose(n, ends, seed, first, chosen):
    """Examples `first`, `first` + 1, ... of an endless sequence of passes, each a permutation of all n -> chosen (B,).

    With weights, number i of a pass becomes the example in which i + u falls, where u is a random number in [0, 1) for
    each pass. So a pass draws an example as often as its share of the weights says, up to one time more or less. Equal
    weights change nothing. ends (n,) are the cumulative weights, empty if all count once.
    """
    width = bit_width(n)
    number, place = np.int64(first) // n, np.int64(first) % n
    key = bits(seed, number)
    for i in range(chosen.size):
        chosen[i] = permuted(place, n, width, key)
        if ends.size:
            chosen[i] = weighted(ends, chosen[i] + uniform(key, n))
        place += 1
        if place == n:
            number, place = number + 1, 0
            key = bits(seed, number)


@njit
def draw_batch(source, first, contexts, targets, counts):
    """Examples `first`, `first` + 1, ... of a `Source` -> contexts (B, T), targets (B, L) and counts (B, L).

    The examples are those that `choose` chooses; step s takes numbers s B to s B + B - 1. If the source has labels, the
    last column of contexts is the label.
    """
    stream, starts, labels, ends, seed = source
    n = starts.size if starts.size else stream.size - 1
    B, T = contexts.shape[0], contexts.shape[1] - (1 if labels.size else 0)
    chosen = np.empty(B, np.int64)
    choose(n, ends, seed, first, chosen)
    for i in range(B):
        position = starts[chosen[i]] if starts.size else 1 + chosen[i]
        example(stream, position, i, T, contexts, targets, counts)
        if labels.size:
            contexts[i, T] = labels[chosen[i]]


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


NONE, NO_WEIGHTS = np.zeros(0, np.int32), np.zeros(0)


@dataclass(frozen=True)
class Batches:
    """The source of the batches for training.

    source      the tokens that batches are drawn from
    size        B, examples in a batch
    n_places    L, the largest number of tokens in a row that an example predicts
    n_targets   K, the number of targets at each of these places
    fixed       contexts (B, T), targets (B, L K) and counts (B, L K): the batch of every step, instead of drawn ones
    softness    of the targets, the share that is the uniform distribution: see `layers.soft_loss`
    """

    source: Source
    size: int
    n_places: int = 1
    n_targets: int = 1
    fixed: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None
    softness: float = 0.0

    @property
    def n_examples(self) -> int:
        """The number of examples in one pass over the data."""
        if self.fixed is not None:
            return self.size
        return self.source.starts.size or self.source.stream.size - 1

    def of_size(self, size: int) -> "Batches":
        """Return batches of another size from the same examples."""
        return replace(self, size=size)

    def room(self, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Arrays for a batch: contexts (B, columns - 1 + L), targets (B, L K) and counts (B, L K), int64.

        columns is the block size of the layers, and one more for a label.
        """
        targets, counts = np.zeros((2, self.size, self.n_places * self.n_targets), np.int64)
        return np.zeros((self.size, columns - 1 + self.n_places), np.int64), targets, counts

    def fill(self, step: int, contexts: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> None:
        """Write the batch of a step into arrays made by `room`."""
        from .tape.compile import batch_drawer  # which imports this module

        if self.fixed is None:
            batch_drawer()(self.source, step * self.size, contexts, targets, counts)
        else:
            contexts[:], targets[:], counts[:] = self.fixed

    @classmethod
    def drawn(
        cls,
        stream: np.ndarray,
        size: int,
        seed: int,
        context: int,
        whole_words: bool,
        labels: np.ndarray | None = None,
        weights: np.ndarray | None = None,
    ) -> "Batches":
        """Batches of single tokens, each after its context; or of whole words, for layers that predict each position.

        labels and weights (W,) are those of each word. Every word has room for the same number of targets, and a longer
        word is several examples. The room is chosen for the fewest positions in all: more room means more padding after
        short words, less room repeats contexts.
        """
        if not whole_words and labels is None and weights is None:
            return cls(Source(stream, NONE.astype(np.int64), NONE, NO_WEIGHTS, seed), size)
        begins = np.flatnonzero(stream[:-1] == END) + 1
        lengths = np.diff(begins, append=len(stream)).astype(np.int32)
        starts, per_word, room = NONE.astype(np.int64), lengths, 1
        if whole_words:
            rooms = np.arange(1, min(int(lengths.max()), MAX_TARGETS) + 1)
            different, words = np.unique(lengths, return_counts=True)
            examples = (-(-different // rooms[:, None]) * words).sum(1)
            room = int(rooms[np.argmin(examples * (context - 1 + rooms))])
            per_word = -(-lengths // room)  # examples
            starts = np.repeat(begins, per_word)
            number = np.arange(len(starts), dtype=np.int32)  # of an example in its word
            number -= np.repeat(np.cumsum(per_word, dtype=np.int32) - per_word, per_word)
            starts += number * room
        of_examples, ends = NONE, NO_WEIGHTS
        if labels is not None:
            of_examples = np.repeat(labels.astype(np.int32), per_word)
        if weights is not None:
            ends = np.cumsum(np.repeat(weights, per_word))
            ends *= len(ends) / ends[-1]
        return cls(Source(stream, starts, of_examples, ends, seed), size, room)

    @classmethod
    def of_all(
        cls, stream: np.ndarray, context: int, labels: np.ndarray | None = None, weights: np.ndarray | None = None
    ) -> "Batches":
        """One batch of all tokens: an example for each different context, with all tokens that follow it, counted.

        labels and weights (W,) are those of each word. A label is part of the context.
        """
        rows, counts = distinct_windows(stream, context + 1, labels, weights)
        first = np.flatnonzero(np.append(True, (rows[1:, :-1] != rows[:-1, :-1]).any(1)))
        followers = np.diff(np.append(first, len(rows)))  # the number of different targets after each context
        example, place = np.repeat(np.arange(len(first)), followers), np.arange(len(rows)) - np.repeat(first, followers)
        targets, target_counts = np.zeros((2, len(first), int(followers.max())), np.int64)
        targets[example, place], target_counts[example, place] = rows[:, -1], counts
        contexts = np.ascontiguousarray(rows[first, :-1])
        if labels is not None:
            contexts = np.roll(contexts, -1, axis=1)  # the label comes last
        source = Source(stream[:0], NONE.astype(np.int64), NONE, NO_WEIGHTS, 0)
        return cls(source, len(first), 1, targets.shape[1], (contexts, targets, target_counts))


def distinct_windows(
    stream: np.ndarray, width: int, labels: np.ndarray | None = None, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """The different windows of `width` tokens in a stream, sorted, (D, width), and the counts of each (D,).

    labels and weights (W,) are those of each word. With labels a window begins with its word's label, (D, 1 + width).
    With weights the counts are sums of them. If these are not whole numbers, or sum to more than EXACT, they are scaled
    to a sum of COUNT_TOTAL.
    """
    V = int(stream.max()) + 1
    columns = width + (labels is not None)
    bases = np.full(columns, V)
    if labels is not None:
        bases[0] = int(labels.max()) + 1
    packed = np.prod(bases.astype(float)) < 1 << 62  # a window as one number
    units = np.append(np.cumprod(bases[:0:-1])[::-1], 1) if packed else bases
    found = np.zeros(0, np.int64) if packed else np.zeros((0, columns), np.int64)
    of_tokens = [None if x is None else per_token(stream, x) for x in (labels, weights)]
    counts = np.zeros(0)
    for first in range(1, len(stream), WINDOWS_PER_SORT):
        rows = np.zeros((min(WINDOWS_PER_SORT, len(stream) - first), columns), np.int64)
        here = slice(first - 1, first - 1 + len(rows))
        windows(stream, first, len(rows), rows[:, columns - width : -1], rows[:, -1])
        label, weight = (None if x is None else x[here] for x in of_tokens)
        if label is not None:
            rows[:, 0] = label
        more = rows @ units if packed else rows
        found, of_which = np.unique(np.concatenate([found, more]), axis=0, return_inverse=True)
        once = np.ones(len(rows)) if weight is None else weight
        counts = np.bincount(of_which.ravel(), np.concatenate([counts, once]))
    return found[:, None] // units % bases if packed else found, whole(counts, counts.sum())


def whole(counts: np.ndarray, total: float) -> np.ndarray:
    """Return counts as int64, scaled to a total of COUNT_TOTAL unless they are whole numbers with a total up to EXACT.

    total   of what is counted, which may be more than the sum of the counts
    """
    if total > EXACT or not (counts == np.rint(counts)).all():
        counts = np.maximum(1, np.rint(counts * (COUNT_TOTAL / total)))
    return counts.astype(np.int64)
