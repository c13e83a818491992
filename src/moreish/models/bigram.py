"""The bigram model as a net: one linear layer on a one-hot vector, trained by gradient descent to what counting gives.

    logits = onehot(a) W = W[a],        p(b | a) = softmax(W[a])[b]

A one-hot vector times a matrix picks a row of it, so the layer is an Embedding. The loss is convex in W; where it is
least, p(b | a) is n(a b) / n(a), the counts without smoothing. Weight decay pulls W to zero, all characters equally
likely: it is to gradient descent what smoothing is to counts. At its optimum, with decay d over N tokens,

    n(a) / N (p(b | a) - n(a b) / n(a)) = -d W[a, b]

No decay leaves the counts' own shares, and much of it the uniform distribution, as little and much smoothing do.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ..layers import Embedding, Layer
from .config import NetConfig


@dataclass(frozen=True)
class Bigram(NetConfig):
    """One matrix of logits, trained on all words at every step."""

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

    def layers(self, n_vocab: int) -> list[Layer]:
        return [Embedding(n_vocab, n_vocab)]
