"""The kinds of value that commands take."""

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def whole_number(_: Any, tokens: Sequence[Any]) -> int:
    """A whole number, and no other: Cyclopts would cut 2.5 down to 2."""
    return int(tokens[0].value)


Number = Annotated[int, Parameter(name=["-n", "--number"], converter=whole_number)]  # of words
WholeNumber = Annotated[int, Parameter(converter=whole_number)]
