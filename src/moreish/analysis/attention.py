"""The weights of attention over a word, from the model's own layers."""

import numpy as np

from ..corpus import END
from ..engine.tape import WordTape
from ..engine.tape.compile import walks
from ..engine.words import pack_words, sorted_words
from ..errors import InputError
from ..layers import CausalSelfAttention, leaves
from ..layers.attention_steps import attended_rows, weights_of
from ..layers.levels import rows_before
from ..models.model import Model
from ..sampling.sources import label_weights


def attention(model: Model, word: str, *, label: str | None = None) -> list[np.ndarray]:
    """Return the weights of attention over a word, for each layer of attention from the first: float32 (heads, T, T).

    T is the number of characters plus one: position 0 is the word boundary, and position t is the character t. In row t
    are the weights of the positions that the prediction after position t looks at, which sum to 1; beyond t they are 0.

    label   of a model with labels; None for the likeliest given the word (see `likeliest_label`)

    Raises InputError for a model without attention, for a character that the model does not know, and for an unknown
    label.
    """
    need_attention(model)
    if model.labels is not None or label is not None:
        return attention(model.given(label or likeliest_label(model, word)), word)
    stream = np.array([END, *model.vocab.encode(word), END], np.int32)
    tape = WordTape(model.layers, 1, len(model.vocab))
    ready = tape.prepared_words(pack_words(sorted_words(stream), 0, 1), gradients=False)
    walks(tape.dtype)[0](ready.program, model.params, model.params)
    found, T = [], ready.n_rows  # the row of a word's only prefix of t characters is row t
    for op in ready.plan.operations:
        if isinstance(op.layer, CausalSelfAttention):
            before, x = rows_before(ready.levels, T), ready.input_of(op).reshape(T, -1)
            attended = attended_rows(ready.levels, op.layer, before, training=False)
            weights = np.zeros((op.layer.n_head, T, T), x.dtype)
            row, back = np.nonzero(before >= 0)
            weights[:, row, before[row, back]] = weights_of(x, attended)[row, back].T
            found.append(weights)
    return found


def need_attention(model: Model) -> None:
    """Raise InputError if a model has no attention."""
    model.need_layers()
    if not any(isinstance(layer, CausalSelfAttention) for _, layer in leaves(model.layers)):
        raise InputError(f"{model.kind} has no attention", "train a net that has, with --model transformer")


def likeliest_label(model: Model, word: str) -> str:
    """Return the label that a model with labels finds most likely after the characters of a word."""
    assert model.labels is not None
    return model.labels.names[int(label_weights(model.sampling_models(), model.vocab.encode(word)).argmax())]
