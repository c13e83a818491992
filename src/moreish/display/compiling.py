"""Compilations, as those who wait for them see them."""

import logging
import time
from collections.abc import Callable
from typing import NamedTuple

LONG = 2.0  # seconds: a compilation that takes longer is also mentioned at its end
log = logging.getLogger("moreish")


class Compiling(NamedTuple):
    """State of a compilation.

    what        is compiled, such as "the training loop"
    functions   names of those being compiled now
    done        functions compiled so far, of `total`
    began       when it began, by time.monotonic()
    ended       True at its end, and also if it was interrupted
    """

    what: str
    functions: tuple[str, ...]
    done: int
    total: int
    began: float
    ended: bool = False

    @property
    def seconds(self) -> float:
        """Seconds since it began."""
        return time.monotonic() - self.began

    @property
    def is_worth_a_line(self) -> bool:
        """True at the end of a compilation that took long."""
        return self.ended and self.done == self.total and self.seconds >= LONG

    def __str__(self) -> str:
        if self.ended:
            return f"compiled {self.what} in {self.seconds:.1f} s, only once on this machine"
        done = f" ({self.done + 1} of {self.total})" if self.total > 1 else ""
        names = f": {', '.join(self.functions)}" if self.functions else ""
        return f"compiling {self.what}, only once on this machine{done}{names}"


# Functions that are called at every step of a compilation, from any thread, in place of log messages.
watchers: list[Callable[[Compiling], None]] = []
_announced: set[str] = set()


def show(at: Compiling) -> None:
    """Show the state of a compilation to its watchers.

    If there are none, a message is logged when something is compiled for the first time, and at the end if that took
    long.
    """
    for watcher in watchers:
        watcher(at)
    if watchers:
        return
    if at.is_worth_a_line:
        log.info("%s", at)
    elif not at.ended and at.what not in _announced:
        log.info("compiling %s, only once on this machine", at.what)
    _announced.add(at.what)
