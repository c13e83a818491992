"""The last part of a training step: clipping the gradient, the optimizer, and the moving average of the weights."""

# pyright: reportMissingParameterType=false

from typing import Any, NamedTuple

import numpy as np

from ...layers.maths import kernel
from ...layers.views import vector
from ..optim import CLIP_EPSILON, HYPER, average_share
from .barrier import barrier

GRADIENTS_PER_BLOCK = 256  # gradients that are summed at a time; a thread owns whole blocks


class Update(NamedTuple):
    """An optimizer with its state: see optim.

    step        the compiled kernel
    moments     (n_moments, n_trained), or with one row more
    ends        (S,) int64: where each segment of the weights ends; a segment has one weight decay
    hyper       (S * HYPER,) float64: the numbers of the optimizer for each segment
    clip        the largest norm of a gradient; 0 for any
    squares     (n_trained / GRADIENTS_PER_BLOCK,) float64, rounded up: scratch
    average     (n_trained,) the moving average of the weights, or (0,) without one
    decay       of the average, a step
    """

    step: Any
    moments: np.ndarray
    ends: np.ndarray
    hyper: np.ndarray
    clip: float
    squares: np.ndarray
    average: np.ndarray
    decay: float


@kernel
def clip_factor(grads, largest, squares, first, last, thread):
    """The factor that makes the norm of a gradient (n_trained,) at most `largest`.

    Every thread calls it for its own blocks, which are elements first ... last - 1. The squares of a block are summed
    together, and then the blocks in their order, so that the norm does not depend on the number of threads.
    """
    for start in range(first, last, GRADIENTS_PER_BLOCK):
        of_block = 0.0
        for i in range(np.uint64(start), np.uint64(min(last, start + GRADIENTS_PER_BLOCK))):
            of_block += np.float64(grads[i]) * np.float64(grads[i])
        squares[start // GRADIENTS_PER_BLOCK] = of_block
    barrier(thread)
    total = 0.0
    for i in range(squares.size):
        total += squares[i]
    return min(1.0, largest / (np.sqrt(total) + CLIP_EPSILON))


@kernel
def update_weights(update, params, grads, rate, number, first, last, thread):
    """Make step `number`, from 1, of the weights first ... last - 1, those of a thread, along grads (n_trained,)."""
    factor, begin = 1.0, first
    if update.clip > 0:
        factor = clip_factor(grads, update.clip, update.squares, first, last, thread)
    for segment in range(update.ends.size):
        end = min(last, update.ends[segment])
        if begin < end:
            hyper = vector(update.hyper, segment * HYPER, HYPER)
            hyper[HYPER - 1] = factor  # all threads write the same
            update.step(params, grads, update.moments, rate, number, hyper, begin, end)
            begin = end
    if update.average.size > 0:
        share = params.dtype.type(average_share(update.decay, number))
        for i in range(np.uint64(first), np.uint64(last)):
            update.average[i] += share * (params[i] - update.average[i])
