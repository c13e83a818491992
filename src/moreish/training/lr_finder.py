"""The learning-rate finder: one training whose rate rises from step to step, until the loss explodes.

The range test of Smith 2017, "Cyclical learning rates for training neural networks", section 3.3. Low rates hardly move
the loss, better ones make it fall, those too high make it rise again: between them lies a valley. It begins at the rate
by which the smoothed loss has made 90% of its fall, and ends at the one at which 70% of that is lost again, or at sixty
times the first if that is less: BatchNorm, which makes up for large weights, puts off the rise.

    suggested = 1.5 sqrt(begin end)

lies above the middle of the valley, on the log scale. It is meant for rates that fall in the end, as they do by
default; a constant rate should be a third of it. The rule was chosen by val losses on grids of rates. Of 34 kinds of
training, of three models with both optimizers on four lists, it comes within 0.02 nats of the best rate for most, and
0.03 for all whose rate falls; but one sweep in fifteen with SGD, which is best just below where it breaks down, misses
by more.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..corpus import Corpus
from ..errors import InputError, WorkError
from .options import resolved
from .prepare import engine_of, prepare
from .train import first_state

RANGES = {"adamw": (1e-5, 10.0), "sgd": (1e-2, 1e3)}  # swept, unless the loss explodes first
PACE = 400  # steps a decade
CHUNK = 20  # steps, after which a sweep may end
EXPLODED = 2.0  # times the first loss
WIDTH = 0.1  # of the smoothing, in decades
FALLEN, LOST = 0.9, 0.7  # shares of the loss's fall: those made and lost again at the ends of the valley
WIDEST = 60.0  # times its first rate
TIMES = 1.5  # its middle
LEAST_FALL = 0.05  # nats, to be more than noise
RULE = f"{TIMES:g} times the middle, on the log scale, of the rates at which the smoothed loss is low"


@dataclass(frozen=True)
class LRFinding:
    """A sweep of learning rates, and the one that it suggests.

    lr          (N,) the rate of each step: a geometric progression, up to where the loss explodes
    loss        (N,) the loss in nats of each step's batch, before its update
    smoothed    (N,) the same, smoothed
    valley      the rates between which the smoothed loss is low
    suggested   the rate to train at, to two digits
    """

    model: str
    lr: np.ndarray
    loss: np.ndarray
    smoothed: np.ndarray
    valley: tuple[float, float]
    suggested: float

    def as_json(self) -> dict[str, Any]:
        """The suggestion and what was seen, as plain numbers."""
        return {"suggested": self.suggested, "lr": self.lr.tolist(), "loss": self.loss.tolist()}


def find_lr(
    words: Iterable[str] | Corpus,
    model: str = "mlp",
    *,
    low: float | None = None,
    high: float | None = None,
    **options: Any,
) -> LRFinding:
    """Suggest a learning rate for a training, by one sweep over rates from fresh weights; nothing is kept of it.

    low, high   the rates to sweep; without them, those of RANGES for the optimizer
    options     those of `train`, without lr

    Raises InputError for a model that is counted, for rates that are no range, and as `train`; WorkError if none of the
    rates makes the loss fall, or none makes it rise again.
    """
    if options.get("lr") is not None:
        raise InputError("--lr is what is looked for: leave it out")
    task = prepare(words, model, options)
    batches = task.need_steps(": it has no learning rate")
    run = task.start()
    optimizer = resolved(run.options.optimizer)
    lowest, highest = RANGES[optimizer]
    low, high = lowest if low is None else low, highest if high is None else high
    if not 1e-12 <= low < high <= 1e6:
        raise InputError(f"rates from {low:g} to {high:g} are no range: --low must be below --high, from 1e-12 to 1e6")

    state, engine = first_state(run), engine_of(run)
    rates = np.geomspace(low, high, max(2, round(PACE * math.log10(high / low))))
    loss = np.zeros(0)
    while len(loss) < len(rates):
        steps = run.options.steps_from(len(loss), rates[len(loss) :][:CHUNK])
        loss = np.append(loss, engine.train(state.params, state.moments, batches, steps))
        exploded = ~(loss <= EXPLODED * loss[0])
        if exploded.any():
            loss = loss[: np.argmax(exploded)]
            break
    planned, rates = len(rates), rates[: len(loss)]
    smoothed = smooth(loss, WIDTH * PACE)
    valley = find_valley(rates, smoothed, exploded=len(loss) < planned)
    return LRFinding(model, rates, loss, smoothed, valley, float(f"{TIMES * math.sqrt(valley[0] * valley[1]):.2g}"))


def smooth(values: np.ndarray, deviation: float) -> np.ndarray:
    """Each of the values (N,) as a mean over its neighbours, weighted by a normal curve of `deviation` places."""
    reach = math.ceil(3 * deviation)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    sums, total = (np.convolve(x, weights)[reach : reach + len(values)] for x in (values, np.ones_like(values)))
    return sums / total


def find_valley(rates: np.ndarray, smoothed: np.ndarray, exploded: bool) -> tuple[float, float]:
    """The two of the rates (N,) between which the smoothed loss (N,) is low: see the top of this file.

    exploded    the loss explodes after the last of them, where the valley then ends at the latest

    Raises WorkError if the loss does not fall, or does not rise again.
    """
    bottom = int(np.argmin(smoothed))
    fall = smoothed[0] - smoothed[bottom]
    if fall < LEAST_FALL:
        raise WorkError(
            f"no rate from {rates[0]:.2g} to {rates[-1]:.2g} makes the loss fall: try others (--low, --high)"
        )
    begin = rates[np.argmax(smoothed <= smoothed[0] - FALLEN * fall)]
    over = (smoothed[bottom:] > smoothed[bottom] + LOST * fall) | (rates[bottom:] > WIDEST * begin)
    over[-1] |= exploded
    if not over.any():
        raise WorkError(f"the loss has not risen again at a rate of {rates[-1]:.2g}: try higher ones (--high)")
    return float(begin), float(rates[bottom + np.argmax(over)])
