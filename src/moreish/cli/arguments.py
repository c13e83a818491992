"""Options classes as arguments of a command: names, help and defaults come from the fields themselves."""

import dataclasses
from collections.abc import Iterable
from dataclasses import field, make_dataclass
from typing import Annotated, Any

from cyclopts import Group, Parameter

from ..models import MODELS
from ..options import plain_type
from ..sampling import Constraints
from ..training.options import TrainOptions
from .values import whole_number


def _argument(f: dataclasses.Field, group: Group, default: str) -> tuple[str, Any, Any]:
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
    made.__module__ = __name__  # not "types": Cyclopts does not look into classes of the standard library
    return made


def _model_arguments() -> type:
    """One class with the options of all models; each says whose it is, and its default there."""
    group = Group("Model options", sort_key=1)
    arguments = {}
    for config in MODELS.values():
        for f in dataclasses.fields(config):  # type: ignore[arg-type]
            default = ", ".join(
                f"{other.default} ({model})"
                for model, kind in MODELS.items()
                for other in dataclasses.fields(kind)  # type: ignore[arg-type]
                if other.name == f.name
            )
            arguments.setdefault(f.name, _argument(f, group, default))
    return _arguments_class("ModelArguments", arguments.values())


BY_OPTIMIZER = {
    "weight_decay": "0.01 for adamw, 0 for sgd",
    "schedule": "linear for adamw, step for sgd",
    "warmup": "0.05 for adamw, 0 for sgd",
    "log_every": "a tenth of the run",
}


def _train_arguments() -> type:
    group = Group("Training options", sort_key=2)
    arguments = []
    for f in dataclasses.fields(TrainOptions):
        of_models = [f"{kind.defaults[f.name]} ({name})" for name, kind in MODELS.items() if f.name in kind.defaults]
        default = ", ".join(of_models) or BY_OPTIMIZER.get(f.name, "") if f.default is None else str(f.default)
        arguments.append(_argument(f, group, default))
    return _arguments_class("TrainArguments", arguments)


def constraint_arguments(*without: str) -> Any:
    """The options that say what words have to be, but for some."""
    group = Group("What words have to be", sort_key=1)
    wanted = [f for f in dataclasses.fields(Constraints) if f.name not in without]
    arguments = [_argument(f, group, "" if f.default is None else str(f.default)) for f in wanted]
    return _arguments_class("ConstraintArguments", arguments)


ModelArguments: Any = _model_arguments()
TrainArguments: Any = _train_arguments()
Flat = Parameter(name="*")  # the fields become options of the command itself


def given(arguments: Any) -> dict[str, Any]:
    """The options that were given, by name."""
    return {k: v for k, v in vars(arguments).items() if v is not None}
