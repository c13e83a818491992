"""Training: from words and options to a run, and from a stopped run to its end."""

import dataclasses
import shlex
import time
from collections.abc import Callable, Iterable, Sized
from pathlib import Path
from typing import Any

from ..corpus import Corpus
from ..corpus.wordlist import refuse_what_is_no_list
from ..engine.tape.compile import seconds_compiling
from ..engine.threads import interruptible
from ..engine.torch.distributed import all_reduce_min, process_group, rank
from ..files import write_atomically
from ..models import CountConfig, Mixture
from ..models.inside import NGramInside
from ..models.labels import Labels
from ..models.model import Model
from .batchnorm import calibrate
from .checkpoint import CHECKPOINT, Checkpoint, first_moments, load_checkpoint
from .inside import batches_and_engine, begin_with_ngram
from .loop import Diverged, Loop, Progress
from .mixing import mix
from .options import OF_ALL_MODELS
from .prepare import Task, engine_of, of_run, prepare
from .run import MODEL, Run, begin_folder, check_free, discard_folder, end_folder, load, write_history
from .teacher import load_teacher
from .watching import TrainingView

CHECKPOINT_SECONDS = 5.0  # between two checkpoints
SHORT_LIST = 1000  # words; on fewer, by default, a mixture: it has the lowest loss (benchmarks/short_lists.py)


def train(
    words: Iterable[str] | Corpus,
    model: str | None = None,
    *,
    from_run: Run | str | Path | None = None,
    with_ngram: Run | str | Path | None = None,
    out: str | Path | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    progress: bool | None = None,
    **options: Any,
) -> Run:
    """Train a model on words and return the run.

    model       mlp by default, or for fewer than 1,000 words a mixture of an mlp and an n-gram model, unless there are
                options of a net; with from_run, its model
    from_run    start with the weights of this run of a net, or of the run in this folder; it may have been trained on a
                list of another kind. The vocabulary is that of both lists; the model and its options are the run's. The
                val loss is too low if val words are in the run's list
    with_ngram  train a net over whole words with the n-gram of this run, or of the run in this folder, inside: its
                log-probabilities, from counts that leave the example out, are added to the logits with a learnt
                strength. The run is a mixture of both
    options     those of `TrainOptions` and of the model's config, by name; and `weights` and `labels`, with a value for
                each word: how often it counts, and its kind
    out         save the run in this folder while it is trained; without, call `Run.save` later
    on_progress called about ten times a second
    progress    show a bar and the curves of the losses while it trains; by default in a notebook only

    Raises InputError for unknown options, values out of range, or fewer words than a split needs; WorkError if the loss
    is no longer a finite number, or if the folder can no longer be written. Ctrl-C raises KeyboardInterrupt after the
    state is saved; a mixture is saved only when it is complete.

    Processes that torchrun has started train together (engine="torch"). All of them return the run; the first one alone
    saves it and calls on_progress.
    """
    if model is None and from_run is None and with_ngram is None:
        if not isinstance(words, Corpus):
            refuse_what_is_no_list(words)
            words = words if isinstance(words, Sized) else list(words)
        model = default_model(words, options)
        if model == "mixture":
            if out is not None and not rank():
                check_free(out)
            try:
                run = _mixed(words, options, on_progress, progress)
            except KeyboardInterrupt:
                why = "a mixture is saved only when it is complete"
                raise KeyboardInterrupt(f"stopped: nothing is saved, because {why}") from None
            return run if out is None or rank() else run.save(out)
    task = prepare(words, model, options, from_run)
    if task.batches is None and with_ngram is None:
        run = count(task)
        return run if out is None or rank() else run.save(out)
    run = None if with_ngram is None else begin_with_ngram(task, with_ngram)
    return train_task(task, on_progress, progress, out, run)


def train_task(
    task: Task,
    on_progress: Callable[[Progress], None] | None,
    progress: bool | None,
    out: str | Path | None,
    run: Run | None = None,
) -> Run:
    """Make all steps of a task and return its run. The other arguments are those of `train`.

    run     the task's run before its first step; by default a new one with the net alone
    """
    run = run or task.start()
    return _to_the_end(task, run, first_state(run), on_progress, progress, out)


