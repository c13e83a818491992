"""The loop over the steps of training, as an iterator: it steps, evaluates, logs, and reports ten times a second."""

import math
import shlex
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from ..engine.batches import Batches
from ..engine.protocol import Engine
from ..engine.statistics import RECORDED_EXAMPLES, add_updates, record
from ..engine.torch.distributed import all_reduce_min
from ..engine.words import WordBatches
from ..errors import WorkError
from ..evaluation import part_loss
from .checkpoint import Checkpoint
from .run import Run

EVALUATIONS = 20  # of the val loss in a run
LOG_LINES = 10  # in a run, unless --log-every says otherwise
REPORT_SECONDS = 0.1  # between two reports
FIRST_STEPS = 8  # before the first report, when the speed is not known yet


class Diverged(WorkError):
    """The loss is no longer a finite number.

    losses  batch losses (n,) in nats of the steps since the last Progress, the last one not finite
    """

    def __init__(self, message: str, losses: np.ndarray):
        super().__init__(message)
        self.losses = losses


@dataclass(frozen=True)
class Progress:
    """State of training after a step.

    step    steps made so far, of `steps`
    loss    mean batch loss in nats of the steps since the last line of the log
    val     val loss in nats of the weights that would be kept, if it was evaluated at this step: with --average the
            better one of weights and average, or with --keep last the average
    is_line True at a point of the log
    notes   other values of the log, by name: those that the engine adds, and with --average both val losses
    losses  batch losses (n,) in nats of the steps since the last Progress
    run     the run with its current weights; every picture can be drawn of it
    record  with the option diagnostics, the `engine.statistics.record` of the step's batch, at points of the log
    """

    step: int
    steps: int
    loss: float
    lr: float
    val: float | None
    is_line: bool
    notes: dict[str, float]
    losses: np.ndarray = field(repr=False)
    record: dict[str, Any] | None = field(default=None, repr=False)
    run: Run | None = field(default=None, repr=False)


