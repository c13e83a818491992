"""A small network around each kind of layer, and functions that compare its gradients with a reference."""

import dataclasses
import math

import numpy as np

from moreish.engine.tape import Tape
from moreish.layers import FUSED, LAYERS, BatchNorm1d, Embedding, FlattenConsecutive, Layer, Linear, Tanh
from moreish.layers.init import Normal
from moreish.layers.layout import Layout

V, T, B = 7, 4, 6
SPREAD = Normal(0.2)
# A loss that needs a guide has no example, and tests of its own.
WITH_EXAMPLE = [kind for kind, kernels in LAYERS.items() if kernels.example is not None]


def head(width: int) -> list[Layer]:
    return [Linear(width, V, SPREAD, SPREAD)]


def network_around(kind: type) -> list[Layer]:
    """Layers from 4 of 7 tokens to logits, with the example of the kind inside.

    The gradients of the layers before it check its gradient by its input.
    """
    example, shape = LAYERS[kind].example, (T,)
    layers: list[Layer]
    if kind in FUSED.values():  # a fused kind is made of the layers that it stands for
        layers = [getattr(example, field.name) for field in dataclasses.fields(example)]
    elif LAYERS[kind].reads == "contexts":
        layers = [example]
    elif LAYERS[kind].reads == "targets":  # the loss ends every network
        layers = [Embedding(V, 12)]
    else:
        layers = [Embedding(V, 12), example]
    for layer in layers:
        shape = layer.out_shape(shape)
    if len(shape) == 2:
        layers.append(FlattenConsecutive(shape[0]))
    return [*layers, *head(math.prod(shape))]


NETWORKS: dict[str, list[Layer]] = {
    **{kind.__name__: network_around(kind) for kind in WITH_EXAMPLE},
    "wide products": [
        Embedding(V, 3),
        FlattenConsecutive(T),
        Linear(3 * T, 9, SPREAD, SPREAD),
        Linear(9, 17, SPREAD, SPREAD),
        *head(17),
    ],
    "a tree": [
        Embedding(V, 3),
        FlattenConsecutive(2),
        Linear(6, 5, SPREAD, bias=None),
        BatchNorm1d(5),
        Tanh(),
        FlattenConsecutive(2),
        *head(10),
    ],
}


def batch(batch_size: int = B, block_size: int = T, n_vocab: int = V):
    generator = np.random.default_rng(1)
    return generator.integers(0, n_vocab, (batch_size, block_size)), generator.integers(0, n_vocab, batch_size)


def word_stream(n: int, n_vocab: int = V, longest: int = 7) -> np.ndarray:
    """A stream of n random words of 1 to `longest` characters."""
    generator = np.random.default_rng(4)
    words = [np.append(generator.integers(1, n_vocab, size), 0) for size in generator.integers(1, longest + 1, n)]
    return np.concatenate([[0], *words]).astype(np.int32)


def weights(layers: list[Layer], dtype: type = np.float64) -> np.ndarray:
    """Random weights of about unit scale, none near zero: zeros hide a wrong backward pass."""
    generator, layout = np.random.default_rng(2), Layout(layers)
    params = layout.initial(1, np.float64)
    size = layout.n_trained
    params[:size] = generator.uniform(0.2, 1.0, size) * generator.choice([-1, 1], size)
    return params.astype(dtype)


def differences(tape: Tape, params: np.ndarray, contexts, targets, step: float = 1e-5) -> np.ndarray:
    """Gradient by central differences: (loss(p + step) - loss(p - step)) / (2 step), one parameter at a time."""
    out = np.empty(Layout(tape.layers).n_trained)
    for i in range(out.size):
        losses = []
        for sign in (1, -1):
            moved = params.copy()
            moved[i] += sign * step
            losses.append(tape.loss_and_grads(moved, contexts, targets, fuse=False)[0])
        out[i] = (losses[0] - losses[1]) / (2 * step)
    return out


def worst(layers: list[Layer], grads: np.ndarray, reference: np.ndarray) -> float:
    """Largest max |difference| / max |reference| of any parameter."""
    views, references = Layout(layers).views(grads), Layout(layers).views(reference)
    for name in views:
        assert np.abs(references[name]).max() > 1e-6, f"{name}: a gradient of zero shows nothing"
    return max(np.abs(views[name] - references[name]).max() / np.abs(references[name]).max() for name in views)


def always_fuse(monkeypatch):
    for kind in FUSED.values():
        monkeypatch.setitem(LAYERS, kind, dataclasses.replace(LAYERS[kind], pays=lambda layer, rows: True))
