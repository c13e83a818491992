"""What an engine is asked for: a stretch of training steps, or a draw of words."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Steps:
    """A stretch of training steps: `first`, `first` + 1, ... with the learning rates (n,) given.

    optimizer is a name of optim.OPTIMIZERS.
    """

    optimizer: str
    weight_decay: float
    first: int
    rates: np.ndarray


@dataclass(frozen=True)
class Draw:
    """How words are drawn: see `Model.sample`. prefix holds tokens; no word is over max_length characters."""

    prefix: Sequence[int]
    temperature: float
    top_k: int
    seed: int
    max_length: int
