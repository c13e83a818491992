"""N-gram models: counts of the characters after the last few, smoothed so that every character is possible.

The n-gram is the oldest language model, and for short words such as names one of the best for its cost.
`moreish.ngram.smoothing` has the formulas. The default smoothing fits three strengths for each order on val, four for
lists with labels.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..corpus import Corpus
from ..corpus.stream import Words, per_token
from ..engine.batches import EXACT
from ..engine.protocol import Reader
from ..ngram import PADDED, SMOOTHINGS, Automaton, Tables, count_tables, smoothed
from ..ngram.labels import recounted, smoothed_by_label
from ..ngram.merging import KeptCounts
from ..ngram.tables import tables_of
from ..options import option
from ..sampling.contexts import Contexts, CountedContexts
from .config import CountConfig, ReaderConfig


class AutomatonConfig(ReaderConfig):
    """Options of a model that an `Automaton` reads."""

    order: int

    @property
    def context(self) -> int:
        return max(1, self.order - 1)

    def given(self, weights: dict[str, np.ndarray], label: int) -> dict[str, np.ndarray]:
        return {**weights, "p": weights["p"][label], "share": weights["share"][label]}

    def reader(self, arrays: dict[str, np.ndarray], n_vocab: int) -> Automaton:
        return Automaton(self.order, n_vocab, arrays)

    def contexts(self, reader: Reader, params: np.ndarray, n_vocab: int) -> Contexts:
        assert isinstance(reader, Automaton)
        return CountedContexts(reader)

    def n_parameters(self, arrays: dict[str, np.ndarray]) -> int:
        return arrays["p"].size + arrays["share"].size


@dataclass(frozen=True)
class NGram(AutomatonConfig, CountConfig):
    """Counts of up to `order` characters in a row, interpolated from the shortest up."""

    called: ClassVar[str] = "an n-gram"
    summary: ClassVar[str] = "counts of up to six characters in a row; trains by counting"

    order: int = option(6, "length of the n-grams, including the predicted character", low=1, high=64, search=(3, 10))
    smoothing: str = option(
        "fitted", "smoothing of the counts; fitted is fitted on val", choices=SMOOTHINGS, search=list(SMOOTHINGS)
    )
    added: float = option(1.0, "value added to every count by additive smoothing", low=1e-9, high=1e9)
    at_least: int = option(1, "minimum count; rarer sequences back off to a shorter context", low=1, high=1 << 30)
    memory: float = option(
        8.0, "memory for the counts that are kept, in GB; rarer ones may be written to disk", low=1e-6, high=1e6
    )

    def fit(self, corpus: Corpus) -> dict[str, np.ndarray]:
        """Count the train part and return the model's arrays by name, with the counts if these can be merged."""
        memory, stream, weights = int(self.memory * 2**30), corpus.stream("train"), corpus.weights("train")
        if not self.inexact(corpus):
            return self.fit_counts(KeptCounts.of(stream, weights, self.order, corpus.vocab, memory), corpus)
        tables = count_tables(stream, self.order, len(corpus.vocab), self.at_least, memory, self.smoothing in PADDED)
        if weights is not None:
            tables = recounted(tables, Words(stream, weights))
        arrays = self._smoothed(tables, corpus)
        if corpus.label_names:
            words = corpus.by_label("train"), corpus.by_label("val")
            arrays = smoothed_by_label(tables, self.smoothing, self.added, *words, arrays, memory)
        return arrays

    def fit_counts(self, counts: KeptCounts, corpus: Corpus) -> dict[str, np.ndarray]:
        """Return the arrays of the model that `fit` makes of a corpus whose train words have these counts."""
        tables = tables_of(counts.windows, len(corpus.vocab), self.smoothing in PADDED)
        if (weights := corpus.weights("train")) is not None:
            tables = replace(tables, scale=float(weights.mean()))
        return self._smoothed(tables, corpus) | counts.arrays

    def inexact(self, corpus: Corpus) -> str:
        """Return why sums of the counts of parts would not be the counts of the whole list; empty if they would."""
        weights = corpus.words.weights
        if corpus.split != "hash":
            return f"--split {corpus.split} may put a word into train in one part and into val in another: --split hash"
        if self.at_least > 1:
            return (
                f"--at-least {self.at_least} leaves out what is rare in one part, but may be frequent in the whole list"
            )
        if corpus.label_names:
            return "its list has labels, whose counts are not kept"
        if weights is not None and corpus.weight_power != 1:
            return f"with --weight-power {corpus.weight_power:g}, a word that is in several parts would count too much"
        if weights is not None and (weights != np.rint(weights)).any():
            return "its list has weights that are not whole numbers, whose sums depend on their order"
        if weights is not None and (weights * (1.0 + corpus.words.lengths)).sum() > EXACT:
            return (
                f"the weights of all its characters sum to more than {EXACT:,}, up to which sums are exact: divide them"
            )
        return ""

    def _smoothed(self, tables: Tables, corpus: Corpus) -> dict[str, np.ndarray]:
        val, of_val = corpus.stream("val"), corpus.weights("val")
        of_tokens = None if of_val is None else per_token(val, of_val)
        return smoothed(tables, self.smoothing, self.added, val, of_tokens)


@dataclass(frozen=True)
class BigramCounts(NGram):
    """Counts of pairs of characters, smoothed by adding a constant to each count."""

    called: ClassVar[str] = "a table of bigram counts"
    summary: ClassVar[str] = "counts of pairs of characters; trains by counting"

    order: int = option(2, "length of the n-grams, including the predicted character", low=1, high=64)
    smoothing: str = option("additive", "smoothing of the counts; fitted is fitted on val", choices=SMOOTHINGS)
    added: float = option(
        1.0, "value added to every count by additive smoothing", low=1e-9, high=1e9, search=(0.01, 100)
    )


@dataclass(frozen=True)
class ArpaNGram(AutomatonConfig):
    """An n-gram model that comes from an ARPA file."""

    called: ClassVar[str] = "an n-gram from an ARPA file"
    summary: ClassVar[str] = "an n-gram model of another program; made by moreish load"

    order: int = option(6, "length of the n-grams, including the predicted character", low=1, high=64)
