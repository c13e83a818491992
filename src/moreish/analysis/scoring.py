"""Scores of words: how surprising each is, its percentile among the train words, and whether it is likely.

A word is compared with the train words of similar length. For that, lengths are grouped into bands, from the shortest
up, of at least WORDS_PER_BAND train words each. The percentile of a word is the share of its band that is less likely
than it, by nats per token.

The verdict uses split conformal prediction (Papadopoulos et al. 2002). The excess of a word is its nll per token minus
the mean of its band. A word is likely if its excess is at most the k-th smallest of the n val words, with
k = ceil((1 - rate)(n + 1)). A further word drawn from the same source is then called unlikely with a probability of at
most `rate`, the false-positive rate, whatever the model. The excess is used because nats per token fall with the length
of a word, and the nats of a whole word mostly reflect its length.
"""

import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import EllipsisType

import numpy as np

from ..errors import InputError
from ..evaluation import word_nll
from ..models.model import Score
from ..training.run import Run

WORDS_PER_BAND = 100  # at least, of train
MOST_REFERENCE_WORDS = 100_000  # of train, and of val: a sample of this size is precise enough
CHARACTERS_PER_BATCH = 1 << 18  # unless a single word has more


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of W words with N characters and end tokens in all, column by column; iterating yields `Score` objects.

    per_char    (N,) nats of every character and end token of the words, one word after the other
    unknown     (N,) bool, True for characters that the model does not know
    ends        (W,) where each word ends in these: its end token is at ends - 1
    nll         (W,) nats per token
    excess      (W,) nll minus the mean of the train words of similar length
    percentile  (W,) percentage of those words that are less likely
    likely      (W,) the verdict, bool; None for every word if there are no verdicts
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
        """(W,) bits per token."""
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
    """Scores words with the model of a run, relative to the words that the model was trained on.

    false_positive_rate     the fraction of words from the same source as the list that may be called unlikely; None for
                            no verdicts
    alarm                   its old name

    Raises InputError if the rate is not between 0 and 1, or if val has too few words for it.
    """

    def __init__(
        self,
        run: Run,
        false_positive_rate: float | None = 0.01,
        *,
        alarm: float | EllipsisType | None = ...,
    ):
        rate = false_positive_rate if isinstance(alarm, EllipsisType) else alarm
        self.model, self.corpus, self.false_positive_rate = run.model, run.corpus, rate
        if rate is None:
            return
        if not 0 < rate < 1:
            raise InputError(f"the false-positive rate is {rate}: it must be between 0 and 1")
        n = min(len(run.corpus.parts["val"]), MOST_REFERENCE_WORDS)
        self._rank = n + 1 - math.floor(rate * (n + 1) + 1e-9)
        if self._rank > n:
            digit = 10.0 ** (math.floor(-math.log10(n + 1)) - 2)  # round up to three digits
            least = math.ceil(1 / (n + 1) / digit) * digit
            raise InputError(
                f"the false-positive rate is {rate:g}: with only {n:,} val words it must be at least {least:.3g}"
            )

    @property
    def alarm(self) -> float | None:
        """`false_positive_rate`, under its old name."""
        return self.false_positive_rate

    def score(self, word: str) -> Score:
        """Score one word; it may have any characters (see `Model.nll_of_words`). Raises InputError if it is empty."""
        if not word:
            raise InputError("an empty word has no score")
        return next(iter(self.scores([word])))

    def batches(self, words: Iterable[str]) -> Iterator[Scores]:
        """Score any number of words in order, some thousands at a time, in bounded memory."""
        batch, characters = [], 0
        for word in words:
            batch.append(word)
            characters += len(word) + 1
            if characters >= CHARACTERS_PER_BATCH:
                yield self.scores(batch)
                batch, characters = [], 0
        if batch:
            yield self.scores(batch)

    def scores(self, words: Sequence[str]) -> Scores:
        """Score words all at once. The score of an empty word is that of its end token."""
        words = [unicodedata.normalize("NFC", word) for word in words]
        tokens = np.fromiter(map(len, words), np.int64, len(words)) + 1
        ends = np.cumsum(tokens)
        per_char, unknown = self.model.nll_of_words(words)
        nll = np.add.reduceat(per_char, ends - tokens) / tokens if words else np.zeros(0)
        excess, percentile = self._relative_to_band(nll, tokens - 1)
        likely = np.full(len(words), None) if self.false_positive_rate is None else excess <= self._threshold
        return Scores(words, per_char, unknown, ends, nll, excess, percentile, likely)

    @cached_property
    def _bands(self) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
        """For each band: its shortest length, and the mean nll and the sorted nlls of its train words."""
        nll, lengths = self._reference("train")
        starts = bands(lengths)
        band = np.searchsorted(starts, lengths, "right") - 1
        of_bands = [np.sort(nll[band == i]) for i in range(len(starts))]
        return starts, np.array([train.mean() for train in of_bands]), of_bands

    @cached_property
    def _threshold(self) -> float:
        """Largest excess of a likely word."""
        excess, _ = self._relative_to_band(*self._reference("val"))
        return float(np.sort(excess)[self._rank - 1])

    def _reference(self, part: str) -> tuple[np.ndarray, np.ndarray]:
        """Nll per token and length of the first words of a part. Parts are shuffled, so these are a random sample."""
        words = self.corpus.parts[part][:MOST_REFERENCE_WORDS]
        nll, tokens = word_nll(self.model.nll, self.corpus.vocab.stream(words))
        if not np.isfinite(nll).all():
            raise InputError("the model's losses are not finite: train it again")
        return nll / tokens, tokens - 1

    def _relative_to_band(self, nll: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Excess and percentile of words in their bands, from nll per token (W,) and length (W,)."""
        starts, means, of_bands = self._bands
        band = np.searchsorted(starts, lengths, "right") - 1
        excess = nll - means[band]
        percentile = np.zeros(len(nll))
        for i, train in enumerate(of_bands):
            here = band == i
            percentile[here] = 100 * (1 - np.searchsorted(train, nll[here], "right") / len(train))
        return excess, percentile


def bands(lengths: np.ndarray, enough: int = WORDS_PER_BAND) -> np.ndarray:
    """Group lengths into bands of at least `enough` each; return the shortest length of each band, the first being 0.

    The longest lengths join the last band if they are too few for one of their own.
    """
    starts, have = [0], 0
    for length, count in enumerate(np.bincount(lengths).tolist()):
        if have >= enough:
            starts.append(length)
            have = 0
        have += count
    return np.array(starts[:-1] if have < enough and len(starts) > 1 else starts)
