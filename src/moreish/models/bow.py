"""The bag of words: a prediction depends on the mean of all characters before it.

The mean ignores the order of the characters, but for the vectors of their places, which are added to them. It is like a
block of a Transformer in which attention weighs all characters alike. It is trained on whole words.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ..layers import CausalAverage, Layer, Linear, PositionalEmbedding, Residual, Tanh
from ..layers.init import GAINS, bias_init, weight_init
from ..options import option
from .config import InitialisedConfig, init_option, positions_option


@dataclass(frozen=True)
class BagOfWords(InitialisedConfig):
    """Embedding of characters and places, their mean, a hidden layer, and a layer of logits."""

    called: ClassVar[str] = "a bow"
    summary: ClassVar[str] = "a bag of words: the mean of all characters so far"
    defaults: ClassVar[dict[str, Any]] = {"epochs": 8.0, "batch_size": 128, "optimizer": "adamw", "lr": 0.006}

    n_embd: int = option(64, "numbers in a row", low=1, high=1 << 16, search=(16, 128))
    n_hidden: int = option(64, "units in the hidden layer", low=1, high=1 << 20, search=(32, 512))
    n_positions: int = positions_option()

    init: str = init_option()

    @property
    def context(self) -> None:
        return None

    def layers(self, n_vocab: int, n_labels: int = 0) -> list[Layer]:
        E, H, bias = self.n_embd, self.n_hidden, bias_init(self.init)
        hidden = Linear(E, H, weight_init(self.init, E, H, GAINS["tanh"]), bias)
        return [
            self.embedding(n_vocab, E, n_labels),
            PositionalEmbedding(self.n_positions, E),
            Residual((CausalAverage(),)),
            Residual((hidden, Tanh(), Linear(H, E, weight_init(self.init, H, E, 1.0), bias))),
            self.logits(E, n_vocab),
        ]
