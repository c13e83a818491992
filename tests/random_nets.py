"""Nets of all kinds with random weights, and their logits, one character after another."""

from typing import Any

import numpy as np

import moreish
from moreish.models import make_config
from moreish.models.labels import Labels
from moreish.models.model import Model
from moreish.training.options import TrainOptions

SMALL = {"n_embd": 6, "n_hidden": 10}
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "bigram": ("bigram", {}),
    "mlp": ("mlp", {**SMALL, "block_size": 3}),
    "mlp of two layers": ("mlp", {**SMALL, "n_layer": 2, "activation": "relu", "batch_norm": True}),
    "mlp of one character": ("mlp", {**SMALL, "block_size": 1}),
    "wavenet": ("wavenet", {**SMALL, "block_size": 4}),
    "wavenet without BatchNorm": ("wavenet", {**SMALL, "block_size": 8, "batch_norm": False}),
    "wavenet-conv": ("wavenet-conv", {**SMALL, "block_size": 8}),
    "wavenet-conv of two": ("wavenet-conv", {**SMALL, "block_size": 2, "activation": "relu"}),
    "bow": ("bow", {**SMALL, "n_positions": 5}),
    "rnn": ("rnn", SMALL),
    "gru": ("gru", {**SMALL, "recurrent_dropout": 0.3}),
    "cho": ("gru", {**SMALL, "reset": "before"}),
    "lstm": ("lstm", SMALL),
    "rnn with a learnt start": ("rnn", {**SMALL, "learn_start": True}),
    "two grus with learnt starts": ("gru", {**SMALL, "n_layer": 2, "learn_start": True}),
    "two lstms with learnt starts": ("lstm", {**SMALL, "n_layer": 2, "learn_start": True}),
    "transformer": ("transformer", {"n_embd": 12, "n_layer": 2, "n_head": 3, "n_positions": 9, "dropout": 0.1}),
}


def run_of(corpus: moreish.Corpus, kind: str, labels: tuple[str, ...] = (), seed: int = 0) -> moreish.Run:
    """A run with random weights, and running statistics that are not those of the start."""
    generator = np.random.default_rng(seed)
    name, options = KINDS[kind]
    of = Labels(labels, np.full(len(labels), 1 / len(labels))) if labels else None
    model = Model(make_config(name, options), corpus.vocab, labels=of)
    model.params[:] = generator.normal(0, 0.5, model.params.size)
    for weight_name, weight in model.weights.items():
        if weight_name.endswith("running_var"):
            weight[...] = generator.uniform(0.3, 2, weight.shape)
    return moreish.Run(model, corpus, TrainOptions())


def prefixes_of(corpus: moreish.Corpus, batch: int, length: int) -> np.ndarray:
    """Random prefixes (batch, length) that begin with 0."""
    prefixes = np.random.default_rng(length).integers(1, len(corpus.vocab), (batch, length))
    prefixes[:, 0] = 0
    return prefixes


def own_logits(model: moreish.Model, prefixes: np.ndarray) -> np.ndarray:
    """The logits of moreish after each character of prefixes (B, L), one character after another: (B, L, V)."""
    states = np.repeat(model.engine.begin(model.params), len(prefixes), axis=0)
    found = [model.engine.logits(model.params, states)]
    for tokens in prefixes.T[1:]:
        states = model.engine.after(model.params, states, tokens)
        found.append(model.engine.logits(model.params, states))
    return np.stack(found, 1)


def windows_of(prefixes: np.ndarray, T: int) -> np.ndarray:
    """Prefixes with T - 1 more zeros before them."""
    return np.pad(prefixes, ((0, 0), (T - 1, 0)))
