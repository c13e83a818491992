"""One training of the lab: its loop, and its curve so far."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from ..evaluation import part_loss
from ..training.fit import count, finish, first_state
from ..training.loop import Diverged, Loop, Progress
from ..training.prepare import Task, engine_of, of_run
from ..training.run import Run
from .snapshot import Bench

REPORT_SECONDS = 0.05  # between two reports of a training that plays, with a page
SINGLE_STEPS = 50  # first steps that have a point of the curve each
POINTS = 400  # of a curve, after these
MOST_VAL = 200_000  # tokens of val in the losses of the curve


@dataclass
class Training:
    """One training: its loop, and its curve so far.

    curve   points [step, seconds, batch loss or None, val loss or None]; only ever appended to
    pending batch losses since the last point
    """

    number: int
    run: Run
    task: Task | None
    bench: Bench
    loop: Loop | None
    iterator: Iterator[Progress] | None
    curve: list[list[float | None]] = field(default_factory=list)
    pending: list[float] = field(default_factory=list)
    ended: bool = False

    @classmethod
    def begin(cls, number: int, task: Task) -> "Training":
        """Begin a training; a model that is counted is counted at once."""
        if task.batches is None:
            run = count(task)
            training = cls(number, run, task, Bench(run, task), None, None, ended=True)
            training.curve.append([0, run.seconds or 0.0, run.loss["train"], run.loss["val"]])
            return training
        run = task.start()
        loop = Loop(run, first_state(run), task.batches, engine_of(run), most=MOST_VAL, every=REPORT_SECONDS)
        training = cls(number, run, task, Bench(run, task), loop, iter(loop))
        training.curve.append([0, 0.0, None, _finite(part_loss(loop.nll, run.corpus, "val", MOST_VAL))])
        return training

    @classmethod
    def opened(cls, number: int, run: Run) -> "Training":
        """A run that was trained before."""
        task = of_run(run) if run.model.layers and not run.folded else None
        training = cls(number, run, task, Bench(run, task), None, None, ended=True)
        for line in run.history:
            point = [line.get("step", 0), line.get("seconds", 0.0), line.get("train"), line.get("val")]
            training.curve.append(point)
        return training

    @property
    def step(self) -> int:
        return self.loop.state.step if self.loop else self.run.options.steps or 0

    def advance(self, stretch: int) -> Progress | None:
        """Make at most so many steps; None at the end of the training. Raises MoreishError if it fails."""
        assert self.loop is not None
        assert self.iterator is not None
        self.loop.stretch = stretch
        began, before = self.loop.state.seconds, self.step
        try:
            at = next(self.iterator, None)
        except Diverged as error:
            self._extend(error.losses, None, before, began)
            raise
        if at is None:
            finish(self.run, self.loop.state)
            self.ended = True
            return None
        self._extend(at.losses, at.val, before, began)
        return at

    def _extend(self, losses: np.ndarray, val: float | None, before: int, began: float) -> None:
        """Extend the curve by the losses (n,) of the steps after step `before`, which began at a time in seconds."""
        assert self.loop is not None
        every, n = max(1, self.loop.steps // POINTS), len(losses)
        seconds = np.linspace(began, self.loop.state.seconds, n + 1)[1:]
        for i, step in enumerate(range(before + 1, before + n + 1)):
            self.pending.append(float(losses[i]))
            last = i == n - 1 and (val is not None or not math.isfinite(losses[i]))
            if step <= SINGLE_STEPS or step % every == 0 or last:
                loss = _finite(sum(self.pending) / len(self.pending))
                self.curve.append([step, round(float(seconds[i]), 4), loss, val if last else None])
                self.pending.clear()


def _finite(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None
