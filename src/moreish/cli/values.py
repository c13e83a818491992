"""Types of the values that commands take."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def whole_number(_: Any, tokens: Sequence[Any]) -> int:
    """Convert a token to a whole number; Cyclopts itself would truncate 2.5 to 2."""
    return int(tokens[0].value)


def one_of(names: Iterable[str]) -> Any:
    """Return the type of a name that shells complete. Other names are left to the error that suggests the nearest."""
    return Annotated[Literal[*names] | str, Parameter(show_choices=False, metavar="NAME")]


Number = Annotated[int, Parameter(name=["-n", "--number"], converter=whole_number)]  # of words
WholeNumber = Annotated[int, Parameter(converter=whole_number)]
