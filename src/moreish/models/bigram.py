"""The bigram model as a net: one linear layer on a one-hot vector. Gradient descent leads to the result of counting.

    logits = onehot(a) W = W[a],        p(b | a) = softmax(W[a])[b]

A one-hot vector times a matrix is a row of the matrix, so the layer is an Embedding. The loss is convex in W. At its
minimum p(b | a) is n(a b) / n(a), the counts without smoothing. Weight decay pulls W towards zero, where all characters
are equally likely; it has the role of smoothing. At the optimum, with decay d over N tokens,

    n(a) / N (p(b | a) - n(a b) / n(a)) = -d W[a, b]

Without decay the probabilities are the relative frequencies; with strong decay they approach the uniform distribution.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ..layers import Embedding, LabelledEmbedding, Layer
from .config import NetConfig


@dataclass(frozen=True)
class Bigram(NetConfig):
    """One matrix of logits, trained on all words at every step; a label adds a row of its own to each."""

    called: ClassVar[str] = "a bigram"
    summary: ClassVar[str] = "pairs of characters again: one linear layer, trained by gradient descent"
    defaults: ClassVar[dict[str, Any]] = {
        "full_batch": True,
        "epochs": 3000.0,
        "optimizer": "sgd",
        "lr": 50.0,
        "schedule": "linear",
    }

    @property
    def context(self) -> int:
        return 1

    def layers(self, n_vocab: int, n_labels: int = 0) -> list[Layer]:
        return [LabelledEmbedding(n_vocab, n_labels, n_vocab) if n_labels else Embedding(n_vocab, n_vocab)]