class Loop:
    """The steps of training as an iterator of `Progress`, from a state to the end of the run.

    To stop training, stop iterating: `state` is then the state after the last Progress, from which another Loop
    continues. The history of the run gets a line at each point of the log.

    evaluate    compute the val loss now and then, and remember the best weights
    most        of the tokens of val, compute it on about so many
    every       seconds between two Progress, about

    `stretch` is the largest number of steps before the next Progress, and can be set at any time.

    Iterating raises Diverged if the loss is no longer finite.
    """

    def __init__(
        self,
        run: Run,
        state: Checkpoint,
        batches: Batches | WordBatches,
        engine: Engine,
        *,
        evaluate: bool = True,
        most: int | None = None,
        every: float = REPORT_SECONDS,
    ):
        self.run, self.state, self.batches, self.engine, self.most = run, state, batches, engine, most
        self.every = every
        o, model = run.options, run.model
        self.schedule = o.learning_rates()
        self.steps = self.schedule.steps
        self.evaluations = milestones(self.steps, EVALUATIONS) if evaluate else set[int]()
        self.lines = milestones(self.steps, LOG_LINES)
        self.stride = stride(self.steps)
        self.stretch = self.steps
        self.record: dict[str, Any] | None = None  # of the last step made, if that is a point of the log
        self.tracer = None
        if o.diagnostics:
            from ..engine.trace import Tracer

            self.tracer = Tracer(model.layers, model.columns, len(model.vocab), batches, RECORDED_EXAMPLES)
        # An empty stretch of steps: the engine loads or compiles its kernels before the clock starts.
        engine.train(state.params, state.moments, batches, o.steps_from(0, np.zeros(0)))
        # With labels the model is evaluated label by label, by its own engine.
        self.nll = model.nll if model.labels else partial(engine.nll, state.params)
        self.nll(np.zeros(2, np.int32))

    def __iter__(self) -> Iterator[Progress]:
        state, wanted = self.state, FIRST_STEPS
        while state.step < self.steps:
            # Processes that train together make the same steps.
            latest = state.step + all_reduce_min(min(wanted, self.stretch))
            stop = next(step for step in range(state.step + 1, latest + 1) if step == latest or self._is_stop(step))
            began, made = time.perf_counter(), stop - state.step
            self.began = began - state.seconds  # the time between two Progress is not that of the training
            losses = self._advance(stop)
            rate = made / max(time.perf_counter() - began, 1e-6)
            wanted = max(1, min(int(rate * self.every), 2 * wanted))
            yield self._report(losses)
        if not np.isfinite(state.params).all():
            raise self._diverged(self.steps, np.zeros(0))

    def _is_stop(self, step: int) -> bool:
        """True if there is something to do after a step."""
        return self._is_point(step) or (self.tracer is not None and self._is_point(step + 1))

    def _is_point(self, step: int) -> bool:
        """True if something is evaluated or logged after a step."""
        return self._is_line(step) or step in self.evaluations or (step == 1 and self.tracer is not None)

    def _is_line(self, step: int) -> bool:
        every = self.run.options.log_every
        return step in self.lines if every is None else step % every == 0 or step == self.steps

    def _advance(self, stop: int) -> np.ndarray:
        """Make the steps up to `stop`; return their losses. Raises Diverged if one of these is not finite."""
        state, before = self.state, self.state.params
        rates, self.record = self.schedule.rates(state.step, stop), None
        if self.tracer is not None and self._is_point(stop):
            before, self.record = state.params.copy(), record(self.tracer(state.params, state.step))
        steps = self.run.options.steps_from(state.step, rates)
        losses = self.engine.train(state.params, state.moments, self.batches, steps)
        if not math.isfinite(losses[-1]):
            raise self._diverged(state.step + len(losses) - 1, losses)
        if self.record is not None:
            add_updates(self.record, self.run.model.layout.views(state.params - before))
        some = losses[-(state.step + 1) % self.stride :: self.stride]  # of the steps that are multiples of the stride
        state.losses = np.append(state.losses, some.astype(np.float32))
        state.step = stop
        state.loss_sum += float(losses.sum())
        state.loss_count += len(losses)
        return losses

    def _diverged(self, step: int, losses: np.ndarray) -> Diverged:
        lr, path = self.schedule.lr, self.run.path
        problem = f"the loss is not finite at step {step}: try --lr {lr / 10:g} (it was {lr:g})"
        diagnose = shlex.join(["moreish", "diagnose", str(path)])
        kept = f"; {path} keeps the best weights until then, and {diagnose} looks for the cause"
        return Diverged(problem + kept if path else problem, losses)

    def _report(self, losses: np.ndarray) -> Progress:
        """Evaluate and log what is due at this step."""
        state, step, val, notes = self.state, self.state.step, None, {}
        loss, lr = state.loss_sum / max(state.loss_count, 1), float(self.schedule.rates(step - 1, step)[0])
        if step in self.evaluations:
            val, notes = self._evaluate()
        state.seconds = time.perf_counter() - self.began
        if self._is_point(step):
            notes = {**notes, **self.engine.notes(state.params)}
            line: dict[str, Any] = {
                "step": step,
                "seconds": round(state.seconds, 4),
                "lr": lr,
                "train": loss,
                "val": val,
                **notes,
            }
            line["losses"] = [round(float(x), 4) for x in state.losses]
            self.run.history.append({**line, **(self.record or {})})
            state.loss_sum, state.loss_count, state.losses = 0.0, 0, state.losses[:0]
        return Progress(step, self.steps, loss, lr, val, self._is_line(step), notes, losses, self.record, self.run)

    def end(self) -> None:
        """End the training early: evaluate, and write the last line of the history."""
        run, state = self.run, self.state
        if not run.history or run.history[-1]["step"] < state.step:
            self.evaluations.add(state.step)
            self.lines.add(state.step)
            self._report(np.zeros(0))
        run.options = replace(run.options, steps=state.step)

    def _evaluate(self) -> tuple[float | None, dict[str, float]]:
        """Compute the val loss of what would be kept, if it is finite, and with --average both val losses by name.

        The best weights are remembered.
        """
        state, o = self.state, self.run.options
        val = self._val_of(state.params)
        if not o.average:
            return val, {}
        vals = {"val_of_weights": val, "val_of_average": self._val_of(state.averaged())}
        notes = {name: loss for name, loss in vals.items() if loss is not None}
        return min(notes.values(), default=None) if o.keep == "best" else vals["val_of_average"], notes

    def _val_of(self, params: np.ndarray) -> float | None:
        """The val loss of weights, None if it is not finite. The best ones are remembered."""
        state, current = self.state, self.state.params.copy()
        try:
            state.params[:] = params  # which self.nll reads
            val = part_loss(self.nll, self.run.corpus, "val", self.most)
        finally:
            state.params[:] = current
        if val < state.best_loss:
            state.best_loss, state.best = val, params.copy()
        return val if math.isfinite(val) else None


def stride(steps: int) -> int:
    """Distance between the steps whose batch losses are kept one by one in the history: about a thousand of a run."""
    return max(1, steps // 1000)


def milestones(steps: int, n: int) -> set[int]:
    """The steps at which each n-th of a run ends."""
    return {max(1, round(steps * k / n)) for k in range(1, n + 1)}
