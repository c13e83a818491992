"""The gradients of one batch: by hand, by autograd, and by central differences."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from importlib.util import find_spec
from typing import Any, cast

import numpy as np

from ..engine.batches import Batches
from ..engine.tape import Tape, WordTape
from ..engine.tape.compile import walks
from ..engine.tape.engine import Prepared
from ..engine.words import Packed, WordBatches
from ..layers import Layer
from ..layers.layout import Layout
from ..layers.levels import N_PAIRS
from ..models.model import Model

LARGEST_STEP = 1e-2  # the first step to try, relative to the entry


@dataclass(frozen=True)
class Case:
    """Layers, their weights and a batch, on which gradients are compared.

    context     columns of a context, as an engine takes them
    params      (P,) float64 or float32; all gradients have this type
    batch       contexts, targets and counts, as in `Tape.loss_and_grads`; or whole words
    softness    of the targets of contexts; whole words have their own
    """

    layers: list[Layer]
    context: int
    n_vocab: int
    params: np.ndarray
    batch: tuple[np.ndarray, np.ndarray, np.ndarray] | Packed
    softness: float = 0.0

    @classmethod
    def of_step(cls, model: Model, batches: Batches | WordBatches, step: int, most: int) -> "Case":
        """The batch of a training step, limited to some examples or words, and a model's weights in float64.

        Raises InputError for a model without layers.
        """
        model.need_layers()
        softness = 0.0
        if isinstance(batches, WordBatches):
            batch = batches.packed(step, most)
        else:
            softness, batch = batches.softness, _some(batches, model.columns, step, most)
        params = model.params.astype(np.float64)
        return cls(model.layers, model.columns, len(model.vocab), params, batch, softness)

    def of_type(self, dtype: type) -> "Case":
        """The same case with weights of another float type."""
        return replace(self, params=self.params.astype(dtype))

    @cached_property
    def layout(self) -> Layout:
        """The places of the parameters in all gradients."""
        return Layout(self.layers)

    @property
    def tape(self) -> Tape:
        kind = WordTape if isinstance(self.batch, Packed) else Tape
        return kind(self.layers, self.context, self.n_vocab, self.params.dtype.type)

    def prepared(self) -> Prepared:
        """Return the plan without fused operations, which holds the batch."""
        tape = self.tape
        if isinstance(tape, WordTape):
            return tape.prepared_words(cast(Packed, self.batch))
        contexts, targets, counts = cast(tuple[np.ndarray, np.ndarray, np.ndarray], self.batch)
        ready = tape.prepared(*targets.shape, fuse=False, softness=self.softness)
        ready.take(contexts, targets, counts)
        return ready

    @property
    def pairs(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The row of the logits, the target and the count of each loss: (P,) each."""
        if isinstance(self.batch, Packed):
            levels = self.batch.levels
            n = levels.head[N_PAIRS]
            return levels.rows[:n], levels.targets[:n], levels.counts[:n]
        targets, counts = self.batch[1].ravel(), self.batch[2].ravel()
        return np.arange(targets.size), targets, counts

    def gradients(self, *, fuse: bool) -> np.ndarray:
        """Return the gradients of the parameters by hand, flat (n_trained,)."""
        return self.loss_and_gradients(fuse=fuse)[1]

    def loss_and_gradients(self, *, fuse: bool) -> tuple[float, np.ndarray]:
        """Return the loss in nats and its gradients by hand, flat (n_trained,)."""
        tape = self.tape
        if isinstance(tape, WordTape):
            return tape.loss_and_grads_of_words(self.params, cast(Packed, self.batch), fuse=fuse)
        batch = cast(tuple[np.ndarray, ...], self.batch)
        return tape.loss_and_grads(self.params, *batch, fuse=fuse, softness=self.softness)

    def by_autograd(self) -> dict[str, np.ndarray]:
        """Return the gradients of all tensors by autograd, for hard targets; nothing without PyTorch."""
        if find_spec("torch") is None:
            return {}
        from ..engine.torch import engine, words

        if isinstance(self.batch, Packed):
            return words.gradients_of_words(self.layers, self.params, self.batch)
        return engine.gradients(self.layers, self.params, *self.batch)

    def gradients_by_autograd(self) -> np.ndarray:
        """Return the gradients of the parameters by autograd, flat (n_trained,). It needs PyTorch."""
        from ..engine.torch import engine, words

        sizes: tuple[Any, ...] = (self.layers, self.context, self.n_vocab, self.params.dtype.type)
        if isinstance(self.batch, Packed):
            return words.WordTorch(*sizes).loss_and_grads_of_words(self.params, self.batch)[1]
        return engine.Torch(*sizes).loss_and_grads(self.params, *self.batch, softness=self.softness)[1]

    def slope(self, place: int) -> float:
        """Return the central difference of the loss by one parameter, given its place in the flat vector."""
        params, ready = self.params.copy(), self.prepared()
        grads, forward = np.zeros(self.layout.n_trained, params.dtype), walks(params.dtype.type)[0]

        def loss() -> float:
            forward(ready.program, params, grads)
            return ready.loss()

        return central_slope(params, place, loss)


def central_slope(flat: np.ndarray, entry: int, loss: Callable[[], float]) -> float:
    """Return the slope of a loss by an entry of a flat tensor, which the loss reads. The entry ends as it was."""
    before, slope = flat[entry], 0.0

    def moved(by: float) -> float:
        flat[entry] = before + by
        return loss()

    # A larger step reduces the rounding error. A smaller one reduces the truncation error: with its fourth power
    # for this slope, with its second power for the plain difference. Once both agree, the step is small enough.
    for h in LARGEST_STEP * max(0.1, abs(float(before))) * 4.0 ** -np.arange(8):
        near, far = moved(h) - moved(-h), moved(2 * h) - moved(-2 * h)
        slope = float((8 * near - far) / (12 * h))
        if abs(slope - near / (2 * h)) <= 2e-5 * abs(slope):
            break
    flat[entry] = before
    return slope


def _some(batches: Batches, columns: int, step: int, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The first examples of the batch of a step; evenly from all if it is the batch of every step."""
    contexts, targets, counts = batches.room(columns)
    batches.fill(step, contexts, targets, counts)
    if batches.fixed is None:
        return contexts[:most], targets[:most], counts[:most]
    rows, places = np.nonzero(counts)  # each of them is an example with one target
    chosen = np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int)
    rows, places = rows[chosen], places[chosen]
    return contexts[rows], targets[rows, places][:, None], counts[rows, places][:, None]
