"""Train a model on a list of words, and print new ones.

Prints the loss on train, val and test, in nats per predicted token (every character, and the end of a word). Then it
prints new words, each marked "new", or with the part of the list (train, val, test) that contains it. The run is saved
in a folder. Ctrl-C saves it too, and --resume continues it.

The list is a text with one word per line, a table, JSON or another common format, packed or not. --column, --weights
and --labels name the columns of a table. Weights say how often each word counts. Labels are kinds of words, such as
languages: the model learns each, and the output shows how often it finds the label of a word, and words of each label.

With torchrun and --engine torch, several processes train together. Each takes its share of every batch, and BatchNorm
computes its statistics over that share.

Examples:
  moreish train
  moreish train dinosaurs
  moreish train people.csv --column name --labels country --weights count
  moreish train dinosaurs --from runs/names-mlp
  moreish train names.txt --model mlp --n-hidden 300 --epochs 10 --out runs/big
"""

import math
import shlex
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..analysis.classification import Classifier
from ..analysis.comparison import SCORED_PARTS, baseline
from ..corpus import BUNDLED, words_of
from ..engine.tape.compile import seconds_compiling
from ..engine.torch.distributed import rank
from ..errors import InputError
from ..evaluation import Evaluation, evaluate
from ..files import STANDARD_INPUT
from ..training.run import Run, load
from ..training.train import resume as resume_training
from ..training.train import train as train_model
from .arguments import ModelArguments, TrainArguments
from .fields import Flat, ListArguments, given_options
from .progress import TrainingView
from .terminal import announce_work, print_losses, print_samples, print_table, say
from .values import WholeNumber

MOSTLY = 0.5  # share of val words in train from which losses are said to mean little
LABELS_SHOWN = 10
SHORT_LIST = 2000  # words; a net trained on fewer is compared with the n-gram model


