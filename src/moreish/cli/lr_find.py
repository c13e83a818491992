"""Suggest a learning rate by one sweep.

Trains from fresh weights for a few seconds while the learning rate rises from far too low to far too high. The smoothed
loss is low between two rates. The suggestion is 1.5 times the middle of this valley, on the log scale.

Examples:
  moreish lr-find names --plot lr.png
  moreish lr-find --model wavenet --optimizer sgd
"""

import shlex
from pathlib import Path
from typing import Annotated, Any, Literal

from ..corpus import words_of
from ..files import STANDARD_INPUT
from ..training.lr_finder import RULE, find_lr
from .arguments import ModelArguments, NetName, TrainArguments
from .fields import Flat, ListArguments, ListName, given_options
from .terminal import announce_work, print_json, print_text, say
from .values import Flag


def lr_find(
    file: ListName | None = None,
    /,
    *,
    model: NetName = "mlp",
    low: float | None = None,
    high: float | None = None,
    plot: Path | None = None,
    unit: Literal["nats", "bits"] = "nats",
    json: Flag = False,
    list_options: Annotated[ListArguments, Flat] = ListArguments(),  # pyright: ignore[reportInvalidTypeForm]
    model_options: Annotated[ModelArguments, Flat] = ModelArguments(),  # pyright: ignore[reportInvalidTypeForm]
    train_options: Annotated[TrainArguments, Flat] = TrainArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish lr-find`.

    Parameters
    ----------
    file
        A word list, as for train [default: names].
    model
        The model to train; `moreish models` lists them.
    low
        Lowest rate to try [default: 1e-05 for adamw, 0.01 for sgd].
    high
        Highest rate to try; the sweep ends earlier if the loss explodes [default: 10 for adamw, 1000 for sgd].
    plot
        Write a plot of loss against learning rate to this file (.png, .svg or .pdf).
    unit
        Unit of losses in the plot.
    json
        Print JSON: {"suggested": rate, "lr": [...], "loss": [...]}, the loss in nats of each step's batch.
    """
    announce_work()
    options = {**given_options(model_options), **given_options(train_options)}
    words = words_of(file, **given_options(list_options))
    found = find_lr(words, model, low=low, high=high, **options)
    if json:
        print_json(found.as_json())
    else:
        begin, end = found.valley
        print_text(f"{model}: {len(found.lr):,} steps at rates from {found.lr[0]:.2g} to {found.lr[-1]:.2g}")
        print_text(
            f"suggested --lr: {found.suggested:g} (the smoothed loss is low from {begin:.2g} to {end:.2g}; {RULE})"
        )
        options = {**given_options(list_options), **options, "lr": found.suggested}
        print_text(f"\ntrain with it: {train_command(file, model, options)}")
    if plot is not None:
        from ..plots.lr_finder import plot_lr
        from ..plots.style import save

        save(plot_lr(found, unit, title=", ".join(filter(None, (words.name, model)))), plot)
        say(f"plot saved in {plot}")


def train_command(file: str | None, model: str | None, options: dict[str, Any]) -> str:
    """Return the command line that trains a model, None for the default one, on a list with these options."""
    words = ["moreish", "train", *([] if file is None else ["-" if file == STANDARD_INPUT else file])]
    words += [] if model is None else ["--model", model]
    for name, value in options.items():
        dashed = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{dashed}" if value else f"--no-{dashed}")
        else:
            # As many digits as the same number takes.
            words += [f"--{dashed}", repr(value).removesuffix(".0") if isinstance(value, float) else str(value)]
    return shlex.join(words)
