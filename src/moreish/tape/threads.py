"""Running a compiled function by several threads side by side."""

from collections.abc import Callable
from threading import Thread
from typing import Any

import numba.core.config

from .team import make_team

config: Any = numba.core.config


def together(size: int, function: Callable, *arguments: Any) -> Any:
    """Call function(*arguments, team) by every thread of a team of `size`, side by side; returns the first's result."""
    first, *others = make_team(1 if config.DISABLE_JIT else size)
    helpers = [Thread(target=function, args=(*arguments, row), daemon=True) for row in others]
    for helper in helpers:
        helper.start()
    result = function(*arguments, first)
    for helper in helpers:
        helper.join()
    return result
