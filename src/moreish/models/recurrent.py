"""Recurrent nets: a state goes along the word, so a prediction depends on all characters before it.

`rnn` is the plain form (Elman 1990), `gru` has gates that keep the state (Cho et al. 2014), and `lstm` a cell beside it
(Hochreiter and Schmidhuber 1997). Every layer is a Linear, the input's share of its gates, and the recurrence; see the
files in `layers`. They are trained on whole words.
"""

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from ..layers import GRU, LSTM, RNN, ChoGRU, Dropout, Layer, Linear
from ..layers.init import Blocks, bias_init, weight_init
from ..layers.recurrent import Recurrent
from ..layers.spec import Init
from ..options import option
from .config import InitialisedConfig, init_option

# With weights that are averaged and decay a little, several passes with dropout do not overfit.
DEFAULTS: dict[str, Any] = {
    "epochs": 8.0,
    "batch_size": 128,
    "optimizer": "adamw",
    "lr": 0.006,
    "weight_decay": 0.1,
    "average": 0.99,
}


@dataclass(frozen=True)
class RecurrentConfig(InitialisedConfig):
    """Embedding, recurrent layers with dropout after each, and a layer of logits."""

    n_embd: int = option(64, "size of a character's embedding", low=1, high=1 << 16, search=(16, 128))
    n_hidden: int = option(256, "numbers in the state of a layer", low=1, high=1 << 20, search=(64, 512))
    n_layer: int = option(1, "recurrent layers", low=1, high=100, search=[1, 2])
    dropout: float = option(
        0.2, "probability of dropping a number of a layer's output, in training", low=0, high=0.99, search=[0, 0.2, 0.4]
    )
    recurrent_dropout: float = option(
        0.0,
        "probability of dropping a number of the state, for all words of a batch",
        low=0,
        high=0.99,
        search=[0, 0.2, 0.4],
    )
    learn_start: bool = option(False, "learn the state before a word, which is zero otherwise")

    init: str = init_option()

    @property
    def context(self) -> None:
        return None

    @property
    @abstractmethod
    def recurrent(self) -> type[Recurrent]:
        """The kind of its recurrent layers."""

    def bias(self) -> Init:
        """Return the initial biases of the gates."""
        return bias_init(self.init)

    def layers(self, n_vocab: int, n_labels: int = 0) -> list[Layer]:
        layers, width = [self.embedding(n_vocab, self.n_embd, n_labels)], self.n_embd
        H, blocks = self.n_hidden, self.recurrent.blocks
        for number in range(self.n_layer):
            to_gates, to_state = weight_init(self.init, width, H, 1.0), weight_init(self.init, H, H, 1.0)
            layers.append(Linear(width, blocks * H, to_gates, self.bias()))
            layers.append(self.recurrent(H, to_state, self.recurrent_dropout, 2 * number, self.learn_start))
            if self.dropout:
                layers.append(Dropout(self.dropout, 2 * number + 1))
            width = H
        return [*layers, self.logits(width, n_vocab)]


@dataclass(frozen=True)
class RNNConfig(RecurrentConfig):
    """A plain recurrent net."""

    called: ClassVar[str] = "an rnn"
    summary: ClassVar[str] = "a state that goes along the word (Elman 1990)"
    defaults: ClassVar[dict[str, Any]] = {**DEFAULTS, "grad_clip": 1.0}

    @property
    def recurrent(self) -> type[Recurrent]:
        return RNN


@dataclass(frozen=True)
class GRUConfig(RecurrentConfig):
    """A recurrent net with gates that keep its state."""

    called: ClassVar[str] = "a gru"
    summary: ClassVar[str] = "the same with gates that decide what it keeps (Cho et al. 2014)"
    defaults: ClassVar[dict[str, Any]] = DEFAULTS

    reset: str = option(
        "after",
        "where the reset gate acts: after the product, as in PyTorch, or before it",
        choices=("after", "before"),
    )

    @property
    def recurrent(self) -> type[Recurrent]:
        return GRU if self.reset == "after" else ChoGRU


@dataclass(frozen=True)
class LSTMConfig(RecurrentConfig):
    """A recurrent net with a cell beside its state."""

    called: ClassVar[str] = "an lstm"
    summary: ClassVar[str] = "the same with a cell that gates add to (Hochreiter and Schmidhuber 1997)"
    defaults: ClassVar[dict[str, Any]] = DEFAULTS

    @property
    def recurrent(self) -> type[Recurrent]:
        return LSTM

    def bias(self) -> Init:
        return Blocks((0.0, 1.0, 0.0, 0.0)) if self.init in ("kaiming", "xavier") else super().bias()
