"""The loop over the steps of a training: where it evaluates, keeps its state, reports, and can be stopped."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np

from ..corpus import Corpus
from ..engine.batches import Batches
from ..engine.optim import Schedule
from ..engine.protocol import Steps
from ..engine.registry import make_engine
from ..engine.statistics import RECORDED_EXAMPLES, add_updates, record
from ..engine.tape.plan import make_plan
from ..engine.torch.distributed import least
from ..engine.trace import Tracer
from ..errors import InputError, WorkError
from ..evaluation import mean_nll
from ..files import write_atomically
from ..layers import LAYERS
from ..models import ModelConfig, NetConfig
from .options import TrainOptions
from .run import CHECKPOINT, Checkpoint, Run, write_history

EVALUATIONS = 20  # of the val loss in a run
LINES = 10  # of the log in a run, unless --log-every says otherwise
CHUNK_SECONDS = 0.1  # control returns to Python this often
CHECKPOINT_SECONDS = 5.0

T = TypeVar("T")


class Diverged(WorkError):
    """The loss is no longer a finite number."""


@dataclass(frozen=True)
class Progress:
    """Where a training stands.

    loss    mean batch loss in nats of the steps since the last line of the log
    val     val loss, where it was just evaluated
    is_line whether this is a point of the log
    notes   what the engine has to say there, by name
    run     the run in the making, with its weights as they are now: every picture can be drawn of it
    record  with the option diagnostics, the `engine.statistics.record` of the step's batch, at points of the log
    """

    step: int
    steps: int
    loss: float
    lr: float
    val: float | None
    is_line: bool
    notes: dict[str, float]
    record: dict[str, Any] | None = None
    run: Run | None = None


def batches_of(config: ModelConfig, corpus: Corpus, o: TrainOptions) -> Batches:
    """The batches that options stand for; before they are resolved, of one example each."""
    stream = corpus.stream("train")
    if o.full_batch:
        return Batches.of_all(stream, config.context)
    whole_words = isinstance(config, NetConfig) and config.whole_words
    return Batches.drawn(stream, o.batch_size or 1, o.seed, config.context, whole_words)


def _check_batches(run: Run, batches: Batches) -> None:
    """Raise InputError if the layers cannot be trained on such batches."""
    layers, L = run.model.layers, batches.n_places
    make_plan(layers, (batches.size, run.model.config.context - 1 + L, L))
    normalised = any(LAYERS[type(layer)].batch_statistics for layer in layers)
    if run.options.calibrate and not normalised:
        raise InputError("--calibrate is for models with BatchNorm, and this one has none")
    if run.options.full_batch and normalised:
        raise InputError(
            "--full-batch takes equal examples as one, which BatchNorm's statistics would miss: "
            "train with --no-batch-norm, or with a large --batch-size"
        )


def given(value: T | None) -> T:
    """An option that has been resolved."""
    assert value is not None, "options are resolved before training"
    return value


class Loop:
    """The loop over steps, in chunks that end where something is to be evaluated, shown or saved."""

    def __init__(self, run: Run, state: Checkpoint, on_progress: Callable[[Progress], None] | None):
        self.run, self.state, self.on_progress = run, state, on_progress
        o = run.options
        self.steps = given(o.steps)
        self.schedule = Schedule(given(o.schedule), given(o.lr), self.steps, o.step_at, given(o.warmup))
        self.evaluations = shares(self.steps, EVALUATIONS)
        self.lines = shares(self.steps, LINES)
        self.batches = batches_of(run.model.config, run.corpus, o)
        _check_batches(run, self.batches)
        model = run.model
        self.engine = make_engine(
            o.engine, model.layers, model.config.context, len(model.vocab), device=o.device, compile=o.compile
        )
        model.engine = self.engine
        self.stride = stride(self.steps)
        self.record: dict[str, Any] | None = None  # of the step that was made last, where it is a point of the log
        self.tracer = None
        if o.diagnostics:
            vocab_size = len(model.vocab)
            self.tracer = Tracer(model.layers, model.config.context, vocab_size, self.batches, RECORDED_EXAMPLES)
        # Nothing is trained yet: the engine loads its kernels, or compiles them, before the clock starts.
        steps = Steps(given(o.optimizer), given(o.weight_decay), first=0, rates=np.zeros(0))
        self.engine.train(state.params, state.moments, self.batches, steps)
        self.engine.nll(state.params, run.corpus.stream("val")[:2])
        self.saved_at = time.monotonic()
        self.began = time.perf_counter() - state.seconds

    def go(self) -> None:
        """Train to the end. Raises Diverged where the loss is no longer a finite number."""
        state, chunk = self.state, 8
        with interruptible() as interrupted:
            while state.step < self.steps:
                latest = state.step + chunk
                stop = next(step for step in range(state.step + 1, latest + 1) if step == latest or self._is_stop(step))
                began, made = time.perf_counter(), stop - state.step
                self._advance(stop)
                rate = made / max(time.perf_counter() - began, 1e-6)
                chunk = max(1, min(int(rate * CHUNK_SECONDS), 2 * chunk))
                self._report()
                chunk = least(0 if interrupted.is_set() else chunk)  # where there are others, they stop together
                if not chunk:
                    self._save()
                    saved = (
                        f" and saved; continue with: moreish train --resume {self.run.path}" if self.run.path else ""
                    )
                    raise KeyboardInterrupt(f"stopped{saved}")
                if time.monotonic() - self.saved_at > CHECKPOINT_SECONDS:
                    self._save()
        if not np.isfinite(state.params).all():
            self._diverged(self.steps)
        self._save()

    def _is_stop(self, step: int) -> bool:
        """Whether there is something to do after a step."""
        return self._is_point(step) or (self.tracer is not None and self._is_point(step + 1))

    def _is_point(self, step: int) -> bool:
        """Whether something is evaluated or logged after a step."""
        return self._is_line(step) or step in self.evaluations or (step == 1 and self.tracer is not None)

    def _is_line(self, step: int) -> bool:
        every = self.run.options.log_every
        return step in self.lines if every is None else step % every == 0 or step == self.steps

    def _advance(self, stop: int) -> None:
        state, o = self.state, self.run.options
        rates, before, self.record = self.schedule.rates(state.step, stop), state.params, None
        if self.tracer is not None and self._is_point(stop):
            before, self.record = state.params.copy(), record(self.tracer(state.params, state.step))
        steps = Steps(given(o.optimizer), given(o.weight_decay), first=state.step, rates=rates)
        losses = self.engine.train(state.params, state.moments, self.batches, steps)
        if not math.isfinite(losses[-1]):
            self._diverged(state.step + len(losses) - 1)
        if self.record is not None:
            add_updates(self.record, self.run.model.layout.views(state.params - before))
        some = losses[-(state.step + 1) % self.stride :: self.stride]  # those of the steps that the stride divides
        state.losses = np.append(state.losses, some.astype(np.float32))
        state.step = stop
        state.loss_sum += float(losses.sum())
        state.loss_count += len(losses)

    def _diverged(self, step: int) -> None:
        o = self.run.options
        where = f"; {self.run.path} keeps the best weights until then" if self.run.path else ""
        raise Diverged(f"the loss is not finite at step {step}: try --lr {given(o.lr) / 10:g} (it was {o.lr:g}){where}")

    def _report(self) -> None:
        """Evaluate, keep, log and show what is due at this step."""
        state, step, val, notes = self.state, self.state.step, None, {}
        loss, lr = state.loss_sum / state.loss_count, float(self.schedule.rates(step - 1, step)[0])
        if step in self.evaluations:
            val = mean_nll(partial(self.engine.nll, state.params), self.run.corpus.stream("val"))
            if val < state.best_loss:
                state.best_loss, state.best = val, state.params.copy()
            val = val if math.isfinite(val) else None
        state.seconds = time.perf_counter() - self.began
        if self._is_point(step):
            notes = self.engine.notes(state.params)
            seconds = round(state.seconds, 4)
            line = {"step": step, "seconds": seconds, "lr": lr, "train": loss, "val": val, **notes}
            line["losses"] = [round(float(x), 4) for x in state.losses]
            self.run.history.append({**line, **(self.record or {})})
            state.loss_sum, state.loss_count, state.losses = 0.0, 0, state.losses[:0]
        if self.on_progress is not None:
            self.on_progress(
                Progress(step, self.steps, loss, lr, val, self._is_line(step), notes, self.record, self.run)
            )

    def _save(self) -> None:
        if self.run.path is not None:
            write_history(self.run.path, self.run.history)
            write_atomically(self.run.path / CHECKPOINT, self.state.to_bytes())
        self.saved_at = time.monotonic()


def stride(steps: int) -> int:
    """The batch losses of the steps that it divides are kept one by one, in the history: about a thousand of a run."""
    return max(1, steps // 1000)


def shares(steps: int, n: int) -> set[int]:
    """The steps at which the first, second, ... n-th n-th of a run ends."""
    return {max(1, round(steps * k / n)) for k in range(1, n + 1)}


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into an event, so that a step is never left half made; a second one interrupts at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def note(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