def train(
    file: str | None = None,
    /,
    *,
    model: str | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    from_run: Annotated[Path | None, Parameter(name="--from")] = None,
    samples: WholeNumber = 10,
    list_options: Annotated[ListArguments, Flat] = ListArguments(),  # pyright: ignore[reportInvalidTypeForm]
    model_options: Annotated[ModelArguments, Flat] = ModelArguments(),  # pyright: ignore[reportInvalidTypeForm]
    train_options: Annotated[TrainArguments, Flat] = TrainArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish train`.

    Parameters
    ----------
    file
        A word list: text with one word per line, CSV, JSON and others, packed or not; - for standard input; or a
        bundled list: names, dinosaurs, minerals or places [default: names].
    model
        The model to train; `moreish models` lists them [default: mlp].
    out
        Folder of the run [default: a new one in runs/].
    resume
        Continue this stopped run. With the default engine the result is the same as if it had never stopped.
    from_run
        Start with the weights of this run of a net, whose list may be of another kind: that helps with a list of some
        hundreds of words. The model and its options are the run's.
    samples
        Number of new words to print at the end.
    """
    if samples < 0:
        raise InputError(f"--samples is {samples}: it must be at least 0")
    first = rank() == 0  # of several processes, only one prints
    if first:
        announce_work()
    began = time.perf_counter() - seconds_compiling()
    with TrainingView() if first else nullcontext() as view:
        if resume is not None:
            options = (list_options, model_options, train_options)
            if file or model or out or from_run or any(map(given_options, options)):
                raise InputError(
                    "--resume continues a run with its own list and options: use it without a file or other options"
                )
            run = resume_training(resume, on_progress=view)
        else:
            words = words_of(file, **given_options(list_options))
            options = {**given_options(model_options), **given_options(train_options)}
            source = load(from_run) if from_run else None
            out = out or new_folder(file, model or (source.model.name if source else "mlp"))
            run = train_model(words, model, from_run=source, out=out, on_progress=view, **options)
    if not first:
        return
    report(run, time.perf_counter() - seconds_compiling() - began, samples, file)
    if file is None and resume is None:
        say(f"(trained on the bundled names, {BUNDLED['names']}; for your own list: moreish train FILE)")


def report(run: Run, seconds: float, n_samples: int, file: str | None) -> None:
    """Print the results of a training run."""
    o = run.options
    how = f"{o.steps:,} steps of {o.batch_size or 'all words'}" if o.steps else "counted"
    print(f"{run.model.name}: {run.model.n_parameters:,} parameters, {how}, {seconds:.1f} s")
    weighted = run.corpus.words.weights is not None
    print_losses(evaluate(run.model, run.corpus) if weighted else Evaluation(run.loss, {}))
    if (share := run.corpus.stand_in_train("val").mean()) > MOSTLY:
        say(
            f"({share:.0%} of the val words are in train too, so these losses say little about new words: split by "
            "different words with --split distinct, or give each word once, with its count as a weight: --weights)"
        )
    if weighted and run.loss["val"] > math.log(len(run.corpus.vocab)):
        say(
            "(val is worse than characters drawn at random: a few words have almost all of the weight, and the model "
            "learns these alone; try --weight-power 0.5, or 0 for none)"
        )
    if run.model.labels is not None:
        found = Classifier(run).accuracy(("val", "test"))
        print(f"\nlabels found: {', '.join(f'{share:.1%} of {part}' for part, share in found.items())}")
    if any("torch_loss" in line for line in run.history):
        print("\nthe tape and PyTorch, each on its own copy of the weights:")
        columns = ("step", "tape_loss", "torch_loss", "gradient_difference", "weight_difference")
        rows = [[f"{line[name]:.6g}" for name in columns] for line in run.history if "torch_loss" in line]
        print_table([f">{name.replace('_', ' ')}" for name in columns], rows)
    if len(run.corpus.words) < SHORT_LIST and run.model.layers and (advice := beside_counts(run, file)):
        print(f"\n{advice}")
    print()
    if run.model.labels is None:
        words = run.model.sample(n_samples, seed=o.seed)
        print_samples(words, [run.corpus.mark(word) for word in words])
    else:
        for line in shown_by_label(run, n_samples):
            print(line)
    print(f"\nsaved in {run.path}; more words with: {shlex.join(['moreish', 'sample', str(run.path)])}")


def beside_counts(run: Run, file: str | None) -> str:
    """Compare with the n-gram model if its losses on val and test are both lower; empty otherwise."""
    counts = baseline(run.corpus).loss
    if not all(counts[part] < run.loss[part] for part in SCORED_PARTS):
        return ""
    of_counts, own = (", ".join(f"{part} {loss[part]:.2f}" for part in SCORED_PARTS) for loss in (counts, run.loss))
    command = shlex.join(["moreish", "train", file or "names", "--model", "ngram"])
    return f"the n-gram model suits this short list better: {of_counts}, against {own} here (try {command})"


def shown_by_label(run: Run, n: int) -> Iterator[str]:
    """Yield lines of n new words in all, for up to LABELS_SHOWN labels, each with the part of the list it is in."""
    assert run.model.labels is not None
    names = run.model.labels.names[:LABELS_SHOWN]
    for number, label in enumerate(names):
        words = run.model.sample((n + number) // len(names), label=label, seed=run.options.seed)
        marks = ((word, run.corpus.mark(word)) for word in words)
        if words:
            yield f"{label}: {', '.join(word if mark == 'new' else f'{word} (in {mark})' for word, mark in marks)}"


def list_name(file: str | None) -> str:
    """Return the name of a word list, for the folders of its runs."""
    return "names" if file is None else "words" if file == STANDARD_INPUT else Path(file).stem


def new_folder(file: str | None, model: str) -> Path:
    """Return a folder in runs/ that does not exist yet: runs/LIST-MODEL, runs/LIST-MODEL-2, runs/LIST-MODEL-3, ..."""
    base = Path("runs") / f"{list_name(file)}-{model}"
    number, folder = 1, base
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder
