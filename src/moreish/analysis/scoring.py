"""Scores of words: how surprising each is, its percentile among held-out words, and whether it is likely.

A word is compared with val words of similar length, which the model has not learnt by heart. Lengths are grouped into
bands, from the shortest up, of at least WORDS_PER_BAND val words each; a short list has one band. Val words that are in
train too are left out if enough others remain. The percentile of a word is the share of its band that is at most as
likely as the word, by nats per token. Every val word counts once, also in a list with weights.

The verdict is a conformal test in each band (Vovk et al. 2003). Of the n words of the band, c are at most as likely as
the word; it is unlikely if (c + 1) / (n + 1) <= rate, the false-positive rate. So the verdict follows from the
percentile, and a word with percentile 0 is unlikely: bands have at least 1 / rate - 1 words.

A further word from the same source that is not in train is called unlikely with a probability of at most `rate`, as all
orders of such a word and the n others are equally likely. This is exact for a model that was not chosen on val, and
given that the limits of the bands are fixed: they come from the lengths of the val words, not from their nats.
"""

import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from types import EllipsisType

import numpy as np

from ..corpus.stream import in_batches
from ..display.shown import SHOWN, Shown, Table, more
from ..errors import InputError, check_finite
from ..evaluation import word_nll
from ..models.model import Model
from ..models.score import Score
from ..training.run import Run

WORDS_PER_BAND = 100  # at least
VERDICTS = ("unlikely", "likely")
MOST_REFERENCE_WORDS = 100_000  # a sample of this size is precise enough


@dataclass(frozen=True, eq=False, repr=False)
class Scores(Shown):
    """Scores of W words with N characters and end tokens in all, column by column; iterating yields `Score` objects.

    per_char    (N,) nats of every character and end token of the words, one word after the other
    unknown     (N,) bool, True for characters that the model does not know
    ends        (W,) where each word ends in these: its end token is at ends - 1
    nll         (W,) nats per token
    excess      (W,) nll minus the mean of the held-out words of similar length
    percentile  (W,) percentage of those words that are at most as likely
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

    def _table(self) -> Table:
        rows = [
            [
                score.word,
                f"{score.nll:.4f}",
                f"{score.percentile:.1f}",
                "" if score.likely is None else VERDICTS[score.likely],
            ]
            for score in islice(self, SHOWN)
        ]
        return Table(f"Scores of {len(self):,} words", rows, ["word", ">nats", ">percentile", ""], more(len(self)))

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


class Bands:
    """Held-out words in bands of similar length, with which words are compared.

    starts      the shortest length of each band, int64 (bands,)
    nlls        the nll per token of the words of each band, sorted
    rate        the false-positive rate; None for no verdicts

    A *place* is a band and the number of its words that are at most as likely as a word.

    means       mean nll of each band, float64 (bands,)
    percentile  percentage of the band's words that are at most as likely, by place, float64 (places,)
    likely      the verdict, by place, bool (places,); None for every place if there are no verdicts
    """

    def __init__(self, starts: np.ndarray, nlls: Sequence[np.ndarray], rate: float | None):
        self.starts, self.nlls = starts, nlls
        self.means = np.array([nll.mean() for nll in nlls])
        sizes = np.array([len(nll) for nll in nlls])
        self._first = np.cumsum(sizes + 1) - sizes - 1  # place of each band
        n, counts = np.repeat(sizes, sizes + 1), np.concatenate([np.arange(size + 1) for size in sizes])
        self.percentile = 100 * counts / n
        self.likely = np.full(len(n), None) if rate is None else counts + 1 > rate * (n + 1) + 1e-9

    def places(self, nll: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the place and the band of words, int64 (W,) each, from their nll per token (W,) and lengths (W,)."""
        band, place = np.searchsorted(self.starts, lengths, "right") - 1, np.zeros(len(nll), np.int64)
        for i, others in enumerate(self.nlls):
            here = np.flatnonzero(band == i)
            place[here] = self._first[i] + len(others) - np.searchsorted(others, nll[here], "left")
        return place, band


