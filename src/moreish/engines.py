"""The engines by name, and what each of them can do: training and evaluation never ask which one they have."""

from collections.abc import Sequence
from importlib.util import find_spec
from typing import Protocol

import numpy as np

from .errors import InputError, unknown
from .layers import Layer
from .tape import Batches, Draw, Steps, Tape

ENGINES = ("tape", "torch", "both")
DEVICES = ("auto", "cpu", "cuda", "mps")


class Reader(Protocol):
    """Reads and draws words; `tape.Tape` says what each method takes and returns."""

    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray: ...

    def logits(self, params: np.ndarray, contexts: np.ndarray) -> np.ndarray: ...

    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray: ...


class Engine(Reader, Protocol):
    """Runs a list of layers over a flat vector of weights, and trains it."""

    def train(self, params: np.ndarray, moments: np.ndarray, batches: Batches, steps: Steps) -> np.ndarray: ...

    def notes(self, params: np.ndarray) -> dict[str, float]:
        """What the engine has to say at a point of the log, by name."""
        ...


def make_engine(
    name: str, layers: Sequence[Layer], block_size: int, n_vocab: int, device: str = "auto", compile: bool = False
) -> Engine:
    """An engine for layers from contexts (B, block_size) to logits (B, n_vocab), in float32.

    device and compile are for PyTorch. Raises InputError for an unknown name, and if PyTorch is wanted and missing.
    """
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    tape = Tape(layers, block_size, n_vocab)
    if name == "tape":
        return tape
    need_torch(f"--engine {name}")
    from .autograd import Torch
    from .lockstep import Lockstep

    torch = Torch(layers, block_size, n_vocab, device=device, compile=compile)
    return torch if name == "torch" else Lockstep(tape, torch)


def need_torch(what: str) -> None:
    """Raise InputError, which says what to install, if PyTorch is missing."""
    if find_spec("torch") is None:
        raise InputError(f"{what} needs PyTorch: install it with: pip install 'moreish[torch]'")
