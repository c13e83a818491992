"""Options as frozen dataclasses: the single source of names, defaults, limits and help texts."""

import dataclasses
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from .errors import InputError, unknown


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    low: float | None = None,
    high: float | None = None,
    search: tuple[float, float] | list[Any] | None = None,
) -> Any:
    """Define a field of an options class: its default, one line of help, and the values that it accepts.

    default     None if the model chooses
    low, high   bounds of a number, inclusive
    search      values that tuning tries: the ends of a range, searched on the log scale, or a list of values
    """
    meta = {"help": help, "choices": choices, "low": low, "high": high, "search": search}
    return field(default=default, metadata=meta)


@dataclass(frozen=True)
class Options:
    """Base class of options. It checks every value on construction."""

    def __post_init__(self):
        for f in dataclasses.fields(self):
            self._check(f, getattr(self, f.name))

    def _check(self, f: dataclasses.Field[Any], value: Any) -> None:
        if value is None and f.default is None:
            return
        name, meta = f.name.replace("_", "-"), f.metadata
        wanted = plain_type(f)
        if wanted == tuple[str, ...]:
            object.__setattr__(self, f.name, _texts(name, value))
        elif wanted is float and isinstance(value, int) and not isinstance(value, bool):
            object.__setattr__(self, f.name, float(value))
        elif not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
            raise InputError(f"--{name} is {value!r}: it must be {_TYPE_NAMES[wanted]}")
        if meta["choices"] and value not in meta["choices"]:
            raise unknown(f"--{name}", value, meta["choices"])
        low, high = meta["low"], meta["high"]
        if (low is not None and not value >= low) or (high is not None and not value <= high):
            limits = f"at least {_shown(low)}" if high is None else f"between {_shown(low)} and {_shown(high)}"
            raise InputError(f"--{name} is {_shown(value)}: it must be {limits}")


def _shown(number: Any) -> str:
    return f"{number:,}" if isinstance(number, int) else f"{number:,.12g}"


def _texts(name: str, values: Any) -> tuple[str, ...]:
    """Return the value of an option that is several strings."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        given = repr(values) if isinstance(values, str) else f"of type {type(values).__name__}"
        raise InputError(f"--{name} is {given}: it must be a list of strings")
    texts = tuple(values)
    for text in texts:
        if not isinstance(text, str):
            raise InputError(f"--{name} has an item of type {type(text).__name__}: it must be a list of strings")
    return texts


_TYPE_NAMES = {int: "a whole number", float: "a number", str: "a string", bool: "true or false"}


def plain_type(f: dataclasses.Field[Any]) -> type:
    """Return the type of a field, without the `| None` of an option that the model chooses."""
    if isinstance(f.type, types.UnionType):
        return next(t for t in typing.get_args(f.type) if t is not type(None))
    return f.type  # type: ignore[return-value]
