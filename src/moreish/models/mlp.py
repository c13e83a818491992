"""The multilayer perceptron of Bengio et al. 2003 (section 2).

The embeddings of the last few characters are concatenated, and hidden layers compute a logit for each next character.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ..layers import FlattenConsecutive, Layer
from ..options import option
from .config import HiddenConfig


@dataclass(frozen=True)
class MLP(HiddenConfig):
    """Embedding, concatenation, `n_layer` hidden layers, and a layer of logits."""

    called: ClassVar[str] = "an mlp"
    summary: ClassVar[str] = "embeddings of the last characters, hidden layers, logits (Bengio et al. 2003)"
    defaults: ClassVar[dict[str, Any]] = {"epochs": 3.0, "batch_size": 256, "optimizer": "adamw", "lr": 0.012}

    block_size: int = option(
        6, "context length, in characters; for wavenets a power of two", low=1, high=1024, search=(3, 10)
    )
    n_embd: int = option(24, "size of a character's embedding", low=1, high=1 << 16, search=(8, 64))
    n_hidden: int = option(256, "units in a hidden layer", low=1, high=1 << 20, search=(64, 512))
    n_layer: int = option(1, "hidden layers", low=1, high=1000, search=[1, 2])

    @property
    def context(self) -> int:
        return self.block_size

    def layers(self, n_vocab: int, n_labels: int = 0) -> list[Layer]:
        width = self.block_size * self.n_embd
        layers: list[Layer] = [self.embedding(n_vocab, self.n_embd, n_labels), FlattenConsecutive(self.block_size)]
        for _ in range(self.n_layer):
            layers += self.hidden(width, self.n_hidden)
            width = self.n_hidden
        return [*layers, self.logits(width, n_vocab)]
