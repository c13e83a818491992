"""A checkpoint: the state of an unfinished training, and the file that holds it."""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from ..engine.optim import zero_moments
from ..errors import InputError
from ..models.model import Model
from .options import TrainOptions, resolved

CHECKPOINT = "checkpoint.safetensors"


@dataclass
class Checkpoint:
    """State of an unfinished training: everything that the next step depends on, and the best weights so far.

    step        number of steps made
    params      current weights, flat (P,)
    best        weights with the best val loss, flat (P,)
    moments     the optimizer's moments (n, n_trained), the last of which may be the average of the weights
    best_loss   the best val loss in nats
    loss_sum    sum of the batch losses of the last loss_count steps, those since the last line of the history
    losses      some of these losses, one by one: see `loop.stride`
    seconds     time that the steps have taken, evaluations included
    """

    step: int
    params: np.ndarray
    best: np.ndarray
    moments: np.ndarray
    best_loss: float = float("inf")
    loss_sum: float = 0.0
    loss_count: int = 0
    losses: np.ndarray = field(default_factory=lambda: np.zeros(0, np.float32))
    seconds: float = 0.0

    def averaged(self) -> np.ndarray:
        """The moving average of the weights, beside the current running statistics, flat (P,)."""
        params = self.params.copy()
        params[: self.moments.shape[1]] = self.moments[-1]
        return params

    def to_bytes(self) -> bytes:
        return save_tensors({f.name: np.asarray(getattr(self, f.name)) for f in dataclasses.fields(self)})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Checkpoint":
        fields: dict[str, Any] = {name: t.item() if t.ndim == 0 else t for name, t in load_tensors(data).items()}
        return cls(**fields)


def first_moments(model: Model, options: TrainOptions) -> np.ndarray:
    """The moments before the first step."""
    average = resolved(options.average)
    return zero_moments(resolved(options.optimizer), model.layout.n_trained, average=average)


def load_checkpoint(folder: Path, model: Model, options: TrainOptions) -> Checkpoint:
    """Read the state of training. Raises InputError if there is none, or it is damaged."""
    try:
        state = Checkpoint.from_bytes((folder / CHECKPOINT).read_bytes())
        P, moments = model.layout.size, first_moments(model, options)
        shapes = {"params": (P,), "best": (P,), "moments": moments.shape}
        for name, shape in shapes.items():
            array = getattr(state, name)
            if array.dtype != np.float32 or array.shape != shape:
                raise ValueError(f"{name} is {array.dtype} {array.shape}, not float32 {shape}")
            if not np.isfinite(array).all():
                raise ValueError(f"{name} has values that are not numbers")
        if type(state.step) is not int or not 0 <= state.step <= (options.steps or 0):
            raise ValueError(f"step is {state.step}, of {options.steps}")
        numbers = (state.best_loss, state.loss_sum, state.loss_count, state.seconds)
        if [type(number) for number in numbers] != [float, float, int, float] or np.isnan(numbers).any():
            raise ValueError("a loss or a time is not a number")
        if state.losses.dtype != np.float32 or state.losses.ndim != 1 or len(state.losses) > state.step:
            raise ValueError("its losses are not those of its steps")
    except FileNotFoundError:
        raise InputError(f"{folder}: its training is complete: there is nothing to resume") from None
    except (SafetensorError, KeyError, TypeError, ValueError, AttributeError, OSError) as error:
        raise damaged(folder, CHECKPOINT, error) from None
    return state


def damaged(folder: Path, name: str, why: object) -> InputError:
    """Return the error for a damaged file of a run."""
    reason = " ".join(str(why).split())
    if isinstance(why, KeyError):
        reason = f'"{why.args[0]}" is missing'
    elif isinstance(why, TypeError | AttributeError):
        reason = "a value has the wrong type"
    return InputError(f"{folder / name}: damaged or incomplete ({reason}): restore it from a copy, or train again")
