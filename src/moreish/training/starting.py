"""Starting from the weights of a trained net instead of random ones, on a list of another kind.

The vocabulary of the new net is that of both lists. Each known character keeps its weights; a new one starts with
random weights, as in a new net.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from ..corpus import Vocab
from ..errors import InputError
from ..layers.layout import Layout
from ..models import make_config
from ..models.model import Model


@dataclass(frozen=True, eq=False)
class Start:
    """The weights with which a training starts, if they come from a trained net.

    name    folder name of the run that they come from, or its model's name if it has no folder
    params  flat (P,)
    """

    name: str
    params: np.ndarray = field(repr=False)

    def to_bytes(self, layout: Layout) -> bytes:
        """Return the weights by name, as a safetensors file."""
        return save_tensors({name: np.ascontiguousarray(w) for name, w in layout.views(self.params).items()})

    @classmethod
    def from_bytes(cls, name: str, data: bytes, layout: Layout) -> "Start":
        """Read the weights again. Raises SafetensorError, KeyError or ValueError if they do not fit the layout."""
        tensors, params = load_tensors(data), np.zeros(layout.size, np.float32)
        layout.fill(params, tensors)
        return cls(name, params)


def check_source(source: Model, name: str, model: str | None, model_options: dict[str, Any]) -> None:
    """Raise InputError unless training can start from a model: it must be a net, and keep its own options."""
    if not source.layers:
        raise InputError(
            f"{name} is {source.kind}, not a net: it has no weights to go on from. Start from a net, trained with "
            "--model mlp, or train on both lists together"
        )
    if model is not None and model != source.name:
        raise InputError(
            f"the model is {model}, but {name} is {source.name}: leave out --model, or start from a {model}"
        )
    if model_options:
        make_config(source.name, model_options)  # raises for an unknown option
        option = next(iter(model_options)).replace("_", "-")
        raise InputError(f"{name} has its own model options: leave out --{option}")


def start_from(source: Model, name: str, vocab: Vocab, seed: int) -> Start:
    """Take the weights of a net, for a vocabulary that has its characters and perhaps others.

    A dimension of a parameter that differs from the net's is that of the vocabulary: there, the weights of each known
    character are copied to its new place. The other weights are drawn from the seed.
    """
    widened = Model(source.config, vocab, seed=seed, labels=source.labels)
    known = np.array([0, *vocab.encode(source.vocab.characters)])
    for slot, own in zip(widened.layout, source.layout, strict=True):
        places = [known if new != old else np.arange(new) for new, old in zip(slot.shape, own.shape, strict=True)]
        slot.view(widened.params)[np.ix_(*places)] = own.view(source.params)
    return Start(name, widened.params)
