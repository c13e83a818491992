"""The interface that sampling uses of a model: it draws, scores and spells words."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ..corpus import Vocab
from ..engine.protocol import Draw, Reader
from .contexts import Contexts
from .deadline import check_time

if TYPE_CHECKING:
    from .lookahead import Guide
    from .options import SamplingOptions

MAX_EXTRA = 1000  # characters beyond the shortest word, whatever the list
FIRST_LENGTH = 64  # characters after the prefix that the first attempt has room for
MAX_BUFFER_TOKENS = 1 << 24
MAX_SINGLE_REDRAWS = 32  # unfinished words that are drawn again one by one


@dataclass(frozen=True)
class SamplingModel:
    """A model's vocabulary, the reader that draws and scores with its weights, and its contexts.

    guide   returns the n-gram that looks ahead
    longest characters of the longest word of the list that it was trained on; None if that is not known
    share   the share of its words, if it is the model of one of several labels
    """

    vocab: Vocab
    reader: Reader
    params: np.ndarray
    contexts: Contexts
    guide: Callable[[], "Guide"]
    longest: int | None = None
    share: float = 1.0

    @property
    def most_extra(self) -> int:
        """Characters that a word without a maximum length may have more than the shortest one."""
        return MAX_EXTRA if self.longest is None else min(2 * self.longest + 10, MAX_EXTRA)

    def draw(
        self,
        n: int,
        prefix: Sequence[int],
        options: "SamplingOptions",
        seed: int,
        first: int,
        longest: int,
        length: int = FIRST_LENGTH,
    ) -> np.ndarray:
        """Draw words number first, first + 1, ...: a flat array of tokens, int32, each word ended by 0.

        Every word begins with prefix. A word that has not ended after `longest` characters is cut there. Words that do
        not fit in `length` characters are drawn again with more room: the same numbers give the same words.
        """
        length = min(len(prefix) + length, longest)
        most = max(1, MAX_BUFFER_TOKENS // (length + 1))
        if n > most:
            chunks = [
                self.draw(min(most, n - at), prefix, options, seed, first + at, longest, length)
                for at in range(0, n, most)
            ]
            return np.concatenate(chunks)
        check_time()
        request = Draw(prefix, options.temperature, options.top_k, options.top_p, seed, length, first)
        tokens = self.reader.generate(self.params, n, request)
        ends = np.flatnonzero(tokens == 0)
        unfinished = np.flatnonzero(np.diff(ends, prepend=-1) - 1 == length) if length < longest else ends[:0]
        if len(unfinished) > MAX_SINGLE_REDRAWS:
            return self.draw(n, prefix, options, seed, first, longest, 4 * length)
        if not len(unfinished):
            return tokens
        words = np.split(tokens, ends[:-1] + 1)
        for i in unfinished:
            words[i] = self.draw(1, prefix, options, seed, first + int(i), longest, 4 * length)
        return np.concatenate(words)

    def spell(self, words: Sequence[Sequence[int]]) -> list[str]:
        """Return words, given as tokens without the end, as text."""
        flat = [token for word in words for token in (*word, 0)]
        return self.vocab.split(np.array(flat, np.int64)) if words else []

    def weight(self, prefix: Sequence[int]) -> float:
        """Return the probability of the model's label and a prefix together."""
        if not prefix:
            return self.share
        stream = np.array([0, *prefix, 0], np.int32)
        return self.share * float(np.exp(-self.reader.nll(self.params, stream)[:-1].sum()))

    def log_p(self, words: Sequence[Sequence[int]]) -> np.ndarray:
        """Return the logarithm of each word's probability among all words that the model can draw, (n,).

        The empty word is never drawn, so its probability is shared out among the others.
        """
        if not words:
            return np.zeros(0)
        stream = np.array([0, 0, *(token for word in words for token in (*word, 0))], np.int32)
        nll = self.reader.nll(self.params, stream)
        ends = np.flatnonzero(stream[1:] == 0)
        sums = np.add.reduceat(nll, np.concatenate([[0], ends[:-1] + 1]))
        not_empty = max(-np.expm1(-sums[0]), np.finfo(float).tiny)  # the first word is the empty one
        return -sums[1:] - np.log(not_empty)
