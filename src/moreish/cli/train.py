"""Train a model on a list of words, and print new ones.

Prints the loss on the three parts of the list, in nats per predicted token (every character, and the end of a word),
and new words, each marked new or with the part that it stands in. Saves the run in a folder; Ctrl-C saves it too, and
--resume continues it.

torchrun trains in several processes (--engine torch): each takes its share of every batch, of which BatchNorm takes its
statistics.

Examples:
  moreish train
  moreish train dinosaurs
  moreish train names.txt --model mlp --n-hidden 300 --epochs 10 --out runs/big
"""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from ..corpus import BUNDLED, words_of
from ..engine.torch.distributed import rank
from ..errors import InputError
from ..evaluation import Evaluation
from ..files import STANDARD_INPUT
from ..training.run import Run
from ..training.train import resume as resume_training
from ..training.train import train as train_model
from .arguments import Flat, ModelArguments, TrainArguments, given_options
from .progress import TrainingView
from .terminal import announce_work, print_losses, print_samples, print_table, say
from .values import WholeNumber


def train(
    file: str | None = None,
    /,
    *,
    model: str | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    samples: WholeNumber = 10,
    model_options: Annotated[ModelArguments, Flat] = ModelArguments(),  # pyright: ignore[reportInvalidTypeForm]
    train_options: Annotated[TrainArguments, Flat] = TrainArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish train`.

    Parameters
    ----------
    file
        Word list, UTF-8, one word a line; - reads standard input; or the name of a bundled list: names, dinosaurs,
        minerals, places. Without it, the bundled names.
    model
        What to train; `moreish models` lists them [default: mlp].
    out
        Folder of the run. Without it, a new one under runs/.
    resume
        A stopped run to go on with; the tape goes on exactly as if it never had stopped.
    samples
        How many new words to print at the end.
    """
    if samples < 0:
        raise InputError(f"--samples is {samples}: it must be at least 0")
    first = rank() == 0  # of several processes one shows and prints
    if first:
        announce_work()
    began = time.perf_counter()
    with TrainingView() if first else nullcontext() as view:
        if resume is not None:
            if file or model or out or given_options(model_options) or given_options(train_options):
                raise InputError("--resume continues a run as it was begun: give it no file, no --out and no options")
            run = resume_training(resume, on_progress=view)
        else:
            words = words_of(file)
            options = {**given_options(model_options), **given_options(train_options)}
            model = model or "mlp"
            run = train_model(words, model, out=out or new_folder(file, model), on_progress=view, **options)
    if not first:
        return
    report(run, time.perf_counter() - began, samples)
    if file is None and resume is None:
        say(f"(the list was the bundled names: {BUNDLED['names']}; for yours: moreish train FILE)")


def report(run: Run, seconds: float, n_samples: int) -> None:
    """Print what came of a training."""
    o = run.options
    how = f"{o.steps:,} steps of {o.batch_size or 'all words'}" if o.steps else "counted"
    print(f"{run.model.name}: {run.model.n_parameters:,} parameters, {how}, {seconds:.1f} s")
    print_losses(Evaluation(run.loss, {}))
    if any("torch_loss" in line for line in run.history):
        print("\nthe tape beside PyTorch, each on its own copy of the weights:")
        columns = ("step", "tape_loss", "torch_loss", "gradient_difference", "weight_difference")
        rows = [[f"{line[name]:.6g}" for name in columns] for line in run.history if "torch_loss" in line]
        print_table([f">{name.replace('_', ' ')}" for name in columns], rows)
    words = run.model.sample(n_samples, seed=o.seed)
    print()
    print_samples(words, [run.corpus.mark(word) for word in words])
    print(f"\nsaved in {run.path}; more words with: moreish sample {run.path}")


def list_name(file: str | None) -> str:
    """A word list's name, for folders of what is made from it."""
    return "names" if file is None else "words" if file == STANDARD_INPUT else Path(file).stem


def new_folder(file: str | None, model: str) -> Path:
    """A folder under runs/ that is not there yet: runs/LIST-MODEL, or runs/LIST-MODEL-2, runs/LIST-MODEL-3, ..."""
    base = Path("runs") / f"{list_name(file)}-{model}"
    number, folder = 1, base
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder
