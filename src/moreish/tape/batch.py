"""Contexts and batches, computed from the flat stream of tokens.

A batch depends on (seed, step) alone. A pass over the data visits every example once, in an order that is a permutation
computed on the fly: neither windows nor a shuffled index of the data are ever stored.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit

from .rng import bit_width, bits, permuted


@njit
def context(stream, position, out):
    """The tokens before `position` in its word -> out (T,): 0, the end token, wherever the word has not begun.

    stream (M,) is words one after another, each ended by 0, after a first 0.
    """
    T = out.size
    k = T - 1
    while k >= 0:
        position -= 1
        out[k] = stream[position]
        if out[k] == 0:
            break
        k -= 1
    while k >= 0:
        out[k] = 0
        k -= 1


@njit
def example(stream, position, tokens, targets, counts):
    """The tokens from `position` to the end of their word as targets (L,), after tokens (T,), all that predicts them.

    counts (L,) is 1 for each target, and 0 for places past the end of the word, where tokens and targets are 0.
    """
    L = targets.size
    first = tokens.size - L + 1  # of the targets' own tokens among `tokens`: the last target is not among them
    context(stream, position, tokens[:first])
    going = True
    for k in range(L):
        targets[k] = stream[position + k] if going else 0
        counts[k] = 1 if going else 0
        if k < L - 1:
            tokens[first + k] = targets[k]
        going = going and targets[k] != 0


@njit
def draw_batch(stream, starts, seed, step, contexts, targets, counts):
    """The batch of a step: contexts (B, T), targets (B, L) and counts (B, L), filled from stream (M,).

    starts (S,) are the places where examples begin; if it is empty, they begin at every token. Step s takes places s B
    to s B + B - 1 of an endless sequence of passes, each a permutation of all examples.
    """
    n = starts.size if starts.size else stream.size - 1
    B = contexts.shape[0]
    width = bit_width(n)
    first = np.int64(step) * B
    number, place = first // n, first % n
    key = bits(seed, number)
    for i in range(B):
        chosen = permuted(place, n, width, key)
        position = starts[chosen] if starts.size else 1 + chosen
        example(stream, position, contexts[i], targets[i], counts[i])
        place += 1
        if place == n:
            number, place = number + 1, 0
            key = bits(seed, number)


@njit
def windows(stream, first, n, contexts, targets):
    """The n windows from position `first` on: contexts (>= n, T) and targets (>= n,), filled from stream (M,)."""
    for i in range(n):
        context(stream, first + i, contexts[i])
        targets[i] = stream[first + i]


@dataclass(frozen=True)
class Batches:
    """Where the batches of a training come from.

    stream      (M,) int32 tokens
    size        B, examples a batch
    seed        with the number of a step, it makes the step's batch
    starts      (S,) int64 places where examples begin, each for up to L targets; empty: at every token
    n_targets   L, how many targets an example has at most
    fixed       in place of all these: contexts (B, T), targets (B, L) and counts (B, L), the same at every step
    """

    stream: np.ndarray
    size: int
    seed: int
    starts: np.ndarray
    n_targets: int = 1
    fixed: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    @property
    def n_examples(self) -> int:
        """How many examples make one pass over the data."""
        if self.fixed is not None:
            return self.size
        return self.starts.size or self.stream.size - 1

    def fill(self, step: int, contexts: np.ndarray, targets: np.ndarray, counts: np.ndarray) -> None:
        """Write the batch of a step into int64 arrays (B, T), (B, L) and (B, L)."""
        if self.fixed is None:
            draw_batch(self.stream, self.starts, self.seed, step, contexts, targets, counts)
        else:
            contexts[:], targets[:], counts[:] = self.fixed

    @classmethod
    def drawn(cls, stream: np.ndarray, size: int, seed: int, context: int, whole_words: bool) -> "Batches":
        """Batches of single tokens, each after its context; or of whole words, for layers that predict each position.

        Every word has room for the same number of targets, and a longer word is several examples. The room is what
        makes the fewest positions in all: a large one is empty behind short words, a small one repeats contexts.
        """
        if not whole_words:
            return cls(stream, size, seed, np.zeros(0, np.int64))
        begins = np.flatnonzero(stream[:-1] == 0) + 1
        lengths = np.diff(begins, append=len(stream))
        rooms = np.arange(1, min(int(lengths.max()), 1024) + 1)
        different, words = np.unique(lengths, return_counts=True)
        examples = (-(-different // rooms[:, None]) * words).sum(1)
        room = int(rooms[np.argmin(examples * (context - 1 + rooms))])
        pieces = -(-lengths // room)  # of each word
        number = np.arange(pieces.sum()) - np.repeat(np.cumsum(pieces) - pieces, pieces)  # of a piece in its word
        return cls(stream, size, seed, np.repeat(begins, pieces) + number * room, room)

    @classmethod
    def of_all(cls, stream: np.ndarray, context: int) -> "Batches":
        """One batch of all tokens. Equal contexts with equal targets are one example, which counts as often."""
        contexts, targets = np.zeros((len(stream) - 1, context), np.int64), np.zeros(len(stream) - 1, np.int64)
        windows(stream, 1, len(targets), contexts, targets)
        different, counts = np.unique(np.column_stack([contexts, targets]), axis=0, return_counts=True)
        fixed = np.ascontiguousarray(different[:, :-1]), different[:, -1:], counts[:, None]
        return cls(stream[:0], len(different), 0, np.zeros(0, np.int64), fixed=fixed)
