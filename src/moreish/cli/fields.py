"""The fields of options classes as arguments of a command; names, help and defaults come from them."""

import dataclasses
from collections.abc import Iterable
from dataclasses import field, make_dataclass
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Group, Parameter

from ..corpus import BUNDLED, DOWNLOADS, ListOptions
from ..options import plain_type
from .values import one_of, whole_number

Flat = Parameter(name="*")  # the fields become options of the command itself
if TYPE_CHECKING:
    ListName = str
else:
    ListName = one_of({**BUNDLED, **DOWNLOADS})  # or a file


def argument(f: dataclasses.Field[Any], group: Group, default: str) -> tuple[str, Any, Any]:
    """Return the name, type and field of an argument for an option."""
    choices = f.metadata["choices"]
    text = f.metadata["help"].removesuffix(".")
    help = f"{text[0].upper()}{text[1:]}." + (f" [choices: {', '.join(choices)}]" if choices else "")
    parameter = Parameter(
        help=help + (f" [default: {default}]" if default else ""),
        group=group,
        show_default=False,
        negative=None if plain_type(f) is bool else "",
        converter=whole_number if plain_type(f) is int else None,
    )
    kind: Any = one_of(choices) if choices else plain_type(f)
    return f.name, Annotated[kind | None, parameter], field(default=None)


def arguments_class(name: str, arguments: Iterable[tuple[str, Any, Any]]) -> Any:
    """Make a class of arguments."""
    made = make_dataclass(name, arguments, frozen=True)
    made.__module__ = __name__  # Cyclopts ignores the fields of classes whose module is "types"
    return made


def given_options(arguments: Any) -> dict[str, Any]:
    """Return the options that were given on the command line, by name."""
    return {k: v for k, v in vars(arguments).items() if v is not None}


LIST_GROUP = Group("List options", sort_key=0)
ListArguments = arguments_class("ListArguments", [argument(f, LIST_GROUP, "") for f in dataclasses.fields(ListOptions)])
