"""Two engines in lockstep: the same steps on the same batches from the same weights, each with its own copy.

The log then shows how far training by hand-derived gradients and training by autograd differ.
"""

from typing import Any

import numpy as np

from .batches import Batches
from .protocol import Draw, Steps
from .tape import Tape, WordTape
from .torch.engine import Torch
from .torch.words import WordTorch
from .words import WordBatches


class Lockstep:
    """The tape, and PyTorch on a copy of the first weights. The results are the tape's."""

    def __init__(self, tape: Tape, torch: Torch):
        self.tape, self.torch = tape, torch
        self._params: np.ndarray | None = None  # PyTorch's copy
        self._moments = np.zeros(0)
        self._losses = (float("nan"), float("nan"))  # the tape's and PyTorch's, of the last step
        self._next: tuple[Batches | WordBatches, int] | None = None  # the batches, and the number of the next step

    def train(self, params: np.ndarray, moments: np.ndarray, batches: Any, steps: Steps) -> np.ndarray:
        """Make the steps with both engines. Returns the tape's losses."""
        if self._params is None:
            self._params, self._moments = params.copy(), moments.copy()
        losses = self.tape.train(params, moments, batches, steps)
        torch_losses = self.torch.train(self._params, self._moments, batches, steps)
        if len(losses):
            self._losses = float(losses[-1]), float(torch_losses[-1])
        self._next = batches, steps.first + len(losses)
        return losses

    def notes(self, params: np.ndarray) -> dict[str, float]:
        """Both losses of the last step in nats, and the largest differences of gradients and weights.

        Gradients are of the next batch. Each engine uses its own copy of the weights, and a difference is relative to
        the largest number of PyTorch's.
        """
        if self._params is None or self._next is None:
            return {}
        batches, step = self._next
        if isinstance(batches, WordBatches):
            assert isinstance(self.tape, WordTape)
            assert isinstance(self.torch, WordTorch)
            packed = batches.packed(step)
            grads = self.tape.loss_and_grads_of_words(params, packed)[1]
            torch_grads = self.torch.loss_and_grads_of_words(self._params, packed)[1]
        else:
            batch = batches.room(self.tape.block_size)
            batches.fill(step, *batch)
            grads = self.tape.loss_and_grads(params, *batch, softness=batches.softness)[1]
            torch_grads = self.torch.loss_and_grads(self._params, *batch, softness=batches.softness)[1]
        return {
            "tape_loss": self._losses[0],
            "torch_loss": self._losses[1],
            "gradient_difference": _relative(grads, torch_grads),
            "weight_difference": _relative(params, self._params),
        }

    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        """The tape's nll."""
        return self.tape.nll(params, stream)

    def begin(self, params: np.ndarray) -> np.ndarray:
        """The tape's state at the beginning of a word."""
        return self.tape.begin(params)

    def after(self, params: np.ndarray, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        """The tape's states after one more token of each."""
        return self.tape.after(params, states, tokens)

    def logits(self, params: np.ndarray, states: np.ndarray) -> np.ndarray:
        """The tape's logits."""
        return self.tape.logits(params, states)

    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray:
        """Words drawn by the tape."""
        return self.tape.generate(params, n, draw)


def _relative(ours: np.ndarray, theirs: np.ndarray) -> float:
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
