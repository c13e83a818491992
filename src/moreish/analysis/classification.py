"""Classification of words by a model with labels: the probability of each label for a word.

By Bayes' rule p(label | word) is proportional to p(label) p(word | label). A model's probabilities of words are too
extreme for that: it takes the characters of a word as more independent evidence than they are. So the posterior is
calibrated on val (compare Guo et al. 2017, temperature scaling): it is proportional to

    exp(b_label + a (n / m)**c log p(word | label))

for a word of n tokens, where m is the mean of n. Bayes' rule is a = 1, c = 0 and b_label = log p(label). The numbers a,
c and b are fitted on val, by its mean log posterior, and are held near those of Bayes' rule by a normal prior with a
standard deviation of one. Test words have no part in it.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..corpus import PARTS
from ..corpus.stream import in_batches
from ..display.shown import SHOWN, Shown, Table, first, more
from ..engine.bfgs import Loss, minimised
from ..errors import InputError
from ..evaluation import word_nll
from ..models.score import UNKNOWN_NLL
from ..training.run import Run

MOST_COLUMNS = 8  # labels with a column of their own in a table
MOST_ROWS = 12  # labels that are shown


@dataclass(frozen=True, repr=False)
class Classification(Shown):
    """The likeliest label of a word, and the probability of each label."""

    word: str
    label: str
    probabilities: dict[str, float]

    def __repr__(self) -> str:
        ranked = ", ".join(f"{label} {p:.1%}" for label, p in self._ranked[:3])
        return f"Classification({', '.join(first([self.word]))}: {ranked})"

    def _table(self) -> Table:
        rows = [(label, f"{p:.1%}") for label, p in self._ranked[:SHOWN]]
        return Table(repr(self.word), rows, ["label", ">probability"], more(len(self.probabilities)))

    @property
    def _ranked(self) -> list[tuple[str, float]]:
        return sorted(self.probabilities.items(), key=lambda pair: -pair[1])

    def as_json(self) -> dict[str, Any]:
        """Return everything as a plain dictionary."""
        return {"word": self.word, "label": self.label, "probabilities": self.probabilities}


@dataclass(frozen=True, eq=False, repr=False)
class Confusion(Shown):
    """Confusion matrix of the words of a part.

    labels      names of the labels
    counts      int64 (labels, labels): number of words with the label of the row that are taken for the one of the
                column; each word counts once, whatever its weight
    """

    labels: tuple[str, ...]
    counts: np.ndarray

    def __repr__(self) -> str:
        return f"Confusion({self.counts.sum():,} words, {len(self.labels):,} labels, {self.accuracy:.1%} right)"

    def _table(self) -> Table:
        heading, rows = self.table()
        return Table(repr(self), rows[:MOST_ROWS], heading, more(len(rows), MOST_ROWS))

    def table(self) -> tuple[list[str], list[list[str]]]:
        """A heading and rows: the matrix for a few labels, else what is right of each; > is for right-aligned."""
        right = [f"{share:.1%}" if share == share else "" for share in self.recall.tolist()]
        if len(self.labels) <= MOST_COLUMNS:
            rows = [
                [label, *(f"{count:,}" for count in counts), share]
                for label, counts, share in zip(self.labels, self.counts.tolist(), right, strict=True)
            ]
            return ["label", *(f">predicted {label}" for label in self.labels), ">right"], rows
        rows = []
        for number, (label, share) in enumerate(zip(self.labels, right, strict=True)):
            others = self.counts[number].copy()
            total, others[number] = others.sum(), 0
            rows.append([label, f"{total:,}", share, self.labels[int(others.argmax())] if others.any() else ""])
        return ["label", ">words", ">right", "most often predicted"], rows

    @property
    def accuracy(self) -> float:
        """Share of the words that are classified right."""
        return float(np.trace(self.counts) / self.counts.sum())

    @property
    def recall(self) -> np.ndarray:
        """Share of the words of each label that are classified right, (labels,); NaN for a label without words."""
        with np.errstate(invalid="ignore"):
            return np.diag(self.counts) / self.counts.sum(1)

    @property
    def precision(self) -> np.ndarray:
        """Share of the words taken for each label that have it, (labels,); NaN if there are none."""
        with np.errstate(invalid="ignore"):
            return np.diag(self.counts) / self.counts.sum(0)


class Classifier:
    """Tells the labels of words with the model of a run. Raises InputError for a run without labels."""

    def __init__(self, run: Run):
        if run.model.labels is None:
            raise InputError("this run has no labels", "train one with --labels")
        self.model, self.corpus, self.labels = run.model, run.corpus, run.model.labels

    def __repr__(self) -> str:
        return f"Classifier({self.model.name}, {self.labels!r})"

    def classify(self, word: str) -> Classification:
        """Classify one word; it may have any characters (see `Model.nll_of_words`). Raises InputError if empty."""
        if not word:
            raise InputError("an empty word has no label")
        return next(iter(self.each([word])))

    def each(self, words: Iterable[str]) -> Iterator[Classification]:
        """Classify any number of words in order, some thousands at a time, in bounded memory."""
        for some in in_batches(words):
            p = self.probabilities(some)
            likeliest = p.argmax(1).tolist()
            for word, row, best in zip(some, p.tolist(), likeliest, strict=True):
                yield Classification(word, self.labels.names[best], dict(zip(self.labels.names, row, strict=True)))

    def probabilities(self, words: Sequence[str]) -> np.ndarray:
        """Return the probability of each label for each word, float64 (words, labels)."""
        words = [unicodedata.normalize("NFC", word) for word in words]
        if not words:
            return np.zeros((0, len(self.labels)))
        tokens = np.fromiter(map(len, words), np.int64, len(words)) + 1
        begins = np.cumsum(tokens) - tokens
        stream, unknown = self.model.vocab.stream_of_any(words)
        log_p = np.empty((len(self.labels), len(words)))
        for label, row in enumerate(log_p):
            nll = self.model.nll(stream, label)
            nll[unknown] = UNKNOWN_NLL
            row[:] = -np.add.reduceat(nll, begins)
        return np.exp(_log_posterior(self._numbers, log_p.T, tokens / self._mean_tokens))

    def confusion(self, part: str) -> Confusion:
        """Classify the words of a part of the run's list."""
        log_p, tokens, _ = self._of_val if part == "val" else self._evidence(part)
        taken_for = _log_posterior(self._numbers, log_p, tokens / self._mean_tokens).argmax(1)
        counts = np.zeros((len(self.labels), len(self.labels)), np.int64)
        np.add.at(counts, (self.corpus.labels(part), taken_for), 1)
        return Confusion(self.labels.names, counts)

    def accuracy(self, parts: Iterable[str] = PARTS) -> dict[str, float]:
        """Return the share of the words of each part that are classified right."""
        return {part: self.confusion(part).accuracy for part in parts}

    def _evidence(self, part: str) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """Return log p(word | label) of each word of a part (words, labels), its tokens and its weight (words,)."""
        stream, tokens = self.corpus.stream(part), np.zeros(0)
        log_p = np.empty((len(self.corpus.parts[part]), len(self.labels)))
        for label in range(len(self.labels)):
            nll, tokens = word_nll(self.model.of_label(label).nll, stream)
            log_p[:, label] = -nll
        return log_p, tokens, self.corpus.weights(part)

    @cached_property
    def _of_val(self) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        return self._evidence("val")

    @cached_property
    def _mean_tokens(self) -> float:
        val = self.corpus.stream("val")
        return (len(val) - 1) / np.count_nonzero(val[1:] == 0)

    @cached_property
    def _numbers(self) -> np.ndarray:
        """The logarithm of a, c, and b of each label, (2 + labels,), fitted on val."""
        log_p, tokens, weights = self._of_val
        bayes = np.concatenate([[0.0, 0.0], np.log(self.labels.shares)])
        loss = calibration_loss(log_p, tokens / self._mean_tokens, self.corpus.labels("val"), weights, bayes)
        return minimised(loss, bayes)


