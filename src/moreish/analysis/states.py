"""The states of a recurrent net over a word, as its engine computes them."""

import numpy as np

from ..errors import InputError
from ..layers import LAYERS, leaves
from ..models.model import Model
from .attention import likeliest_label

STATES = ("h", "c")  # of a layer: its output and, in an LSTM, its cell


def states(model: Model, word: str, *, label: str | None = None) -> dict[str, np.ndarray]:
    """Return the states of each recurrent layer over a word by name, such as "2.gru.h": float32 (T, H).

    T is the number of characters plus one: row 0 is the state at the word boundary, before the first character, and row
    t that after the character t.

    label   of a model with labels; None for the likeliest given the word (see `likeliest_label`)

    Raises InputError for a model without recurrent layers, and for a character that the model does not know.
    """
    need_states(model)
    if model.labels is not None or label is not None:
        return states(model.given(label or likeliest_label(model, word)), word)
    engine, found = model.engine, [model.engine.begin(model.params)]
    for token in model.vocab.encode(word):
        found.append(engine.after(model.params, found[-1], np.array([token])))
    rows, first, by_name = np.concatenate(found), 0, {}
    for path, layer in leaves(model.layers):
        for letter, size in zip(STATES, LAYERS[type(layer)].state(layer), strict=False):
            by_name[f"{path}.{type(layer).__name__.lower()}.{letter}"] = rows[:, first : first + size]
            first += size
    return by_name


def has_states(model: Model) -> bool:
    """Return True if a model has recurrent layers."""
    return any(LAYERS[type(layer)].state(layer) for _, layer in leaves(model.layers))


def need_states(model: Model) -> None:
    """Raise InputError if a model has no recurrent layers."""
    model.need_layers()
    if not has_states(model):
        raise InputError(f"{model.kind} has no state", "train a net that has, with --model gru")
