"""Training: from words and options to a run."""

import dataclasses
import math
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from .batchnorm import calibrate
from .corpus import Corpus
from .engines import make_engine
from .errors import InputError, WorkError
from .evaluation import mean_nll
from .files import write_atomically
from .layers import LAYERS
from .model import Model
from .models import CountConfig, ModelConfig, NetConfig, make_config
from .optim import Schedule, zero_moments
from .options import TrainOptions
from .run import (
    CHECKPOINT,
    Checkpoint,
    Run,
    begin_folder,
    discard_folder,
    end_folder,
    load,
    load_checkpoint,
    write_history,
)
from .tape import Batches, Steps, make_plan

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
    """

    step: int
    steps: int
    loss: float
    lr: float
    val: float | None
    is_line: bool
    notes: dict[str, float]


def train(
    words: Iterable[str] | Corpus,
    model: str = "mlp",
    *,
    out: str | Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    **options: Any,
) -> Run:
    """Train a model on words and return the run.

    options are those of `TrainOptions` and of the model's config, by name. With `out`, the run is saved in that
    folder as it goes; without, `Run.save` can do it later. `on_progress` is called about ten times a second.

    Raises InputError for unknown options, values out of range, or fewer words than a split needs; WorkError when the
    loss is no longer a finite number, or the folder can no longer be written. Ctrl-C raises KeyboardInterrupt after
    the state is saved.
    """
    of_training = {f.name for f in dataclasses.fields(TrainOptions)}
    config = make_config(model, {k: v for k, v in options.items() if k not in of_training})
    chosen = TrainOptions(**{k: v for k, v in options.items() if k in of_training})
    if isinstance(words, Corpus):
        for name in {"split", "split_seed"} & options.keys():
            if options[name] != getattr(words, name):
                raise InputError(f"{name} is {options[name]}, and the corpus was split with {getattr(words, name)}")
        corpus = words
        chosen = dataclasses.replace(chosen, split=corpus.split, split_seed=corpus.split_seed)
    else:
        corpus = Corpus(words, chosen.split, chosen.split_seed)
    if isinstance(config, CountConfig):
        if chosen.overridden:
            name = chosen.overridden[0].replace("_", "-")
            raise InputError(f"model {model} is counted, not trained by steps: it has no option --{name}")
        began = time.perf_counter()
        arrays = config.fit(corpus)
        history = [{"step": 0, "seconds": round(time.perf_counter() - began, 4)}]
        run = Run(Model(config, corpus.vocab, arrays=arrays), corpus, chosen, history)
        return run if out is None else run.save(out)
    chosen = chosen.resolved(type(config).defaults, batches_of(config, corpus, chosen).n_examples)
    run = Run(Model(config, corpus.vocab, seed=chosen.seed), corpus, chosen)
    params = run.model.params
    moments = zero_moments(_given(chosen.optimizer), run.model.layout.n_trained)
    state = Checkpoint(0, params, params.copy(), moments)
    training = _Training(run, state, on_progress)
    if out is not None:
        begin_folder(run, out, CHECKPOINT, state.to_bytes())
    try:
        return _to_the_end(training)
    except MemoryError:
        if run.path is not None and state.step == 0:
            discard_folder(run.path)
        raise


def resume(path: str | Path, *, on_progress: Callable[[Progress], None] | None = None) -> Run:
    """Continue a training that was stopped, from its last checkpoint: by the tape, bit for bit as if it never had been.

    Raises InputError if the folder is no run, or its training has ended; else as `train`.
    """
    folder = Path(path)
    run = load(folder)
    checkpoint = load_checkpoint(folder, run.model, run.options)
    run.history = [line for line in run.history if line["step"] <= checkpoint.step]
    run.model.params = checkpoint.params
    return _to_the_end(_Training(run, checkpoint, on_progress))


def _to_the_end(training: "_Training") -> Run:
    run, state = training.run, training.state
    try:
        training.go()
    except Diverged:
        run.model.params = state.best
        if run.path is not None:
            end_folder(run, run.path)
        raise
    run.model.params = state.best if run.options.keep == "best" else state.params
    if run.options.calibrate:
        calibrate(run.model, run.corpus)
    if run.path is not None:
        end_folder(run, run.path)
    return run


def batches_of(config: ModelConfig, corpus: Corpus, o: TrainOptions) -> Batches:
    """The batches that options stand for; before they are resolved, of one example each."""
    stream = corpus.stream("train")
    if o.full_batch:
        return Batches.of_all(stream, config.context)
    whole_words = isinstance(config, NetConfig) and config.whole_words
    return Batches.drawn(stream, o.batch_size or 1, o.seed, config.context, whole_words)


def _check_batches(run: Run, batches: Batches) -> None:
    """Raise InputError if the layers cannot be trained on such batches."""
    layers, L = run.model.layers, batches.n_targets
    make_plan(layers, (batches.size, run.model.config.context - 1 + L, L))
    normalised = any(LAYERS[type(layer)].batch_statistics for layer in layers)
    if run.options.calibrate and not normalised:
        raise InputError("--calibrate is for models with BatchNorm, and this one has none")
    if run.options.full_batch and normalised:
        raise InputError(
            "--full-batch takes equal examples as one, which BatchNorm's statistics would miss: "
            "train with --no-batch-norm, or with a large --batch-size"
        )


def _given(value: T | None) -> T:
    assert value is not None, "options are resolved before training"
    return value


class _Training:
    """The loop over steps, in chunks that end where something is to be evaluated, shown or saved."""

    def __init__(self, run: Run, state: Checkpoint, on_progress: Callable[[Progress], None] | None):
        self.run, self.state, self.on_progress = run, state, on_progress
        o = run.options
        self.steps = _given(o.steps)
        self.schedule = Schedule(_given(o.schedule), _given(o.lr), self.steps, o.step_at, _given(o.warmup))
        self.evaluations = shares(self.steps, EVALUATIONS)
        self.lines = shares(self.steps, LINES)
        self.batches = batches_of(run.model.config, run.corpus, o)
        _check_batches(run, self.batches)
        model = run.model
        self.engine = make_engine(
            o.engine, model.layers, model.config.context, len(model.vocab), device=o.device, compile=o.compile
        )
        model.engine = self.engine
        self.saved_at = time.monotonic()
        self.began = time.perf_counter() - state.seconds

    def go(self) -> None:
        """Train to the end. Raises Diverged where the loss is no longer a finite number."""
        state, chunk = self.state, 8
        with interruptible() as interrupted:
            while state.step < self.steps:
                latest = state.step + chunk
                stop = next(
                    step for step in range(state.step + 1, latest + 1) if step == latest or self._is_point(step)
                )
                began, made = time.perf_counter(), stop - state.step
                self._advance(stop)
                rate = made / max(time.perf_counter() - began, 1e-6)
                chunk = max(1, min(int(rate * CHUNK_SECONDS), 2 * chunk))
                self._report()
                if interrupted.is_set():
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

    def _is_point(self, step: int) -> bool:
        """Whether something is evaluated or logged after a step."""
        return self._is_line(step) or step in self.evaluations

    def _is_line(self, step: int) -> bool:
        every = self.run.options.log_every
        return step in self.lines if every is None else step % every == 0 or step == self.steps

    def _advance(self, stop: int) -> None:
        state, o = self.state, self.run.options
        rates = self.schedule.rates(state.step, stop)
        steps = Steps(_given(o.optimizer), _given(o.weight_decay), first=state.step, rates=rates)
        losses = self.engine.train(state.params, state.moments, self.batches, steps)
        if not math.isfinite(losses[-1]):
            self._diverged(state.step + len(losses) - 1)
        state.step = stop
        state.loss_sum += float(losses.sum())
        state.loss_count += len(losses)

    def _diverged(self, step: int) -> None:
        o = self.run.options
        where = f"; {self.run.path} keeps the best weights until then" if self.run.path else ""
        raise Diverged(
            f"the loss is not finite at step {step}: try --lr {_given(o.lr) / 10:g} (it was {o.lr:g}){where}"
        )

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
            self.run.history.append({"step": step, "seconds": seconds, "lr": lr, "train": loss, "val": val, **notes})
            state.loss_sum, state.loss_count = 0.0, 0
        if self.on_progress is not None:
            self.on_progress(Progress(step, self.steps, loss, lr, val, self._is_line(step), notes))

    def _save(self) -> None:
        if self.run.path is not None:
            write_history(self.run.path, self.run.history)
            write_atomically(self.run.path / CHECKPOINT, self.state.to_bytes())
        self.saved_at = time.monotonic()


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
