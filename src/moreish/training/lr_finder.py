"""The learning-rate finder: one training run whose learning rate rises from step to step, until the loss explodes.

This is the range test of Smith 2017, "Cyclical learning rates for training neural networks", section 3.3. Low rates
hardly change the loss, better rates lower it, and rates that are too high raise it again. In between, the loss has a
valley. The valley begins at the rate where the smoothed loss has made 90% of its fall. It ends where the loss has risen
again by 70% of that fall, or at sixty times the first rate if that is lower: BatchNorm compensates for large weights
and delays the rise.

    suggested = 1.5 sqrt(begin end)

is above the middle of the valley, on the log scale. It is meant for schedules that lower the rate, as they do by
default; for a constant rate take a third of it. The rule was chosen by val losses on grids of rates: 34
training settings, with three models, both optimizers and four lists. For most of them it is within 0.02 nats of the
best rate, and within 0.03 for all with a falling rate. The exception is SGD, whose best rate is just below the one that
diverges: there one sweep in fifteen misses by more.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..corpus import Corpus
from ..display.curves import curves_svg
from ..display.live import Live
from ..display.shown import Shown, Table
from ..errors import InputError, WorkError
from .fit import first_state
from .options import resolved
from .prepare import engine_of, prepare

RANGES = {"adamw": (1e-5, 10.0), "sgd": (1e-2, 1e3)}  # rates that are swept until the loss explodes
STEPS_PER_DECADE = 400
STRETCH = 20  # steps between two checks for an explosion
EXPLODED = 2.0  # multiple of the first loss
SMOOTHING = 0.1  # decades
FALLEN, LOST = 0.9, 0.7  # fractions of the fall that are reached, and lost again, at the ends of the valley
WIDEST = 60.0  # largest ratio of the last rate of the valley to the first
ABOVE_MIDDLE = 1.5  # ratio of the suggested rate to the middle of the valley
LEAST_FALL = 0.05  # nats; a smaller fall is noise
RULE = f"this is {ABOVE_MIDDLE:g} times the midpoint on a log scale"


@dataclass(frozen=True, repr=False)
class LRFinding(Shown):
    """Result of a sweep of learning rates.

    lr          (N,) the rate of each step: a geometric progression, up to where the loss explodes
    loss        (N,) the loss in nats of each step's batch, before its update
    smoothed    (N,) the same, smoothed
    valley      lowest and highest rate at which the smoothed loss is low
    suggested   the rate to train with, to two digits
    """

    model: str
    lr: np.ndarray
    loss: np.ndarray
    smoothed: np.ndarray
    valley: tuple[float, float]
    suggested: float

    def __repr__(self) -> str:
        low, high = self.valley
        return f"LRFinding({self.model}: {self.suggested:g} suggested; the loss is low from {low:.2g} to {high:.2g})"

    def _table(self) -> Table:
        points = list(zip(self.lr.tolist(), self.smoothed.tolist(), strict=True))
        return Table(repr(self), notes=[curves_svg({"loss": points}, log_x=True)])

    def as_json(self) -> dict[str, Any]:
        """Return the suggestion and the sweep as plain numbers."""
        return {"suggested": self.suggested, "lr": self.lr.tolist(), "loss": self.loss.tolist()}


def find_lr(
    words: Iterable[str] | Corpus,
    model: str = "mlp",
    *,
    low: float | None = None,
    high: float | None = None,
    progress: bool | None = None,
    **options: Any,
) -> LRFinding:
    """Suggest a learning rate, by one sweep from fresh weights. Nothing is saved.

    low, high   the rates to sweep; by default those of RANGES for the optimizer
    progress    show the sweep while it runs; by default in a notebook only
    options     those of `train`, without lr

    Raises InputError for a counted model, if low is not below high, and as `train`; WorkError if no rate makes
    the loss fall, or if none makes it rise again.
    """
    if options.get("lr") is not None:
        raise InputError("lr-find suggests --lr: leave it out")
    task = prepare(words, model, options)
    batches = task.need_steps(": it has no learning rate")
    run = task.start()
    optimizer = resolved(run.options.optimizer)
    lowest, highest = RANGES[optimizer]
    low, high = lowest if low is None else low, highest if high is None else high
    if not 1e-12 <= low < high <= 1e6:
        raise InputError(
            f"--low is {low:g} and --high is {high:g}: they must be between 1e-12 and 1e6, and --low below --high"
        )

    state = first_state(run)
    rates = np.geomspace(low, high, max(2, round(STEPS_PER_DECADE * math.log10(high / low))))
    loss = np.zeros(0)
    with Live(f"Learning rate for {model}", progress) as view:
        engine = engine_of(run)
        while len(loss) < len(rates):
            steps = run.options.steps_from(len(loss), rates[len(loss) :][:STRETCH])
            loss = np.append(loss, engine.train(state.params, state.moments, batches, steps))
            exploded = ~(loss <= EXPLODED * loss[0])
            if exploded.any():
                loss = loss[: np.argmax(exploded)]
                break
            points = list(zip(rates.tolist(), loss.tolist(), strict=False))[::STRETCH]
            view.tell(f"tried up to {points[-1][0]:.2g}", len(loss) / len(rates), {"loss": points}, log_x=True)
        planned, rates = len(rates), rates[: len(loss)]
        smoothed = smooth(loss, SMOOTHING * STEPS_PER_DECADE)
        valley = find_valley(rates, smoothed, exploded=len(loss) < planned)
        suggested = float(f"{ABOVE_MIDDLE * math.sqrt(valley[0] * valley[1]):.2g}")
        view.tell(f"{suggested:g} suggested")
    return LRFinding(model, rates, loss, smoothed, valley, suggested)


def smooth(values: np.ndarray, deviation: float) -> np.ndarray:
    """Smooth values (N,) by a Gaussian window with a standard deviation of `deviation` places."""
    reach = math.ceil(3 * deviation)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    sums, total = (np.convolve(x, weights)[reach : reach + len(values)] for x in (values, np.ones_like(values)))
    return sums / total


def find_valley(rates: np.ndarray, smoothed: np.ndarray, exploded: bool) -> tuple[float, float]:
    """Return the first and last of the rates (N,) at which the smoothed loss (N,) is low: see the top of this file.

    exploded    the loss explodes after the last rate, so that the valley ends there at the latest

    Raises WorkError if the loss does not fall, or does not rise again.
    """
    bottom = int(np.argmin(smoothed))
    fall = smoothed[0] - smoothed[bottom]
    if fall < LEAST_FALL:
        raise WorkError(
            f"the loss does not fall at any rate from {rates[0]:.2g} to {rates[-1]:.2g}: "
            "try other rates (--low, --high)"
        )
    begin = rates[np.argmax(smoothed <= smoothed[0] - FALLEN * fall)]
    over = (smoothed[bottom:] > smoothed[bottom] + LOST * fall) | (rates[bottom:] > WIDEST * begin)
    over[-1] |= exploded
    if not over.any():
        raise WorkError(f"the loss has not risen again at a rate of {rates[-1]:.2g}: try higher rates (--high)")
    return float(begin), float(rates[bottom + np.argmax(over)])
