"""The multilayer perceptron of Bengio et al. 2003 (section 2): embeddings of the last few characters, side by side,
through hidden layers, to a logit for each next character."""

from dataclasses import dataclass
from typing import Any, ClassVar

from ..layers import Embedding, FlattenConsecutive, Layer, Linear, ReLU, Tanh
from ..layers.init import GAINS, SCHEMES, bias_init, embedding_init, weight_init
from ..options import option
from .config import ModelConfig

ACTIVATIONS = {"tanh": Tanh, "relu": ReLU}
LOGITS_GAIN = 0.1  # of the last layer's weights: all characters start about equally likely, so the first loss is log V


@dataclass(frozen=True)
class MLP(ModelConfig):
    """Embedding, concatenation, `n_layer` hidden layers, and a layer of logits."""

    summary: ClassVar[str] = "embeddings of the last characters, hidden layers, logits (Bengio et al. 2003)"
    defaults: ClassVar[dict[str, Any]] = {"epochs": 3.0, "batch_size": 256, "optimizer": "adamw", "lr": 0.012}

    block_size: int = option(6, "context length, in characters", low=1, high=1024)
    n_embd: int = option(24, "numbers in a character's embedding", low=1, high=1 << 16)
    n_hidden: int = option(256, "units in a hidden layer", low=1, high=1 << 20)
    n_layer: int = option(1, "hidden layers", low=1, high=1000)
    activation: str = option("tanh", "what a hidden unit computes", choices=tuple(ACTIVATIONS))
    init: str = option("kaiming", "how weights start; naive and zero show what goes wrong", choices=SCHEMES)

    @property
    def context(self) -> int:
        return self.block_size

    def layers(self, n_vocab: int) -> list[Layer]:
        layers: list[Layer] = [
            Embedding(n_vocab, self.n_embd, embedding_init(self.init)),
            FlattenConsecutive(self.block_size),
        ]
        bias, width = bias_init(self.init), self.block_size * self.n_embd
        for _ in range(self.n_layer):
            weight = weight_init(self.init, width, self.n_hidden, GAINS[self.activation])
            layers += [Linear(width, self.n_hidden, weight, bias), ACTIVATIONS[self.activation]()]
            width = self.n_hidden
        return [*layers, Linear(width, n_vocab, weight_init(self.init, width, n_vocab, LOGITS_GAIN), bias)]
