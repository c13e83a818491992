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
    """How words are drawn: see `Model.sample`.

    prefix      tokens that every word begins with
    max_length  characters at which a word that has not ended is cut
    first       the number of the first word: a word depends on the seed and its number alone
    """

    prefix: Sequence[int] = ()
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 42
    max_length: int = 50
    first: int = 0
