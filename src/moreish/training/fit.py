"""Fitting one model: by counting, or step by step to the end, with checkpoints."""

import dataclasses
import logging
import math
import shlex
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..engine.compiler import seconds_compiling
from ..engine.threads import interruptible
from ..engine.torch.distributed import all_reduce_min, process_group, rank
from ..errors import WorkError
from ..files import alone_in, write_atomically
from ..models import CountConfig, Mixture
from ..models.inside import NGramInside
from ..models.labels import Labels
from ..models.model import Model
from .batchnorm import calibrate
from .checkpoint import CHECKPOINT, Checkpoint, first_moments, load_checkpoint
from .folder import MODEL, discard_folder, free_folder
from .loading import load
from .loop import Diverged, Loop, Progress
from .prepare import Task, engine_of, of_run
from .run import Run
from .saving import begin_folder, end_folder, save_elsewhere, taken_away, write_config, write_history, written
from .teacher import load_teacher
from .watching import TrainingView

LOG = logging.getLogger("moreish")
CHECKPOINT_SECONDS = 5.0  # between two checkpoints

OnProgress = Callable[[Progress], None]


class Rescue(NamedTuple):
    """Ways to save an ensemble with the member in training, if somebody takes its folder away.

    is_there    tells if the folder of the ensemble is still there
    save        saves the ensemble in another folder, calls its argument with that of the member, and returns the former
    """

    is_there: Callable[[], bool]
    save: Callable[[Callable[[Path], None]], Path]


def clock() -> float:
    """Return the time in seconds since some moment, without the seconds in which this process compiled."""
    return time.perf_counter() - seconds_compiling()


def count(task: Task) -> Run:
    """Count a model and return its run."""
    assert isinstance(task.config, CountConfig)
    began = clock()
    arrays = task.config.fit(task.corpus)
    history = [{"step": 0, "seconds": round(clock() - began, 4)}]
    model = Model(task.config, task.corpus.vocab, arrays=arrays, labels=Labels.of(task.corpus))
    return Run(model, task.corpus, task.options, history)


def first_state(run: Run) -> Checkpoint:
    """The state of training before the first step. Its weights are the run's own array."""
    params = run.model.params
    return Checkpoint(0, params, params.copy(), first_moments(run.model, run.options))


def finish(run: Run, state: Checkpoint) -> None:
    """Give a run the weights that its options ask for, and calibrate its BatchNorm if asked.

    They are the best weights, or the last ones, or with --average the last average. A net with an n-gram inside becomes
    a mixture.
    """
    last = state.averaged() if run.options.average else state.params
    run.model.params = state.best if run.options.keep == "best" else last
    if run.options.calibrate:
        calibrate(run.model, run.corpus)
    if isinstance(run.model, NGramInside):
        run.model = run.model.finished()


def fit(
    task: Task,
    *,
    out: str | Path | None = None,
    on_progress: OnProgress | None = None,
    progress: bool | None = None,
    deadline: float = math.inf,
    most: int | None = None,
    rescue: Rescue | None = None,
) -> Run:
    """Count or train a model and return its run: see `train.train`.

    deadline    by `clock`: no step begins later, and the best weights so far are those of the run
    most        tokens of val to evaluate while it is trained; None for all
    rescue      of a member of an ensemble: if `out` is taken away, its unfinished training is saved with the ensemble,
                and a finished run is returned without a path
    """
    if task.batches is None:
        run = count(task)
        return run if out is None or rank() else run.save(out)
    run = task.start()
    return _to_the_end(task, run, first_state(run), on_progress, progress, out, deadline, most, rescue)


def go_on(
    folder: Path,
    *,
    on_progress: OnProgress | None = None,
    progress: bool | None = None,
    most: int | None = None,
    rescue: Rescue | None = None,
) -> Run:
    """Continue a stopped training: see `train.resume`, and `fit` for most and rescue."""
    run = load(folder)
    if isinstance(run.model.config, Mixture) and not (folder / MODEL).exists():
        run = dataclasses.replace(run, model=NGramInside.of(run.model))
    state = load_checkpoint(folder, run.model, run.options)
    run.history = [line for line in run.history if line["step"] <= state.step]
    run.model.params = state.params
    teacher = run.taught and load_teacher(folder, run.taught, len(run.model.vocab))
    return _to_the_end(of_run(run, teacher), run, state, on_progress, progress, most=most, rescue=rescue)


