"""Optimizers over one flat vector of parameters, what else a training step does, and learning-rate schedules.

An optimizer is a kernel `step(params, grads, moments, lr, number, hyper, first, last)`. It updates parameters
first ... last - 1 and their moments:

    params      (P,); the first n_trained are trained
    grads       (n_trained,)
    moments     (n_moments, n_trained), zero at first
    number      of the step, from 1
    hyper       [weight_decay, beta1, beta2, epsilon, factor]: a gradient is first multiplied by the factor

The factor clips gradients: it is min(1, grad_clip / norm). After step t, a moving average with decay A follows the
weights:

    average <- average + s (p - average),        s = max(1 - A, (n + 1) / (t + n)),    n = 9

The second share lets the average forget the first weights: it reaches back over a tenth of the steps so far, until
1 - A is larger. So the first average is the first weights. With A = 1 it is the polynomial-decay average of Shamir and
Zhang 2013, section 4.
"""

# pyright: reportMissingParameterType=false

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ..layers.jit import register_jitable

if TYPE_CHECKING:
    from ..layers.layout import Layout

AVERAGE_POWER = 9  # n above
BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
CLIP_EPSILON = 1e-6  # added to the norm of a gradient, as PyTorch does
HYPER = 5  # the length of `hyper`
DECAYS = ("matrices", "all")


def sgd(params, grads, moments, lr, number, hyper, first, last):
    """p <- p - lr (g + decay p)."""
    real = params.dtype.type
    rate, decay, factor = real(lr), real(hyper[0]), real(hyper[4])
    for i in range(np.uint64(first), np.uint64(last)):
        params[i] -= rate * (factor * grads[i] + decay * params[i])


def adamw(params, grads, moments, lr, number, hyper, first, last):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2).

    m and v are running means of g and g**2. They start at zero, which the divisors 1 - beta**t correct:
    p <- p - lr (decay p + (m / (1 - beta1**t)) / (sqrt(v / (1 - beta2**t)) + epsilon))
    """
    real = params.dtype.type
    beta1, beta2, epsilon, factor = real(hyper[1]), real(hyper[2]), real(hyper[3]), real(hyper[4])
    keep = real(1 - lr * hyper[0])
    rate = real(lr / (1 - hyper[1] ** number))
    scale = real(1 / np.sqrt(1 - hyper[2] ** number))
    m, v = moments[0], moments[1]
    one = real(1)
    for i in range(np.uint64(first), np.uint64(last)):
        g = factor * grads[i]
        m[i] = beta1 * m[i] + (one - beta1) * g
        v[i] = beta2 * v[i] + (one - beta2) * g * g
        params[i] = keep * params[i] - rate * m[i] / (np.sqrt(v[i]) * scale + epsilon)


class Optimizer(NamedTuple):
    """A row of the table: the kernel, and the number of its vectors of moments."""

    step: Callable[..., None]
    n_moments: int


OPTIMIZERS = {"sgd": Optimizer(sgd, 0), "adamw": Optimizer(adamw, 2)}


@register_jitable
def average_share(decay, number):
    """The share s of the weights after step `number`, from 1, in the moving average with a decay."""
    return max(1 - decay, (AVERAGE_POWER + 1) / (number + AVERAGE_POWER))


def zero_moments(name: str, n_trained: int, dtype: type = np.float32, average: float = 0.0) -> np.ndarray:
    """The moments of an optimizer before the first step: (n_moments, n_trained).

    With a moving average of the weights there is one row more for it, the last one.
    """
    return np.zeros((OPTIMIZERS[name].n_moments + (average > 0), n_trained), dtype)


def decay_segments(layout: "Layout", decay: str, weight_decay: float) -> list[tuple[int, int, float]]:
    """Segments of the trained parameters with one weight decay each, in order: begin, end and decay.

    decay       matrices: only parameters with two dimensions or more decay, not biases, gains and other vectors; all
    """
    segments: list[tuple[int, int, float]] = []
    for slot in layout:
        if slot.parameter.trained:
            begin, end = slot.start, slot.start + slot.parameter.size
            own = weight_decay if decay == "all" or len(slot.shape) > 1 else 0.0
            if segments and segments[-1][2] == own:
                begin = segments.pop()[0]
            segments.append((begin, end, own))
    return segments


SCHEDULES = ("constant", "step", "linear", "cosine")


@dataclass(frozen=True)
class Schedule:
    """The learning rate of every step of a run of `steps` steps.

    kind        constant; step: a tenth after the fraction `step_at` of the run; linear or cosine: zero at the end
    warmup      the fraction of the run in which the rate first rises linearly from zero
    """

    kind: str
    lr: float
    steps: int
    step_at: float = 0.5
    warmup: float = 0.0

    def rates(self, start: int, stop: int) -> np.ndarray:
        """The rates of steps start ... stop - 1, as float64 (stop - start,)."""
        s = np.arange(start, stop, dtype=np.float64)
        ramp = self.warmup * self.steps
        done = (s - ramp) / max(self.steps - ramp, 1)
        match self.kind:
            case "step":
                shape = np.where(s < self.step_at * self.steps, 1.0, 0.1)
            case "linear":
                shape = 1 - done
            case "cosine":
                shape = 0.5 * (1 + np.cos(np.pi * done))
            case _:
                shape = np.ones_like(s)
        if ramp > 0:
            shape = np.where(s < ramp, (s + 1) / (ramp + 1), shape)
        return self.lr * shape
