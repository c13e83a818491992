"""Types of the values that commands take."""

import re
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def whole_number(_: Any, tokens: Sequence[Any]) -> int:
    """Convert a token to a whole number; Cyclopts itself would truncate 2.5 to 2."""
    return int(tokens[0].value)


DURATION = re.compile(r"(?P<number>\d+(\.\d*)?|\.\d+) *(?P<unit>|s|sec|min|m|h)", re.ASCII)
SECONDS = {"": 1, "s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600}


def duration(_: Any, tokens: Sequence[Any]) -> float:
    """Convert a token such as 60, 10min or 1h to seconds."""
    found = DURATION.fullmatch(tokens[0].value.strip())
    if found is None:
        raise ValueError("not a time: give seconds, such as 60, or 10min or 1h")
    return float(found["number"]) * SECONDS[found["unit"]]


SIZE = re.compile(r"(?P<number>\d+(\.\d*)?|\.\d+) *(?P<unit>|b|[kmgt]i?b)", re.ASCII | re.IGNORECASE)
DECIMAL = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}
BYTES = DECIMAL | {"kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40}


def n_bytes(_: Any, tokens: Sequence[Any]) -> float:
    """Convert a token such as 500kB, 1.5MiB or 2000000 to bytes."""
    found = SIZE.fullmatch(tokens[0].value.strip())
    if found is None:
        raise ValueError("not a size: give bytes, or 500kB, or 1MB")
    return float(found["number"]) * BYTES[found["unit"].lower()]


def one_of(names: Iterable[str]) -> Any:
    """Return the type of a name that shells complete. Other names are left to the error that suggests the nearest."""
    return Annotated[Literal[*names] | str, Parameter(show_choices=False, metavar="NAME")]


Number = Annotated[int, Parameter(name=["-n", "--number"], converter=whole_number)]  # of words
WholeNumber = Annotated[int, Parameter(converter=whole_number)]
Duration = Annotated[float, Parameter(converter=duration)]
Size = Annotated[float, Parameter(converter=n_bytes)]
