"""What every model's config has, and what those of nets share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..corpus import Corpus
from ..engine.protocol import Reader
from ..layers import BatchNorm1d, Embedding, Layer, Linear, ReLU, Tanh
from ..layers.init import GAINS, SCHEMES, bias_init, embedding_init, weight_init
from ..options import Options, option
from ..sampling.contexts import Contexts, TokenContexts

ACTIVATIONS = {"tanh": Tanh, "relu": ReLU}
LOGITS_GAIN = 0.1  # of the last layer's weights: all characters start about equally likely, so the first loss is log V


class ModelConfig(Options, ABC):
    """A model's options. Configs are frozen dataclasses of `option` fields.

    summary     one line for `moreish models`
    defaults    this model's values of the training options whose default is None
    """

    summary: ClassVar[str]
    defaults: ClassVar[dict[str, Any]] = {}

    @property
    @abstractmethod
    def context(self) -> int:
        """How many characters before a character its prediction depends on: T, the length of a context."""

    def contexts(self, reader: Reader, params: np.ndarray, n_vocab: int) -> Contexts:
        """What its predictions depend on, as what steers it walks them."""
        return TokenContexts(lambda rows: reader.logits(params, rows), self.context, n_vocab)


class ReaderConfig(ModelConfig):
    """A model that is no list of layers, but arrays by name and what reads them."""

    @abstractmethod
    def reader(self, arrays: dict[str, np.ndarray], n_vocab: int) -> Reader:
        """What reads and draws words by these arrays. Raises KeyError or ValueError if they do not fit together."""

    @abstractmethod
    def n_parameters(self, arrays: dict[str, np.ndarray]) -> int:
        """How many numbers were learnt."""


class CountConfig(ReaderConfig):
    """A model that is counted rather than trained by steps."""

    @abstractmethod
    def fit(self, corpus: Corpus) -> dict[str, np.ndarray]:
        """What is counted on the train part, as arrays by name."""


class NetConfig(ModelConfig):
    """A model that is a list of layers.

    whole_words whether it trains on every position of a word at once: its layers take longer contexts, and then give
                logits for every position that has a whole context before it
    """

    whole_words: ClassVar[bool] = False

    @abstractmethod
    def layers(self, n_vocab: int) -> list[Layer]:
        """The layers from contexts (B, T) to logits (B, n_vocab)."""


@dataclass(frozen=True)
class HiddenConfig(NetConfig):
    """Options of the nets with hidden layers, and the parts that they are put together from."""

    activation: str = option("tanh", "what a hidden unit computes", choices=tuple(ACTIVATIONS))
    batch_norm: bool = option(False, "normalise every hidden layer over the batch")
    init: str = option("kaiming", "how weights start; naive, small and zero show what goes wrong", choices=SCHEMES)

    def embedding(self, n_vocab: int, n_embd: int) -> Layer:
        return Embedding(n_vocab, n_embd, embedding_init(self.init))

    def hidden(self, n_in: int, n_out: int) -> list[Layer]:
        """A hidden layer: Linear, BatchNorm1d if it is on, activation."""
        weight, activation = weight_init(self.init, n_in, n_out, GAINS[self.activation]), ACTIVATIONS[self.activation]()
        if self.batch_norm:
            return [Linear(n_in, n_out, weight, bias=None), BatchNorm1d(n_out), activation]
        return [Linear(n_in, n_out, weight, bias_init(self.init)), activation]

    def logits(self, n_in: int, n_vocab: int) -> Layer:
        weight = weight_init(self.init, n_in, n_vocab, LOGITS_GAIN)
        return Linear(n_in, n_vocab, weight, bias_init(self.init))