class Scorer:
    """Scores words with the model of a run, relative to held-out words of its list.

    false_positive_rate     the fraction of words from the same source as the list that may be called unlikely; None for
                            no verdicts
    label                   of a run with labels: words are scored, and compared, as words with this label; None for
                            the sum over labels
    alarm                   old name of false_positive_rate

    If val has too few words for the rate, there are no verdicts: the attribute false_positive_rate is None, and reason,
    otherwise None, says why. Raises InputError if the rate is not between 0 and 1.
    """

    def __init__(
        self,
        run: Run,
        false_positive_rate: float | None = 0.01,
        *,
        label: str | None = None,
        alarm: float | EllipsisType | None = ...,
    ):
        rate = false_positive_rate if isinstance(alarm, EllipsisType) else alarm
        self.model, self.corpus, self.reason = run.model, run.corpus, None
        held_out = np.ones(len(run.corpus.parts["val"]), bool)
        if label is not None:
            self.model = run.model.given(label)
            held_out = run.corpus.labels("val") == run.corpus.label_names.index(str(label))
            if not held_out.any():
                raise InputError(f"no val word has the label {label}, so scores have nothing to compare with: use none")
        self._held_out = np.flatnonzero(held_out)[:MOST_REFERENCE_WORDS]
        self.false_positive_rate, self._enough = rate, WORDS_PER_BAND
        if rate is None:
            return
        if not 0 < rate < 1:
            raise InputError(f"the false-positive rate is {rate}: it must be between 0 and 1")
        n, needed = len(self._held_out), math.ceil((1 - 1e-9) / rate) - 1
        if needed > n:
            digit = 10.0 ** math.floor(-math.log10(n + 1))  # round up to one digit
            least = math.ceil(1 / (n + 1) / digit) * digit
            self.false_positive_rate = None
            of_label = f" of {label}" if label else ""
            self.reason = (
                f"{n:,} val words{of_label} are too few for verdicts at a false-positive rate of {rate:g}: "
                f"use --false-positive-rate {least:.1g}"
            )
        else:
            self._enough = max(WORDS_PER_BAND, needed)

    def __repr__(self) -> str:
        rate = (
            "no verdicts" if self.false_positive_rate is None else f"false-positive rate {self.false_positive_rate:g}"
        )
        return f"Scorer({self.model.name}, {rate}, {len(self._held_out):,} val words)"

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
        for batch in in_batches(words):
            yield self.scores(batch)

    def scores(self, words: Sequence[str]) -> Scores:
        """Score words all at once. The score of an empty word is that of its end token."""
        words = list(words) if "".join(words).isascii() else [unicodedata.normalize("NFC", word) for word in words]
        tokens = np.fromiter(map(len, words), np.int64, len(words)) + 1
        ends = np.cumsum(tokens)
        per_char, unknown = self.model.nll_of_words(words)
        nll = _means(per_char, tokens)
        place, band = self.bands.places(nll, tokens - 1)
        excess, percentile, likely = (
            nll - self.bands.means[band],
            self.bands.percentile[place],
            self.bands.likely[place],
        )
        return Scores(words, per_char, unknown, ends, nll, excess, percentile, likely)

    def of_lines(self, lines: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Score lines of ASCII without white space, each with a line feed at its end.

        Returns the nll per token of each line, float64 (W,), and its place in `bands`, int64 (W,).
        """
        stream, unknown = self.model.vocab.stream_of_lines(lines)
        tokens = np.diff(np.flatnonzero(np.frombuffer(lines, np.uint8) == ord("\n")), prepend=-1)
        nll = _means(self.model.nll_with_unknown(stream, unknown), tokens)
        return nll, self.bands.places(nll, tokens - 1)[0]

    def with_weights(self, model: Model) -> "Scorer":
        """Return the scorer of the same model with other weights; the words to compare with are prepared once."""
        _ = self._reference
        made = copy(self)
        vars(made).pop("bands", None)
        made.model = model
        return made

    @cached_property
    def _reference(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The held-out words that are compared with, as a stream, their lengths, and the shortest of each band."""
        kept = self._held_out[~self.corpus.stand_in_train("val")[self._held_out]]
        words = self.corpus.parts["val"][kept if len(kept) >= self._enough else self._held_out]
        return self.corpus.vocab.stream(words), words.lengths, bands(words.lengths, self._enough)

    @cached_property
    def bands(self) -> Bands:
        """The held-out words that words are compared with, by length."""
        stream, lengths, starts = self._reference
        nll, tokens = word_nll(self.model.nll, stream)
        check_finite(nll)
        nll, band = nll / tokens, np.searchsorted(starts, lengths, "right") - 1
        return Bands(starts, [np.sort(nll[band == i]) for i in range(len(starts))], self.false_positive_rate)


def _means(per_char: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """Return the mean of the nll (N,) of the tokens of each word, (W,), from the numbers of tokens (W,)."""
    return np.add.reduceat(per_char, np.cumsum(tokens) - tokens) / tokens if len(tokens) else np.zeros(0)


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
