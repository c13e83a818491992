"""Options of models, training and constraints as arguments of a command."""

import dataclasses
import unicodedata
from collections.abc import Iterable
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from ..corpus import Vocab, read_words
from ..corpus.wordlist import shown
from ..models import MODELS, NETS
from ..sampling import Constraints, wishes
from ..training.options import BY_OPTIMIZER, OF_ALL_NETS, TrainOptions
from .fields import argument, arguments_class, given_options
from .terminal import say
from .values import one_of

if TYPE_CHECKING:
    ModelName = NetName = str
else:
    ModelName, NetName = one_of(MODELS), one_of(NETS)
MAX_SHOWN = 3  # texts of an option that have no effect
LABEL_HELP = "Label of the words, for a run trained with --labels [default: all, by their shares in the list]."


def _by_owner(values: Iterable[tuple[str, object]]) -> str:
    """Return values, and in brackets those that each belongs to, as in: 24 (mlp, wavenet), 1 (ngram).

    A value of all nets stands alone.
    """
    owners: dict[str, list[str]] = {}
    for owner, value in values:
        owners.setdefault(f"{value:g}" if isinstance(value, float) else str(value), []).append(owner)
    return ", ".join(value if names == [*NETS] else f"{value} ({', '.join(names)})" for value, names in owners.items())


def _model_arguments() -> type:
    """Make one class with the options of all models; the help of an option names its models and their defaults."""
    group = Group("Model options", sort_key=1)
    arguments = {}
    for config in MODELS.values():
        for f in dataclasses.fields(config):
            fields = ((name, field) for name, kind in MODELS.items() for field in dataclasses.fields(kind))
            default = _by_owner((name, field.default) for name, field in fields if field.name == f.name)
            arguments.setdefault(f.name, argument(f, group, default))
    return arguments_class("ModelArguments", arguments.values())


def _train_arguments() -> type:
    """Make a class with the training options; the help of an option names its default for each model or optimizer."""
    group = Group("Training options", sort_key=2)
    arguments = []
    for f in dataclasses.fields(TrainOptions):
        if f.default is not None:
            default = str(f.default)
        elif f.name == "log_every":
            default = "a tenth of the run"
        else:
            by_model = {name: {**OF_ALL_NETS, **kind.defaults} for name, kind in NETS.items()}
            owners = by_model if any(f.name in defaults for defaults in by_model.values()) else BY_OPTIMIZER
            default = _by_owner((name, defaults[f.name]) for name, defaults in owners.items() if f.name in defaults)
        arguments.append(argument(f, group, default))
    return arguments_class("TrainArguments", arguments)


def constraint_arguments(*excluded: str) -> Any:
    """Make a class with the constraints on words, except those that are excluded."""
    group = Group("Constraints", sort_key=1)
    included = [f for f in dataclasses.fields(Constraints) if f.name not in excluded]
    arguments = [argument(f, group, "" if f.default in (None, ()) else str(f.default)) for f in included]
    of_file = Parameter(help="File of such texts, one per line.", group=group, show_default=False)
    arguments.append(("without_file", Annotated[Path | None, of_file], field(default=None)))
    of_run = Parameter(help=LABEL_HELP, group=group, show_default=False)
    arguments.append(("label", Annotated[str | None, of_run], field(default=None)))
    return arguments_class("ConstraintArguments", arguments)


def given_constraints(arguments: Any) -> dict[str, Any]:
    """Return the constraints that were given on the command line, by name."""
    given = given_options(arguments)
    if file := given.pop("without_file", None):
        given["without"] = (*given.get("without", ()), *read_words(file, format="text"))
    forbidden = given.get("forbid", "")
    is_set = len(set(forbidden)) == len(forbidden) and (len(forbidden) < 3 or sorted(forbidden) == list(forbidden))
    if forbidden.isalpha() and not is_set:
        say(f"(--forbid {forbidden} forbids each of these characters; for the text as a whole: --without {forbidden})")
    return given


def tell_ineffective(constraints: dict[str, Any], vocab: Vocab) -> None:
    """Print a message if texts of --without or --prefer cannot occur: the model does not know their characters."""
    known = set(vocab.characters)
    preferred = wishes(constraints.get("prefer", ()))
    for name, given in (("without", constraints.get("without", ())), ("prefer", preferred)):
        texts = [text for text in given if not known.issuperset(unicodedata.normalize("NFC", text))]
        if texts:
            more = f" and {len(texts) - MAX_SHOWN:,} more" if len(texts) > MAX_SHOWN else ""
            named = ", ".join(map(shown, texts[:MAX_SHOWN])) + more
            say(f"(--{name} has no effect for {named}: the model does not know all their characters)")


ModelArguments: Any = _model_arguments()
TrainArguments: Any = _train_arguments()
