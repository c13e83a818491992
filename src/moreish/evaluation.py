"""Losses on the parts of a split, in the units that people quote."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from .corpus import END, PARTS, Corpus
from .model import Model

TOKENS = 1 << 20  # whose losses are held in memory at a time


@dataclass(frozen=True)
class Evaluation:
    """Losses of a model by part of the split.

    loss        mean nll in nats per predicted token: every character of a word, and its end token
    tokens      how many were predicted
    """

    loss: dict[str, float]
    tokens: dict[str, int]

    @property
    def bits(self) -> dict[str, float]:
        """Bits per predicted token: loss / ln 2."""
        return {part: loss / math.log(2) for part, loss in self.loss.items()}

    @property
    def perplexity(self) -> dict[str, float]:
        """e**loss: among how many equally likely tokens the model could as well be choosing."""
        return {part: math.exp(loss) if loss < 700 else math.inf for part, loss in self.loss.items()}

    def as_json(self) -> dict:
        """Everything as plain dictionaries."""
        return {"loss": self.loss, "bits": self.bits, "perplexity": self.perplexity, "tokens": self.tokens}


def evaluate(model: Model, corpus: Corpus, parts: Iterable[str] = PARTS) -> Evaluation:
    """Evaluate a model on every token of parts of a corpus. Raises InputError if their vocabularies differ."""
    model.check_vocab(corpus)
    streams = {part: corpus.stream(part) for part in parts}
    loss = {part: mean_nll(model.nll, stream) for part, stream in streams.items()}
    return Evaluation(loss, {part: len(stream) - 1 for part, stream in streams.items()})


def mean_nll(nll: Callable[[np.ndarray], np.ndarray], stream: np.ndarray) -> float:
    """The mean nll in nats of every token of a flat stream after its first 0, a million or so at a time."""
    total, start = 0.0, 0
    while start < len(stream) - 1:
        stop = start + TOKENS
        if stop < len(stream) - 1:
            stop += int(np.argmax(stream[stop:] == END))  # to the end of the word
        total += float(nll(stream[start : stop + 1]).sum())
        start = stop
    return total / (len(stream) - 1)
