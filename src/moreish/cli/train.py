"""Train a model on a list of words, and print new ones.

With --within, it chooses what has the lowest val loss after a time on this machine, usually several models that are
mixed into one run, and prints the command that trains the same again.

Prints the loss on train, val and test, in nats per predicted token (every character, and the end of a word). Then it
prints new words, each marked "new", or with the part of the list (train, val, test) that contains it. The run is saved
in a folder. Ctrl-C or SIGTERM saves it too, and --resume continues it. The last lines name commands for what to do
next.

The list is a text with one word per line, a table, JSON or another common format, compressed or not. --column,
--weights and --labels name the columns of a table. Weights say how often each word counts. Labels are kinds of words,
such as languages: the model learns each, and the output shows how often it finds the label of a word, and words of each
label.

With torchrun and --engine torch, several processes train together. Each takes its share of every batch, and BatchNorm
computes its statistics over that share.

Examples:
  moreish train
  moreish train dinosaurs
  moreish train --within 60
  moreish train --within 1h --out runs/best
  moreish train people.csv --column name --labels country --weights count
  moreish train --model gru --n-hidden 512 --dropout 0.4 --epochs 12
  moreish train dinosaurs --from runs/names-mlp
  moreish train --model gru --epochs 12 --with-ngram runs/names-ngram
  moreish train places --model mlp --n-hidden 300 --out runs/big
  moreish train --track tensorboard --track csv:losses.csv
"""

import math
import shlex
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..analysis.classification import Classifier
from ..corpus import words_of
from ..engine.torch.distributed import rank
from ..errors import InputError
from ..evaluation import Evaluation, evaluate
from ..models import Mixture
from ..training.fit import clock
from ..training.folder import check_free
from ..training.loading import load
from ..training.recipes import RECIPES
from ..training.run import Run
from ..training.tracking import tracking
from ..training.train import SHORT_LIST, chosen, default_model
from ..training.train import resume as resume_training
from ..training.train import train as train_model
from .advice import advice
from .arguments import ModelArguments, ModelName, TrainArguments
from .fields import Flat, ListArguments, ListName, given_options
from .progress import TrainingView
from .request import Request
from .terminal import announce_work, print_losses, print_samples, print_table, print_text, say
from .values import Duration, WholeNumber, one_of

if TYPE_CHECKING:
    RecipeName = str
else:
    RecipeName = one_of(recipe.name for recipe in RECIPES)
MOSTLY = 0.5  # share of val words in train from which losses are said to mean little
LABELS_SHOWN = 10