def default_model(words: Sized | Corpus, options: Iterable[str]) -> str:
    """Return the name of the model that `train` trains on words by default, with options of these names.

    It is mlp. For fewer than SHORT_LIST words it is "mixture", of an mlp and an n-gram model, unless there are options
    of a net or of its training.
    """
    n_words = len(words.words if isinstance(words, Corpus) else words)
    return "mixture" if n_words < SHORT_LIST and OF_ALL_MODELS.issuperset(options) else "mlp"


def _mixed(
    words: Iterable[str] | Corpus,
    options: dict[str, Any],
    on_progress: Callable[[Progress], None] | None,
    progress: bool | None,
) -> Run:
    """Train an mlp and an n-gram model with options that all models have, and mix them."""
    counts = count(prepare(words, "ngram", options))
    of_net = {name: value for name, value in options.items() if name not in ("weights", "labels")}  # in the corpus now
    run = mix([train(counts.corpus, "mlp", on_progress=on_progress, progress=progress, **of_net), counts])
    run.options = counts.options
    return run


def resume(
    path: str | Path, *, on_progress: Callable[[Progress], None] | None = None, progress: bool | None = None
) -> Run:
    """Continue a stopped training from its last checkpoint. With the tape the result is the same, bit for bit, as if it
    had not been stopped. on_progress and progress are as in `train`.

    Raises InputError if the folder is not a run, or its training has ended; otherwise as `train`.
    """
    folder = Path(path)
    run = load(folder)
    if isinstance(run.model.config, Mixture) and not (folder / MODEL).exists():
        run = dataclasses.replace(run, model=NGramInside.of(run.model))
    state = load_checkpoint(folder, run.model, run.options)
    run.history = [line for line in run.history if line["step"] <= state.step]
    run.model.params = state.params
    teacher = run.taught and load_teacher(folder, run.taught, len(run.model.vocab))
    return _to_the_end(of_run(run, teacher), run, state, on_progress, progress)


def count(task: Task) -> Run:
    """Count a model and return its run."""
    assert isinstance(task.config, CountConfig)
    began = time.perf_counter() - seconds_compiling()
    arrays = task.config.fit(task.corpus)
    history = [{"step": 0, "seconds": round(time.perf_counter() - seconds_compiling() - began, 4)}]
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


def _to_the_end(
    task: Task,
    run: Run,
    state: Checkpoint,
    on_progress: Callable[[Progress], None] | None,
    progress: bool | None,
    out: str | Path | None = None,
) -> Run:
    """Make the steps that are left, in a new folder if `out` names one. Only the first process saves and shows."""
    if rank():
        run.path, out, on_progress, progress = None, None, None, False
    o = run.options
    same_for_all = f"{run.model.name} {run.model.config} {o} {run.corpus.data_hash} {state.step}"
    with process_group(o.engine, o.device, same_for_all), TrainingView(run, progress) as view:
        inside = isinstance(run.model, NGramInside)
        loop = Loop(run, state, *(batches_and_engine(task, run) if inside else (task.need_steps(), engine_of(run))))
        if out is not None:
            begin_folder(run, out, CHECKPOINT, state.to_bytes(), task.teacher and task.teacher.to_bytes())
        try:
            _follow(loop, view, on_progress)
        except Diverged:
            run.model.params = state.best
            if run.path is not None:
                end_folder(run, run.path)
            raise
        except MemoryError:
            if out is not None and state.step == 0:
                discard_folder(Path(out))
            raise
    finish(run, state)
    if run.path is not None:
        end_folder(run, run.path)
    return run


def _follow(loop: Loop, view: TrainingView, on_progress: Callable[[Progress], None] | None) -> None:
    """Iterate to the end, saving a checkpoint now and then. Ctrl-C saves one and raises KeyboardInterrupt."""
    saved_at = time.monotonic()
    with interruptible() as interrupted:
        for at in loop:
            view(at)
            if on_progress is not None:
                on_progress(at)
            stopped = not all_reduce_min(not interrupted.is_set())  # processes that train together stop together
            if stopped or time.monotonic() - saved_at > CHECKPOINT_SECONDS:
                _save(loop.run, loop.state)
                saved_at = time.monotonic()
            if stopped:
                path = loop.run.path
                saved = f" and saved; continue with: moreish train --resume {shlex.quote(str(path))}" if path else ""
                raise KeyboardInterrupt(f"stopped{saved}")
    _save(loop.run, loop.state)


def _save(run: Run, state: Checkpoint) -> None:
    if run.path is not None:
        write_history(run.path, run.history)
        write_atomically(run.path / CHECKPOINT, state.to_bytes())
