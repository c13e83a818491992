"""What every model's config has."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from ..corpus import Corpus
from ..layers import Layer
from ..options import Options


class ModelConfig(Options, ABC):
    """A model's options, and the layers that they stand for. Configs are frozen dataclasses of `option` fields.

    summary     one line for `moreish models`
    defaults    this model's values of the training options whose default is None
    """

    summary: ClassVar[str]
    defaults: ClassVar[dict[str, Any]] = {}

    @property
    @abstractmethod
    def context(self) -> int:
        """How many characters before a character its prediction depends on: T, the length of a context."""

    @abstractmethod
    def layers(self, n_vocab: int) -> list[Layer]:
        """The layers from contexts (B, T) to logits (B, n_vocab)."""

    def fit(self, corpus: Corpus) -> np.ndarray | None:
        """The flat weights of a model that is counted rather than trained, from the train part; None for others."""
        return None
