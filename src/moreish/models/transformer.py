"""The Transformer (Vaswani et al. 2017): a prediction depends on all characters before it, by attention.

A block adds two things to each row: what attention finds in the rows before it, and what a hidden layer makes of the
row. Both begin with a LayerNorm (pre-norm, as in GPT-2; Radford et al. 2019). It is trained on whole words.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import InputError
from ..layers import CausalSelfAttention, Dropout, Layer, LayerNorm, Linear, PositionalEmbedding, Residual, TanhGELU
from ..layers.init import bias_init, weight_init
from ..options import option
from .config import InitialisedConfig, init_option, positions_option

DEFAULTS: dict[str, Any] = {
    "epochs": 8.0,
    "batch_size": 64,
    "optimizer": "adamw",
    "lr": 0.004,
    "weight_decay": 0.1,
    "average": 0.99,
}


@dataclass(frozen=True)
class TransformerConfig(InitialisedConfig):
    """Embedding of characters and places, blocks of attention and a hidden layer, and a layer of logits."""

    called: ClassVar[str] = "a transformer"
    summary: ClassVar[str] = "attention to all characters so far (Vaswani et al. 2017)"
    defaults: ClassVar[dict[str, Any]] = DEFAULTS

    n_layer: int = option(4, "blocks", low=1, high=100, search=[2, 4])
    n_head: int = option(4, "heads of attention in a block", low=1, high=1 << 10, search=[2, 4, 8])
    n_embd: int = option(64, "numbers in a row: a multiple of the heads", low=1, high=1 << 16, search=[32, 64, 128])
    n_positions: int = positions_option()
    dropout: float = option(
        0.0,
        "probability of dropping a number of a layer's output, or a weight of attention, in training",
        low=0,
        high=0.99,
        search=[0, 0.1, 0.2],
    )

    init: str = init_option()

    def __post_init__(self):
        super().__post_init__()
        if self.n_embd % self.n_head:
            raise InputError(f"--n-embd is {self.n_embd}: it must be a multiple of --n-head, which is {self.n_head}")

    @property
    def context(self) -> None:
        return None

    def layers(self, n_vocab: int, n_labels: int = 0) -> list[Layer]:
        E = self.n_embd
        layers = [self.embedding(n_vocab, E, n_labels), PositionalEmbedding(self.n_positions, E)]
        layers += self._dropout(0)
        for block in range(self.n_layer):
            salt = 1 + 3 * block
            attention = CausalSelfAttention(E, self.n_head, self.dropout, salt)
            layers += [
                Residual((LayerNorm(E), self._linear(E, 3 * E), attention, self._last(E), *self._dropout(salt + 1))),
                Residual(
                    (LayerNorm(E), self._linear(E, 4 * E), TanhGELU(), self._last(4 * E), *self._dropout(salt + 2))
                ),
            ]
        return [*layers, LayerNorm(E), self.logits(E, n_vocab)]

    def _linear(self, n_in: int, n_out: int, gain: float = 1.0) -> Linear:
        return Linear(n_in, n_out, weight_init(self.init, n_in, n_out, gain), bias_init(self.init))

    def _last(self, n_in: int) -> Linear:
        """Return the last layer of a branch. As many branches are added, each starts small (Radford et al. 2019)."""
        return self._linear(n_in, self.n_embd, (2 * self.n_layer) ** -0.5)

    def _dropout(self, salt: int) -> list[Layer]:
        return [Dropout(self.dropout, salt)] if self.dropout else []
