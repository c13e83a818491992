"""Base classes of the models' configs, and the options that nets share."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np

from ..corpus import Corpus
from ..engine.protocol import Reader
from ..layers import BatchNorm1d, Embedding, LabelledEmbedding, Layer, Linear, ReLU, Tanh
from ..layers.init import GAINS, SCHEMES, bias_init, embedding_init, label_init, weight_init
from ..layers.label import given
from ..options import Options, option
from ..sampling.contexts import Contexts, TokenContexts

ACTIVATIONS = {"tanh": Tanh, "relu": ReLU}
LOGITS_GAIN = 0.1  # of the last layer's weights: characters start about equally likely, so the first loss is log V


class ModelConfig(Options, ABC):
    """Options of a model. Configs are frozen dataclasses of `option` fields.

    called      the model in a sentence, such as "an mlp"
    summary     one line for `moreish models`
    defaults    the model's values for training options whose default is None
    """

    called: ClassVar[str]
    summary: ClassVar[str]
    defaults: ClassVar[dict[str, Any]] = {}

    @property
    @abstractmethod
    def context(self) -> int | None:
        """Length T of a context: the number of earlier characters that a prediction depends on; None for all."""

    @abstractmethod
    def given(self, weights: dict[str, np.ndarray], label: int) -> dict[str, np.ndarray]:
        """Return the weights of the model without labels that a model with labels is, given a label's number."""

    def contexts(self, reader: Reader, params: np.ndarray, n_vocab: int) -> Contexts:
        """Return the contexts of the model, for constrained sampling."""
        return TokenContexts(reader, params, self.context, n_vocab)


class ReaderConfig(ModelConfig):
    """Options of a model without layers, whose parameters are arrays by name."""

    @abstractmethod
    def reader(self, arrays: dict[str, np.ndarray], n_vocab: int) -> Reader:
        """Return a reader with these arrays. Raises KeyError or ValueError if they do not fit together."""

    @abstractmethod
    def n_parameters(self, arrays: dict[str, np.ndarray]) -> int:
        """Return the number of parameters learnt."""

    def rows(self, arrays: dict[str, np.ndarray]) -> list[tuple[str, object]]:
        """Return names and values that describe the model in a table: its options."""
        return [(f.name, getattr(self, f.name)) for f in fields(self)]


class CountConfig(ReaderConfig):
    """Options of a counted model, which has no training steps."""

    @abstractmethod
    def fit(self, corpus: Corpus) -> dict[str, np.ndarray]:
        """Count the train part and return the model's arrays by name."""


class NetConfig(ModelConfig):
    """Options of a model that is a list of layers.

    whole_words True if the layers predict all characters of a word at once: they accept contexts longer than T, and
                return logits for every position with T tokens before it
    """

    whole_words: ClassVar[bool] = False

    @property
    @abstractmethod
    def context(self) -> int | None: ...

    @abstractmethod
    def layers(self, n_vocab: int, n_labels: int = 0) -> list[Layer]:
        """Return the layers from contexts (B, T) to logits (B, n_vocab).

        With labels, contexts are (B, T + 1): the label of the word comes last. If the length of a context has no limit,
        T is 1: the layers go along words, from the token of each prefix to its logits.
        """

    def given(self, weights: dict[str, np.ndarray], label: int) -> dict[str, np.ndarray]:
        return given(weights, label)


def init_option() -> str:
    """Define the option that chooses the scheme of the initial weights."""
    return option(
        "kaiming", "scheme of the initial weights; naive, small and zero show what can go wrong", choices=SCHEMES
    )


def positions_option() -> int:
    """Define the option for the number of positions that have a vector of their own."""
    return option(
        32, "places in a word that have a vector of their own; later characters share the last one", low=1, high=1 << 16
    )


@dataclass(frozen=True)
class InitialisedConfig(NetConfig):
    """Options of the nets whose initial weights follow a scheme, and methods that build their first and last layer."""

    init: str = init_option()

    def embedding(self, n_vocab: int, n_embd: int, n_labels: int) -> Layer:
        init = embedding_init(self.init)
        if not n_labels:
            return Embedding(n_vocab, n_embd, init)
        return LabelledEmbedding(n_vocab, n_labels, n_embd, init, label_init(self.init))

    def logits(self, n_in: int, n_vocab: int) -> Layer:
        weight = weight_init(self.init, n_in, n_vocab, LOGITS_GAIN)
        return Linear(n_in, n_vocab, weight, bias_init(self.init))


@dataclass(frozen=True)
class HiddenConfig(InitialisedConfig):
    """Options of the nets with hidden layers, and methods that build these."""

    activation: str = option("tanh", "activation function of the hidden units", choices=tuple(ACTIVATIONS))
    batch_norm: bool = option(False, "normalise every hidden layer over the batch")
    init: str = init_option()

    def hidden(self, n_in: int, n_out: int) -> list[Layer]:
        """Return a hidden layer: Linear, BatchNorm1d if it is on, activation."""
        weight, activation = weight_init(self.init, n_in, n_out, GAINS[self.activation]), ACTIVATIONS[self.activation]()
        if self.batch_norm:
            return [Linear(n_in, n_out, weight, bias=None), BatchNorm1d(n_out), activation]
        return [Linear(n_in, n_out, weight, bias_init(self.init)), activation]
