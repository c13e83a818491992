"""What a model family is."""

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np

from ..corpus import Corpus
from ..layers import Layer
from ..options import Options


class Family(Options):
    """A model's options, and the layers that they stand for. Families are frozen dataclasses of `option` fields.

    summary     one line for `moreish models`
    defaults    this family's defaults of the training options that have none of their own
    """

    summary: ClassVar[str]
    defaults: ClassVar[dict[str, Any]] = {}

    @property
    @abstractmethod
    def context(self) -> int:
        """How many characters before a character its prediction depends on."""

    @abstractmethod
    def layers(self, n_vocab: int) -> list[Layer]:
        """The layers from contexts (B, context) to logits (B, n_vocab)."""

    def fit(self, corpus: Corpus) -> np.ndarray | None:
        """The flat weights of a model that is counted rather than trained, from the train part; None for others."""
        return None