def calibration_loss(
    log_p: np.ndarray, lengths: np.ndarray, labels: np.ndarray, weights: np.ndarray | None, bayes: np.ndarray
) -> Loss:
    """Return the loss of words as a function of the logarithm of a, c and b, (2 + L,), with its gradient.

    log_p (W, L) is the logarithm of p(word | label), lengths (W,) are n / m, labels (W,) the true ones, weights (W,)
    those of the words; bayes (2 + L,) is the mean of the prior. The loss is the mean nll of the true labels, and that
    of the prior divided by the number of words.
    """
    shares = np.full(len(labels), 1 / len(labels)) if weights is None else weights / weights.sum()
    rows = np.arange(len(labels))

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        log_q = _log_posterior(x, log_p, lengths)
        off = x - bayes
        value = -shares @ log_q[rows, labels] + off @ off / (2 * len(labels))
        # The gradient by each logit is the posterior, less 1 at the true label.
        dz = np.exp(log_q)
        dz[rows, labels] -= 1
        dz *= shares[:, None]
        of_scale = (dz * log_p).sum(1) * np.exp(x[0]) * lengths ** x[1]  # for a change of log(a (n / m)**c)
        gradient = np.concatenate([[of_scale.sum(), of_scale @ np.log(lengths)], dz.sum(0)])
        return float(value), gradient + off / len(labels)

    return loss


def _log_posterior(x: np.ndarray, log_p: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return the logarithm of the calibrated posterior (W, L); see `calibration_loss`."""
    z = x[2:] + np.exp(x[0]) * lengths[:, None] ** x[1] * log_p
    z -= z.max(1, keepdims=True)
    return z - np.log(np.exp(z).sum(1, keepdims=True))
