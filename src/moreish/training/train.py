"""Training: from words and options to a run."""

import dataclasses
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ..corpus import Corpus
from ..engine.optim import zero_moments
from ..engine.torch.distributed import process_group, rank
from ..errors import InputError
from ..models import CountConfig, make_config
from ..models.model import Model
from .batchnorm import calibrate
from .loop import Diverged, Loop, Progress, batches_of, given
from .options import TrainOptions
from .run import CHECKPOINT, Checkpoint, Run, begin_folder, discard_folder, end_folder, load, load_checkpoint


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

    In several processes, which torchrun has started, all train together (engine="torch"), and all return the run; the
    first one alone saves it and calls on_progress.
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
        return run if out is None or rank() else run.save(out)
    chosen = chosen.resolved(type(config).defaults, batches_of(config, corpus, chosen).n_examples)
    run = Run(Model(config, corpus.vocab, seed=chosen.seed), corpus, chosen)
    params = run.model.params
    moments = zero_moments(given(chosen.optimizer), run.model.layout.n_trained)
    state = Checkpoint(0, params, params.copy(), moments)
    return _to_the_end(run, state, on_progress, out)


def resume(path: str | Path, *, on_progress: Callable[[Progress], None] | None = None) -> Run:
    """Continue a training that was stopped, from its last checkpoint: by the tape, bit for bit as if it never had been.

    Raises InputError if the folder is no run, or its training has ended; else as `train`.
    """
    folder = Path(path)
    run = load(folder)
    checkpoint = load_checkpoint(folder, run.model, run.options)
    run.history = [line for line in run.history if line["step"] <= checkpoint.step]
    run.model.params = checkpoint.params
    return _to_the_end(run, checkpoint, on_progress)


def _to_the_end(
    run: Run, state: Checkpoint, on_progress: Callable[[Progress], None] | None, out: str | Path | None = None
) -> Run:
    """Make the steps that are left; with `out`, in a new folder. The first process alone has a folder, and shows."""
    if rank():
        run.path = out = on_progress = None
    o = run.options
    task = f"{run.model.name} {run.model.config} {o} {run.corpus.data_hash} {state.step}"
    with process_group(o.engine, o.device, task):
        training = Loop(run, state, on_progress)
        if out is not None:
            begin_folder(run, out, CHECKPOINT, state.to_bytes())
        try:
            training.go()
        except Diverged:
            run.model.params = state.best
            if run.path is not None:
                end_folder(run, run.path)
            raise
        except MemoryError:
            if out is not None and state.step == 0:
                discard_folder(Path(out))
            raise
    run.model.params = state.best if o.keep == "best" else state.params
    if o.calibrate:
        calibrate(run.model, run.corpus)
    if run.path is not None:
        end_folder(run, run.path)
    return run
