"""Counting: how often each character follows another.

    p(b | a) = (n(a b) + smoothing) / (n(a) + smoothing V)

where V counts the characters and the end token. The end token stands before the first character too, so n(0 b) counts
the words that begin with b. Adding `smoothing` to every count leaves nothing impossible.

As layers this is one Embedding of width V: row a of its table holds the logits log p(. | a).
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..corpus import Corpus
from ..layers import Embedding, Layer
from ..options import option
from .config import ModelConfig


@dataclass(frozen=True)
class BigramCounts(ModelConfig):
    """Counts of pairs of characters, smoothed by adding a constant to each."""

    summary: ClassVar[str] = "counts of pairs of characters; trains by counting"

    smoothing: float = option(1.0, "count added to every pair", low=1e-9, high=1e9)

    @property
    def context(self) -> int:
        return 1

    def layers(self, n_vocab: int) -> list[Layer]:
        return [Embedding(n_vocab, n_vocab)]

    def fit(self, corpus: Corpus) -> np.ndarray:
        stream, V = corpus.stream("train"), len(corpus.vocab)
        counts = np.bincount(stream[:-1].astype(np.int64) * V + stream[1:], minlength=V * V).reshape(V, V)
        smoothed = counts + self.smoothing
        return np.log(smoothed / smoothed.sum(axis=1, keepdims=True)).ravel()
