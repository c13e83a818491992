"""Options classes as arguments of a command; names, help and defaults come from their fields."""

import dataclasses
from collections.abc import Iterable
from dataclasses import field, make_dataclass
from typing import Annotated, Any

from cyclopts import Group, Parameter

from ..corpus import ListOptions
from ..models import MODELS
from ..options import plain_type
from ..sampling import Constraints
from ..training.options import BY_OPTIMIZER, TrainOptions
from .values import whole_number


def _argument(f: dataclasses.Field[Any], group: Group, default: str) -> tuple[str, Any, Any]:
    """Return the name, type and field of an argument for an option."""
    choices = f.metadata["choices"]
    help = f.metadata["help"] + (f" [choices: {', '.join(choices)}]" if choices else "")
    parameter = Parameter(
        help=help + (f" [default: {default}]" if default else ""),
        group=group,
        show_default=False,
        negative=None if plain_type(f) is bool else "",
        converter=whole_number if plain_type(f) is int else None,
    )
    return f.name, Annotated[plain_type(f) | None, parameter], field(default=None)


def _arguments_class(name: str, arguments: Iterable[tuple[str, Any, Any]]) -> type:
    made = make_dataclass(name, arguments, frozen=True)
    made.__module__ = __name__  # Cyclopts ignores the fields of classes whose module is "types"
    return made


def _model_arguments() -> type:
    """Make one class with the options of all models; the help of an option names its models and their defaults."""
    group = Group("Model options", sort_key=1)
    arguments = {}
    for config in MODELS.values():
        for f in dataclasses.fields(config):
            default = ", ".join(
                f"{other.default} ({model})"
                for model, kind in MODELS.items()
                for other in dataclasses.fields(kind)
                if other.name == f.name
            )
            arguments.setdefault(f.name, _argument(f, group, default))
    return _arguments_class("ModelArguments", arguments.values())


def _default_by_optimizer(name: str) -> str:
    """Return the defaults of a training option that the optimizer decides, as text; empty for another option."""
    values = {optimizer: defaults[name] for optimizer, defaults in BY_OPTIMIZER.items() if name in defaults}
    return ", ".join(
        f"{format(value, 'g') if isinstance(value, float) else value} for {optimizer}"
        for optimizer, value in values.items()
    )


def _train_arguments() -> type:
    """Make a class with the training options; the help of an option names its default for each model."""
    group = Group("Training options", sort_key=2)
    arguments = []
    for f in dataclasses.fields(TrainOptions):
        by_model = [f"{kind.defaults[f.name]} ({name})" for name, kind in MODELS.items() if f.name in kind.defaults]
        if f.default is not None:
            default = str(f.default)
        elif f.name == "log_every":
            default = "a tenth of the run"
        else:
            default = ", ".join(by_model) or _default_by_optimizer(f.name)
        arguments.append(_argument(f, group, default))
    return _arguments_class("TrainArguments", arguments)


def _list_arguments() -> type:
    """Make a class with the options of reading a list."""
    group = Group("List options", sort_key=0)
    return _arguments_class("ListArguments", [_argument(f, group, "") for f in dataclasses.fields(ListOptions)])


def constraint_arguments(*excluded: str) -> Any:
    """Make a class with the constraints on words, except those that are excluded."""
    group = Group("Constraints", sort_key=1)
    included = [f for f in dataclasses.fields(Constraints) if f.name not in excluded]
    arguments = [_argument(f, group, "" if f.default is None else str(f.default)) for f in included]
    return _arguments_class("ConstraintArguments", arguments)


ModelArguments: Any = _model_arguments()
TrainArguments: Any = _train_arguments()
ListArguments: Any = _list_arguments()
Flat = Parameter(name="*")  # the fields become options of the command itself


def given_options(arguments: Any) -> dict[str, Any]:
    """Return the options that were given on the command line, by name."""
    return {k: v for k, v in vars(arguments).items() if v is not None}
