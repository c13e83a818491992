"""BatchNorm layers of a trained model: statistics over all train words, and folding into the layers before them."""

import dataclasses

import numpy as np

from ..corpus import Corpus
from ..engine.batches import Batches
from ..errors import InputError
from ..layers import BatchNorm1d, leaves
from ..layers.norm import fold as fold_arrays
from ..models import NetConfig
from ..models.model import Model

CALIBRATION_BATCH = 1024  # examples at a time


def calibrate(model: Model, corpus: Corpus) -> None:
    """Set BatchNorm's running statistics to those over the whole train part, replacing their moving average.

    Layers are calibrated in order, because the input of the second depends on the first. As in training, a model over
    whole words includes the positions after their ends. A model without BatchNorm stays as it is. Raises InputError if
    the corpus has another vocabulary.
    """
    model.check_vocab(corpus)
    config = model.config
    if not isinstance(config, NetConfig) or not any(
        isinstance(layer, BatchNorm1d) for _, layer in leaves(model.layers)
    ):
        return
    assert config.context is not None, "no net that goes along words has BatchNorm"
    labels, weights = corpus.labels("train") if model.labels else None, corpus.weights("train")
    batches = Batches.drawn(
        corpus.stream("train"), CALIBRATION_BATCH, 0, config.context, config.whole_words, labels, weights
    )
    from ..engine.tape import Tape
    from ..engine.tape.compile import walks

    tape = Tape(model.layers, model.columns, len(model.vocab))
    ready = tape.prepared(CALIBRATION_BATCH, batches.n_places, gradients=False, fuse=False)
    program, forward = ready.program, walks(np.float32)[0]
    steps = [op for op in ready.plan.operations if op.row is not None]
    for number, op in enumerate(steps):
        if not isinstance(op.layer, BatchNorm1d):
            continue
        C, inputs = op.layer.n_features, ready.input_of(op).reshape(CALIBRATION_BATCH, -1)
        before = sum(len(step.rows) for step in steps[:number])
        n, total, squares = 0, np.zeros(C), np.zeros(C)
        for first in range(0, batches.n_examples, CALIBRATION_BATCH):
            batches.fill(first // CALIBRATION_BATCH, ready.contexts, ready.targets, ready.counts)
            forward(program._replace(ops=program.ops[:before]), model.params, model.params)
            # The end of the last batch already belongs to the next pass over the data.
            count = min(CALIBRATION_BATCH, batches.n_examples - first)
            x = inputs[:count].reshape(-1, C).astype(np.float64)
            n, total, squares = n + len(x), total + x.sum(0), squares + (x**2).sum(0)
        mean = total / n
        slots = {slot.parameter.name: slot.view(model.params) for slot in op.slots}
        slots["running_mean"][:] = mean
        slots["running_var"][:] = (squares / n - mean**2) * n / (n - 1)


def fold(model: Model) -> Model:
    """Return an equal model without BatchNorm: each one is folded into the Linear before it, in the same branch.

    Raises InputError for a model that has none.
    """
    if not _has_batchnorm(model):
        hint = "; train one with --batch-norm" if hasattr(model.config, "batch_norm") else ""
        raise InputError(f"this {model.name} has no BatchNorm to fold{hint}")
    folded = Model(dataclasses.replace(model.config, batch_norm=False), model.vocab, labels=model.labels)
    targets = iter(folded.layout.slots)
    into: dict[str, np.ndarray] = {}
    for (_, layer), slots in zip(leaves(model.layers), model.layout.slots, strict=True):
        weights = {slot.parameter.name: slot.view(model.params) for slot in slots}
        if isinstance(layer, BatchNorm1d):
            into["W"][:], into["b"][:] = fold_arrays(into["W"], into["b"], **weights)
            continue
        into = {slot.parameter.name: slot.view(folded.params) for slot in next(targets)}
        for name, place in into.items():
            place[:] = weights.get(name, 0)
    return folded


def _has_batchnorm(model: Model) -> bool:
    return any(isinstance(layer, BatchNorm1d) for _, layer in leaves(model.layers))
