"""The WaveNet (van den Oord et al. 2016) for characters, in two forms with the same weights.

`wavenet` is a tree over one context: it combines pairs of characters, pairs of pairs, and so on, into one vector that
predicts the next character. Each level halves the number of positions.

`wavenet-conv` is a dilated causal convolution over a whole word: the same levels at every position. The trees of
neighbouring characters overlap, and the convolution computes the overlap only once, so it predicts all characters of a
word together. With BatchNorm the two forms train slightly differently: the statistics of the convolution count every
position of a word once, and include the padding after shorter words.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from ..errors import InputError
from ..layers import FlattenConsecutive, Layer, Unfold
from ..options import option
from .config import HiddenConfig


@dataclass(frozen=True)
class WaveNet(HiddenConfig):
    """Embedding, a level of pairs for each doubling of the context, and a layer of logits."""

    called: ClassVar[str] = "a wavenet"
    summary: ClassVar[str] = "pairs of characters, pairs of pairs, ...: a tree over the context"
    defaults: ClassVar[dict[str, Any]] = {"epochs": 6.0, "batch_size": 256, "optimizer": "adamw", "lr": 0.004}

    block_size: int = option(8, "context length, in characters: a power of two", low=1, high=1024, search=[4, 8, 16])
    n_embd: int = option(24, "size of a character's embedding", low=1, high=1 << 16, search=(8, 64))
    n_hidden: int = option(128, "units in a hidden layer", low=1, high=1 << 20, search=(32, 256))
    batch_norm: bool = option(True, "normalise every hidden layer over the batch")

    def __post_init__(self):
        super().__post_init__()
        n = self.block_size
        if n < 2 or n & (n - 1):
            raise InputError(f"--block-size is {n}: a wavenet takes a power of two, such as 4, 8 or 16")

    @property
    def context(self) -> int:
        return self.block_size

    def pairs(self, level: int) -> Layer:
        """Return the layer that concatenates two vectors on a level (0, 1, ...) of the tree."""
        return FlattenConsecutive(2)

    def layers(self, n_vocab: int, n_labels: int = 0) -> list[Layer]:
        layers, width = [self.embedding(n_vocab, self.n_embd, n_labels)], self.n_embd
        for level in range(self.block_size.bit_length() - 1):
            layers += [self.pairs(level), *self.hidden(2 * width, self.n_hidden)]
            width = self.n_hidden
        return [*layers, self.logits(width, n_vocab)]


@dataclass(frozen=True)
class WaveNetConv(WaveNet):
    """The same levels at every position: dilations 1, 2, 4, ... instead of a tree."""

    called: ClassVar[str] = "a wavenet-conv"
    summary: ClassVar[str] = "the same by dilated causal convolutions, over all positions of a word at once"
    defaults: ClassVar[dict[str, Any]] = {"epochs": 6.0, "batch_size": 64, "optimizer": "adamw", "lr": 0.006}
    whole_words: ClassVar[bool] = True

    def pairs(self, level: int) -> Layer:
        return Unfold(1 << level)
