"""Scoring words: how surprising each is, its place among the train words, and whether it passes for one of the list.

Words are compared with the train words of about their length: lengths, from the shortest up, are gathered into bands of
at least BAND train words. The percentile of a word is the share of its band that is less likely, by nats a token.

The verdict is a split conformal one (Papadopoulos et al. 2002). A word's excess is its nll a token, less the mean of
its band. It is likely if its excess is at most the k-th smallest of the n val words, with k = ceil((1 - alarm)(n + 1)).
Another word drawn as these were is then called unlikely with a probability of at most alarm, whatever the model. Why
the excess: nats a token fall with the length of a word, and nats of a whole word tell little but its length.
"""

import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..errors import InputError
from ..evaluation import word_nll
from ..models.model import Score
from ..training.run import Run

BAND = 100  # train words in a band of lengths, at least
COMPARED = 100_000  # words of train, and of val, that others are compared with at most: a sample is as good
CHARACTERS = 1 << 18  # that are scored at a time, or one word


@dataclass(frozen=True, eq=False)
class Scores:
    """The scores of W words with N characters and ends together, column by column; iterating gives each as a `Score`.

    per_char    (N,) nats of every character of every word, and of its end
    unknown     (N,) bool, the characters that the model does not know
    ends        (W,) where each word ends in them: its end is at ends - 1
    nll         (W,) nats a token
    excess      (W,) of these over the mean of the train words of about the same length
    percentile  (W,) share of those words that are less likely; likely (W,) the verdict, bool, or None of each
    """

    words: list[str]
    per_char: np.ndarray
    unknown: np.ndarray
    ends: np.ndarray
    nll: np.ndarray
    excess: np.ndarray
    percentile: np.ndarray
    likely: np.ndarray

    @property
    def bits(self) -> np.ndarray:
        """(W,) bits a token."""
        return self.nll / math.log(2)

    def __len__(self) -> int:
        return len(self.words)

    def __iter__(self) -> Iterator[Score]:
        begin, columns = 0, (self.ends, self.percentile, self.likely)
        for word, end, percentile, likely in zip(self.words, *(c.tolist() for c in columns), strict=True):
            unknown = np.flatnonzero(self.unknown[begin:end]).tolist()
            yield Score(word, self.per_char[begin:end].tolist(), unknown, percentile, likely)
            begin = end


class Scorer:
    """Scores words by the model of a run, beside the words that it was trained on.

    alarm   the share of words of the same kind as the list's that may be called unlikely by mistake; None for no
            verdicts

    Raises InputError if alarm is no share, or val has too few words to calibrate it on.
    """

    def __init__(self, run: Run, alarm: float | None = 0.01):
        self.model, self.corpus, self.alarm = run.model, run.corpus, alarm
        if alarm is None:
            return
        if not 0 < alarm < 1:
            raise InputError(f"alarm is {alarm}: it must be a share between 0 and 1")
        n = min(len(run.corpus.parts["val"]), COMPARED)
        self._rank = n + 1 - math.floor(alarm * (n + 1) + 1e-9)
        if self._rank > n:
            digit = 10.0 ** (math.floor(-math.log10(n + 1)) - 2)  # the third one, rounded up
            least = math.ceil(1 / (n + 1) / digit) * digit
            raise InputError(f"alarm is {alarm:g}: {n:,} val words are too few for less than {least:.3g}")

    def score(self, word: str) -> Score:
        """Score one word of any characters (see `Model.nll_of_words`). Raises InputError for an empty one."""
        if not word:
            raise InputError("an empty word has no score")
        return next(iter(self.scores([word])))

    def batches(self, words: Iterable[str]) -> Iterator[Scores]:
        """Score any number of words, in order, some thousands at a time: memory does not grow with them."""
        some, characters = [], 0
        for word in words:
            some.append(word)
            characters += len(word) + 1
            if characters >= CHARACTERS:
                yield self.scores(some)
                some, characters = [], 0
        if some:
            yield self.scores(some)

    def scores(self, words: Sequence[str]) -> Scores:
        """Score words all at once; of an empty one its end alone."""
        words = [unicodedata.normalize("NFC", word) for word in words]
        tokens = np.fromiter(map(len, words), np.int64, len(words)) + 1
        ends = np.cumsum(tokens)
        per_char, unknown = self.model.nll_of_words(words)
        nll = np.add.reduceat(per_char, ends - tokens) / tokens if words else np.zeros(0)
        excess, percentile = self._placed(nll, tokens - 1)
        likely = np.full(len(words), None) if self.alarm is None else excess <= self._threshold
        return Scores(words, per_char, unknown, ends, nll, excess, percentile, likely)

    @cached_property
    def _bands(self) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """The shortest length of every band, and the nll of its train words: their mean, and all, smallest first."""
        nll, lengths = self._compared("train")
        starts = bands(lengths)
        band = np.searchsorted(starts, lengths, "right") - 1
        of_bands = [np.sort(nll[band == i]) for i in range(len(starts))]
        return starts, np.array([train.mean() for train in of_bands]), of_bands

    @cached_property
    def _threshold(self) -> float:
        """The largest excess of a word that is likely."""
        excess, _ = self._placed(*self._compared("val"))
        return float(np.sort(excess)[self._rank - 1])

    def _compared(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """The nll a token and the length of words of a part: of the first of them, and a part is in shuffled order."""
        words = self.corpus.parts[part][:COMPARED]
        nll, tokens = word_nll(self.model.nll, self.corpus.vocab.stream(words))
        if not np.isfinite(nll).all():
            raise InputError("the model gives losses that are no numbers: train it again")
        return nll / tokens, tokens - 1

    def _placed(self, nll: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The excess and the percentile of words in their bands, by their nll a token and their lengths (W,)."""
        starts, means, of_bands = self._bands
        band = np.searchsorted(starts, lengths, "right") - 1
        excess = nll - means[band]
        percentile = np.zeros(len(nll))
        for i, train in enumerate(of_bands):
            here = band == i
            percentile[here] = 100 * (1 - np.searchsorted(train, nll[here], "right") / len(train))
        return excess, percentile


def bands(lengths: np.ndarray, enough: int = BAND) -> np.ndarray:
    """Bands of lengths, each of at least `enough` of those given, as the shortest length of each; the first is 0.

    What is left over in the end joins the last band. Fewer than `enough` are one band.
    """
    starts, have = [0], 0
    for length, count in enumerate(np.bincount(lengths).tolist()):
        if have >= enough:
            starts.append(length)
            have = 0
        have += count
    return np.array(starts[:-1] if have < enough and len(starts) > 1 else starts)