def _to_the_end(
    task: Task,
    run: Run,
    state: Checkpoint,
    on_progress: OnProgress | None,
    progress: bool | None,
    out: str | Path | None = None,
    deadline: float = math.inf,
    most: int | None = None,
    rescue: Rescue | None = None,
) -> Run:
    """Make the steps that are left, in a new folder if `out` names one. Only the first process saves and shows."""
    if rank():
        run.path, out, on_progress, progress = None, None, None, False
    o = run.options
    same_for_all = f"{run.model.name} {run.model.config} {o} {run.corpus.data_hash} {state.step}"
    with process_group(o.engine, o.device, same_for_all), TrainingView(run, progress) as view:
        loop = Loop(run, state, task.need_steps(), engine_of(run), most=most)
        if out is not None and rescue is not None and not rescue.is_there():
            run.path = Path(out)
            raise _rescued(task, run, state, rescue)
        if out is not None:
            begin_folder(run, out, CHECKPOINT, state.to_bytes(), task.teacher and task.teacher.to_bytes())
        with alone_in(run.path) as is_there:

            def save(with_config: bool) -> None:
                def write(folder: Path) -> None:
                    write_history(folder, run.history)
                    write_atomically(folder / CHECKPOINT, state.to_bytes())
                    if with_config:
                        write_config(run, folder)

                if run.path is not None and not written(write, run.path, is_there):
                    raise _rescued(task, run, state, rescue)

            try:
                _follow(loop, view, on_progress, deadline, save)
            except Diverged:
                run.model.params = state.best
                _end(run, is_there, rescue)
                raise
            except MemoryError:
                if out is not None and state.step == 0:
                    discard_folder(Path(out))
                raise
            finish(run, state)
            _end(run, is_there, rescue)
    return run


def _rescued(task: Task, run: Run, state: Checkpoint, rescue: Rescue | None) -> WorkError:
    """Save an unfinished training in another folder, because somebody took its own away; return the error to raise."""
    lost = run.path
    assert lost is not None

    def begin(folder: Path) -> None:
        begin_folder(run, folder, CHECKPOINT, state.to_bytes(), task.teacher and task.teacher.to_bytes())

    if rescue is not None:
        return taken_away(lost, rescue.save(begin))
    folder = free_folder(lost)
    begin(folder)
    return taken_away(lost, folder)


def _end(run: Run, is_there: Callable[[], bool], rescue: Rescue | None) -> None:
    """Write a trained run into its folder, or into another one if somebody took that away."""
    lost = run.path
    if lost is not None and not written(lambda folder: end_folder(run, folder), lost, is_there):
        if rescue is None:
            save_elsewhere(run, lost)
        else:
            run.path = None


def _follow(
    loop: Loop, view: TrainingView, on_progress: OnProgress | None, deadline: float, save: Callable[[bool], None]
) -> None:
    """Iterate to the end, saving a checkpoint now and then. Ctrl-C saves one and raises KeyboardInterrupt."""
    saved_at, ended_early = time.monotonic(), False
    with interruptible() as interrupted:
        for at in loop:
            view(at)
            if on_progress is not None:
                on_progress(at)
            stopped = not all_reduce_min(not interrupted.is_set())  # processes that train together stop together
            if stopped or time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                save(False)
                saved_at = time.monotonic()
            if stopped:
                path = loop.run.path
                saved = f" and saved; continue with: moreish train --resume {shlex.quote(str(path))}" if path else ""
                raise KeyboardInterrupt(f"stopped{saved}")
            if clock() > deadline and at.step < at.steps:
                loop.end()
                LOG.info(f"the time was over after {at.step:,} of {at.steps:,} steps")
                ended_early = True
                break
    save(ended_early)
