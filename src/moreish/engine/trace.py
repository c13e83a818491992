"""Traces of a batch through a model: the output of each layer, its weights, and the gradients of both."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ..layers import LAYERS, CausalSelfAttention, Layer
from ..layers.activation import Activation
from ..layers.attention_steps import Attended, attended_rows, weights_of
from ..layers.levels import rows_before
from ..layers.spec import DY, Y
from .batches import Batches
from .tape import Tape, WordTape
from .tape.compile import walks
from .tape.engine import Prepared
from .words import WordBatches


@dataclass(frozen=True)
class LayerTrace:
    """A layer on one batch. Layers that only reshape their input have none.

    name        path of the layer and kind, such as 2.tanh
    output      (B, *shape); gradient: of the loss with respect to it
    weights     trained parameters by their names in the model; grads: their gradients
    attends     of attention: its input (N, 3E), and the rows that each row attends to
    """

    name: str
    layer: Layer
    output: np.ndarray = field(repr=False)
    gradient: np.ndarray = field(repr=False)
    weights: dict[str, np.ndarray] = field(repr=False)
    grads: dict[str, np.ndarray] = field(repr=False)
    attends: tuple[np.ndarray, Attended] | None = field(default=None, repr=False)

    @property
    def attention(self) -> np.ndarray | None:
        """Weights of attention before dropout (N, D, heads): of each row for itself, for the row before it, and so on.

        They sum to 1 over D, and are 0 where a word has no row. None for other layers.
        """
        return None if self.attends is None else weights_of(*self.attends)

    @property
    def is_activation(self) -> bool:
        """True for an activation and for a layer with a state, which is one."""
        return isinstance(self.layer, Activation) or LAYERS[type(self.layer)].saturation is not None

    @property
    def saturated(self) -> np.ndarray | None:
        """Mask of saturated outputs of an activation, shaped like output; None for other layers."""
        saturation = LAYERS[type(self.layer)].saturation
        return None if saturation is None else saturation.where(self.output)

    @property
    def dead(self) -> np.ndarray | None:
        """Mask (H,) of an activation's units that are saturated on every example; None for other layers."""
        saturated = self.saturated
        if saturated is None:
            return None
        return np.all(saturated.reshape(-1, saturated.shape[-1]), axis=0)


@dataclass(frozen=True)
class Trace:
    """One batch through a model: its loss in nats, and the layers in order."""

    loss: float
    layers: list[LayerTrace] = field(repr=False)

    @property
    def activations(self) -> list[LayerTrace]:
        """The activations and the layers with a state; all layers of a model without any."""
        return [layer for layer in self.layers if layer.is_activation] or self.layers


class Tracer:
    """Traces up to `size` examples of each batch through layers, without fused kernels.

    For batches of whole words the examples are the rows of that many words, equal prefixes once.
    """

    def __init__(self, layers: Sequence[Layer], columns: int, n_vocab: int, batches: Batches | WordBatches, size: int):
        self.batches, self.size = batches, size
        if isinstance(batches, WordBatches):
            self.tape = WordTape(layers, columns, n_vocab)
            return
        # A fixed batch is sorted: take examples evenly from all of it.
        whole = batches.size
        self.rows = np.linspace(0, whole - 1, min(size, whole)).astype(int) if batches.fixed else slice(size)
        self.batch = batches.room(columns)
        tape = Tape(layers, columns, n_vocab)
        shape = min(size, whole), batches.n_places, batches.n_targets
        self.ready = tape.prepared(*shape, fuse=False, softness=batches.softness)

    def __call__(self, params: np.ndarray, step: int) -> Trace:
        """Trace the batch of a step through weights (P,). The next call overwrites the arrays of the result."""
        ready = self._taken(step)
        params = params.copy()  # a training forward pass updates running statistics
        grads = np.zeros(ready.plan.layout.n_trained, params.dtype)
        for walk in walks(params.dtype.type):
            walk(ready.program, params, grads)
        layers = []
        for op in ready.plan.operations[:-1]:
            if op.row is not None:
                of_op = [slot for slot in op.slots if slot.parameter.trained]
                weights, of_weights = ({slot.name: slot.view(flat) for slot in of_op} for flat in (params, grads))
                output, gradient = ready.buffer(op, Y), ready.buffer(op, DY)
                attends = None
                if isinstance(op.layer, CausalSelfAttention):
                    x = ready.input_of(op).reshape(-1, op.in_shape[-1])
                    attends = x, attended_rows(ready.levels, op.layer, rows_before(ready.levels, len(x)))
                layers.append(LayerTrace(op.name, op.layer, output, gradient, weights, of_weights, attends))
        return Trace(ready.loss(), layers)

    def _taken(self, step: int) -> Prepared:
        """Set the batch of a step."""
        if isinstance(self.batches, WordBatches):
            return self.tape.prepared_words(self.batches.packed(step, self.size))
        self.batches.fill(step, *self.batch)
        self.ready.take(*(part[self.rows] for part in self.batch))
        return self.ready
