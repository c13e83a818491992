"""What a model makes of one batch: every layer's output, its weights, and the gradients of both."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..layers import LAYERS, Layer
from ..layers.spec import DY, Y
from .batches import Batches
from .tape import Tape
from .tape.compile import walks


@dataclass(frozen=True)
class Traced:
    """A layer that computes something, on one batch.

    name        such as 2.tanh: its place in the list of layers, and its kind
    output, gradient    what it put out, (B, *shape), and the loss's gradient with respect to that
    weights, grads      the parameters that are trained, by the names that they have in the model, and their gradients
    """

    name: str
    layer: Layer
    output: np.ndarray
    gradient: np.ndarray
    weights: dict[str, np.ndarray]
    grads: dict[str, np.ndarray]

    @property
    def saturated(self) -> np.ndarray | None:
        """Of an activation: where its output has all but stopped to answer to its input, like output; else None."""
        saturation = LAYERS[type(self.layer)].saturation
        return None if saturation is None else saturation.where(self.output)

    @property
    def dead(self) -> np.ndarray | None:
        """Of an activation: which units are saturated on every example of the batch, (H,); else None."""
        saturated = self.saturated
        if saturated is None:
            return None
        return np.all(saturated.reshape(-1, saturated.shape[-1]), axis=0)


@dataclass(frozen=True)
class Trace:
    """One batch's way through a model: its loss in nats, and the layers in their order."""

    loss: float
    layers: list[Traced]


class Tracer:
    """Walks batches of up to `size` examples, from `batches`, through layers without fused kernels."""

    def __init__(self, layers: Sequence[Layer], context: int, n_vocab: int, batches: Batches, size: int):
        self.batches, whole = batches, batches.size
        # Of a batch that is the same at every step, and sorted, examples from everywhere.
        self.rows = np.linspace(0, whole - 1, min(size, whole)).astype(int) if batches.fixed else slice(size)
        self.batch = batches.room(context)
        tape = Tape(layers, context, n_vocab)
        self.ready = tape.prepared(min(size, whole), batches.n_places, batches.n_targets, fuse=False)

    def __call__(self, params: np.ndarray, step: int) -> Trace:
        """Trace the batch of a step through weights (P,). What it returns is overwritten by the next call."""
        ready = self.ready
        self.batches.fill(step, *self.batch)
        ready.take(*(part[self.rows] for part in self.batch))
        params = params.copy()  # training's forward pass updates what layers keep beside the trained
        grads = np.zeros(ready.plan.layout.n_trained, params.dtype)
        for walk in walks(params.dtype.type):
            walk(ready.program, params, grads)
        layers = []
        for index, op in enumerate(ready.plan.operations[:-1]):
            if op.row is not None:
                of_op = [slot for slot in op.slots if slot.parameter.trained]
                weights, of_weights = ({slot.name: slot.view(flat) for slot in of_op} for flat in (params, grads))
                output, gradient = ready.buffer(op, Y), ready.buffer(op, DY)
                layers.append(Traced(f"{index}.{op.name.lower()}", op.layer, output, gradient, weights, of_weights))
        return Trace(ready.loss(), layers)
