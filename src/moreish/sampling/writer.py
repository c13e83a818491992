"""A model as what writes words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..corpus import Vocab
from ..engine.protocol import Draw, Reader
from .contexts import Contexts
from .deadline import check_time
from .dynamic_programming import SamplingOptions

ROOM = 64  # characters that there is room for at first
CELLS = 1 << 24  # tokens that there is room for at a time
FEW = 32  # words that are drawn again one by one


@dataclass(frozen=True)
class Writer:
    """A model's vocabulary, what reads and draws by its weights, and its contexts."""

    vocab: Vocab
    reader: Reader
    params: np.ndarray
    contexts: Contexts

    def draw(
        self,
        n: int,
        head: Sequence[int],
        chances: SamplingOptions,
        seed: int,
        first: int,
        longest: int,
        room: int = ROOM,
    ) -> np.ndarray:
        """Draw words number first, first + 1, ...: a flat run of tokens, int32, each word ended by 0.

        Each begins with head. One that has not ended after `longest` characters is cut there. Words that have not ended
        where there was no more room are drawn again with more: the same numbers make the same words.
        """
        room = min(len(head) + room, longest)
        most = max(1, CELLS // (room + 1))
        if n > most:
            pieces = [
                self.draw(min(most, n - at), head, chances, seed, first + at, longest, room) for at in range(0, n, most)
            ]
            return np.concatenate(pieces)
        check_time()
        wanted = Draw(head, chances.temperature, chances.top_k, chances.top_p, seed, room, first)
        tokens = self.reader.generate(self.params, n, wanted)
        ends = np.flatnonzero(tokens == 0)
        unfinished = np.flatnonzero(np.diff(ends, prepend=-1) - 1 == room) if room < longest else ends[:0]
        if len(unfinished) > FEW:
            return self.draw(n, head, chances, seed, first, longest, 4 * room)
        if not len(unfinished):
            return tokens
        words = np.split(tokens, ends[:-1] + 1)
        for i in unfinished:
            words[i] = self.draw(1, head, chances, seed, first + int(i), longest, 4 * room)
        return np.concatenate(words)

    def spell(self, words: Sequence[Sequence[int]]) -> list[str]:
        """Words, as tokens without the end, as text."""
        flat = [token for word in words for token in (*word, 0)]
        return self.vocab.split(np.array(flat, np.int64)) if words else []

    def log_p(self, words: Sequence[Sequence[int]]) -> np.ndarray:
        """The logarithm of each word's probability among all that are written, (n,): none of them is empty."""
        if not words:
            return np.zeros(0)
        stream = np.array([0, 0, *(token for word in words for token in (*word, 0))], np.int32)
        nll = self.reader.nll(self.params, stream)
        ends = np.flatnonzero(stream[1:] == 0)
        sums = np.add.reduceat(nll, np.concatenate([[0], ends[:-1] + 1]))
        return -sums[1:] - np.log(-np.expm1(-sums[0]))  # the first word is the empty one
