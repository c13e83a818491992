"""What an engine is: the methods that training, evaluation and sampling call, and what they pass to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from .batches import Batches

ENGINES = ("tape", "torch", "both")
DEVICES = ("auto", "cpu", "cuda", "mps")


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


class Reader(Protocol):
    """Reads and draws words; `tape.Tape` says what each method takes and returns."""

    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray: ...

    def logits(self, params: np.ndarray, contexts: np.ndarray) -> np.ndarray: ...

    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray: ...


class Engine(Reader, Protocol):
    """Runs a list of layers over a flat vector of weights, and trains it."""

    def train(self, params: np.ndarray, moments: np.ndarray, batches: "Batches", steps: Steps) -> np.ndarray: ...

    def notes(self, params: np.ndarray) -> dict[str, float]:
        """What the engine has to say at a point of the log, by name."""
        ...
