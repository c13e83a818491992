"""Types of the values that commands take."""

from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter

Flag = Annotated[bool, Parameter(negative="", show_default=False)]


def whole_number(_: Any, tokens: Sequence[Any]) -> int:
    """Convert a token to a whole number; Cyclopts itself would truncate 2.5 to 2."""
    return int(tokens[0].value)


Number = Annotated[int, Parameter(name=["-n", "--number"], converter=whole_number)]  # of words
WholeNumber = Annotated[int, Parameter(converter=whole_number)]