def train(
    file: ListName | None = None,
    /,
    *,
    model: ModelName | None = None,
    within: Duration | None = None,
    recipe: RecipeName | None = None,
    members: WholeNumber | None = None,
    out: Path | None = None,
    resume: Path | None = None,
    from_run: Annotated[Path | None, Parameter(name="--from")] = None,
    with_ngram: Path | None = None,
    samples: WholeNumber = 10,
    track: Annotated[tuple[str, ...], Parameter(negative="", show_default=False)] = (),
    list_options: Annotated[ListArguments, Flat] = ListArguments(),  # pyright: ignore[reportInvalidTypeForm]
    model_options: Annotated[ModelArguments, Flat] = ModelArguments(),  # pyright: ignore[reportInvalidTypeForm]
    train_options: Annotated[TrainArguments, Flat] = TrainArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish train`.

    Parameters
    ----------
    file
        A word list: text with one word per line, CSV, JSON and others, compressed or not; - for standard input; a
        bundled list: names, dinosaurs, minerals or places; or a list of `moreish download` [default: names].
    model
        The model to train; `moreish models` lists them [default: mlp; for fewer than 1,000 words a mixture of an mlp
        and an ngram, unless you give options of a net].
    within
        Choose and train what has the lowest val loss after this time on this machine, from reading the list to the
        last loss: seconds, or a time such as 10min or 1h.
    recipe
        Train what --within has chosen by this name, with the --epochs and --members that it has printed.
    members
        Train the model with this many seeds and mix them, with equal weights. Several nets are better than one.
    out
        Folder of the run [default: a new one in runs/].
    resume
        Continue this stopped run. With the default engine the result is the same as if it had never stopped.
    from_run
        Start from the weights of this run, even of another list. It helps with lists of a few hundred words. The model
        and its options come from that run.
    with_ngram
        Train the net with the n-gram of this run inside, which has the same list: the n-gram's log-probabilities are
        added to the logits with a learnt strength. Its counts leave out each example, so that the net learns what the
        n-gram does not know. For nets over whole words, such as gru. The run is a mixture of both.
    samples
        Number of new words to print at the end.
    track
        Write losses, learning rates and sample words elsewhere too, and histograms of the weights if --diagnostics is
        given: tensorboard[:DIR] or csv[:FILE], by default in the folder of the run; trackio[:PROJECT] or
        wandb[:PROJECT]. May be repeated. With --resume the training goes on in the same file.
    """
    if samples < 0:
        raise InputError(f"--samples is {samples}: it must be at least 0")
    first = rank() == 0  # of several processes, only one prints
    if first:
        announce_work()
    began = clock()
    request = most = None
    with TrainingView() if first else nullcontext() as view:
        if resume is not None:
            options = (list_options, model_options, train_options)
            others = (file, model, within, recipe, members, out, from_run, with_ngram)
            if any(other is not None for other in others) or any(map(given_options, options)):
                raise InputError(
                    "--resume continues a run with its own list and options: use it without a file or other options"
                )
            run = resume_training(resume, on_progress=view, track=track)
        else:
            of_list = given_options(list_options)
            options = {**given_options(model_options), **given_options(train_options)}
            words = words_of(file, **of_list)
            source = load(from_run) if from_run else None
            more = {"from": from_run, "within": within, "recipe": recipe, "members": members, "with_ngram": with_ngram}
            more = {name: value for name, value in more.items() if value is not None}
            request = Request(file, model, of_list, {**options, **more})
            if within is not None or recipe is not None:
                choice = chosen(words, options, within, recipe, members, model, source, with_ngram, began)
                out = out or request.folder(choice.model)
                check_free(out)
                request = Request(file, None, of_list, {**options, **choice.options})
                say(f"moreish: {choice}; the same again: {request.command()}")
                with tracking(track, view, out) as told:
                    run, most = choice.train(out=out, on_progress=told), choice.most
            else:
                out = out or request.folder(model or (source.model.name if source else default_model(words, options)))
                of_runs = {"from_run": source, "with_ngram": with_ngram}
                shown = {"out": out, "on_progress": view, "track": track}
                run = train_model(words, model, members=members, **shown, **of_runs, **options)
    if not first:
        return
    report(run, clock() - began, samples, request, most)
    if file is None and resume is None:
        say("(trained on the bundled list of names; for your own list: moreish train FILE)")


def report(run: Run, seconds: float, n_samples: int, request: Request | None, most: int | None = None) -> None:
    """Print the results of a training run; its losses are those of `most` tokens of each part, if not of all."""
    o, config = run.options, run.model.config
    how = f"{o.steps:,} steps of {o.batch_size or 'all words'}" if o.steps else "counted"
    if isinstance(config, Mixture) and o.steps:
        how += f", with an n-gram inside (strength {run.model.weights['weights'][1]:.2f})"
    elif isinstance(config, Mixture):
        shares = zip(run.model.weights["weights"], config.parts or [], strict=True)
        how = " + ".join(f"{share:.0%} {part['model']}" for share, part in shares)
    print_text(f"{run.model.name}: {run.model.n_parameters:,} parameters, {how}, {seconds:.1f} s")
    if (
        isinstance(config, Mixture)
        and request is not None
        and not request.options.keys() & {"recipe", "members", "with_ngram"}
    ):
        print_text(
            f"(a mixture usually has the lowest loss on lists under {SHORT_LIST:,} words; for a net alone: --model mlp)"
        )
    weighted = run.corpus.words.weights is not None
    found = evaluate(run.model, run.corpus) if weighted else Evaluation(run.loss, {})
    run.loss = found.loss
    if most is None:
        run.keep_loss()  # before anything is printed to a reader who may have gone
    print_losses(found)
    if most is not None:
        say(f"(losses are those of the first {most:,} tokens of each part; of all: moreish eval {run.path})")
    if (taught := run.taught) is not None:
        of_models = (("teacher", taught.model, taught.parameters, taught.loss),)
        of_models += (("student", run.model.name, run.model.n_parameters, run.loss),)
        print()
        print_table(
            ["", "model", ">parameters", ">val", ">test"],
            [(who, kind, f"{n:,}", f"{loss['val']:.4f}", f"{loss['test']:.4f}") for who, kind, n, loss in of_models],
        )
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
        accuracy = Classifier(run).accuracy(("val", "test"))
        print_text(f"\nlabel accuracy: {', '.join(f'{part} {share:.1%}' for part, share in accuracy.items())}")
    if any("torch_loss" in line for line in run.history):
        print("\nthe tape and PyTorch, each on its own copy of the weights:")
        columns = ("step", "tape_loss", "torch_loss", "gradient_difference", "weight_difference")
        rows = [[f"{line[name]:.6g}" for name in columns] for line in run.history if "torch_loss" in line]
        print_table([f">{name.replace('_', ' ')}" for name in columns], rows)
    print()
    if run.model.labels is None:
        words = run.model.sample(n_samples, seed=o.seed)
        print_samples(words, [run.corpus.mark(word) for word in words])
    else:
        for line in shown_by_label(run, n_samples):
            print_text(line)
    more = shlex.join(["moreish", "sample", str(run.path)])
    print_text(f"\nsaved in {run.path}; more words with: {more}")  # the advice may take a moment
    advised = list(advice(run, request))  # before its heading: messages about compiling come first
    print("\nnext:")
    for reason, command in advised:
        print_text(f"  {reason}:\n    {command}" if command else f"  {reason}")


def shown_by_label(run: Run, n: int) -> Iterator[str]:
    """Yield lines of n new words in all, for up to LABELS_SHOWN labels, each with the part of the list it is in."""
    assert run.model.labels is not None
    names = run.model.labels.names[:LABELS_SHOWN]
    for number, label in enumerate(names):
        words = run.model.sample((n + number) // len(names), label=label, seed=run.options.seed)
        marks = ((word, run.corpus.mark(word)) for word in words)
        if words:
            yield f"{label}: {', '.join(word if mark == 'new' else f'{word} (in {mark})' for word, mark in marks)}"
