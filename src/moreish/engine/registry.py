"""The engines by name."""

from collections.abc import Sequence
from importlib.util import find_spec

from ..errors import InputError, missing, unknown
from ..layers import LAYERS, Layer, leaves
from .protocol import ENGINES, Engine


def make_engine(
    name: str, layers: Sequence[Layer], block_size: int, n_vocab: int, device: str = "auto", compile: bool = False
) -> Engine:
    """Make an engine for layers from contexts (B, block_size) to logits (B, n_vocab), in float32.

    device and compile are for PyTorch. Raises InputError for an unknown name, or if PyTorch is needed and missing.
    """
    if name not in ENGINES:
        raise unknown("engine", name, ENGINES)
    from .tape import PrefixTape, Tape, WordTape  # a counted model has no use for it

    along, back = go_along_words(layers), look_back(layers)
    tape = (PrefixTape if back else WordTape if along else Tape)(layers, block_size, n_vocab)
    if name == "tape":
        return tape
    require_torch(f"--engine {name}")
    from .lockstep import Lockstep
    from .torch.engine import Torch
    from .torch.words import PrefixTorch, WordTorch

    if along and compile:
        raise InputError("--compile is for models with a block size: leave it out for one that reads whole words")
    if along:
        torch = (PrefixTorch if back else WordTorch)(layers, block_size, n_vocab, device=device)
    else:
        torch = Torch(layers, block_size, n_vocab, device=device, compile=compile)
    return torch if name == "torch" else Lockstep(tape, torch)


def go_along_words(layers: Sequence[Layer]) -> bool:
    """True for layers that see all of a word so far; others take contexts of one length."""
    return look_back(layers) or any(LAYERS[type(layer)].state(layer) for _, layer in leaves(layers))


def look_back(layers: Sequence[Layer]) -> bool:
    """True for layers that look back at all rows of a word, as attention does."""
    return any(LAYERS[type(layer)].looks_back for _, layer in leaves(layers))


def require_torch(what: str) -> None:
    """Raise InputError if PyTorch is missing; `what` is the feature that needs it."""
    if find_spec("torch") is None:
        raise missing(f"{what} needs PyTorch", "torch")
