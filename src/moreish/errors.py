"""The errors that a user can meet, and the exit status that each one ends a command with."""

from collections.abc import Iterable
from difflib import get_close_matches


class MoreishError(Exception):
    """A problem that one clear line explains: what, where, and the way out."""

    exit_status = 1


class InputError(MoreishError, ValueError):
    """The request or its input was wrong: a file, an option, a run folder (exit status 2)."""

    exit_status = 2


class WorkError(MoreishError, RuntimeError):
    """The request was right but the work failed: a full disk, a loss that is not a number (exit status 1)."""


def unknown(what: str, name: object, known: Iterable[str]) -> InputError:
    """The error for a name that is not among those known: it names the nearest one, and all."""
    known = list(known)
    close = get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else ""
    return InputError(f"unknown {what} {name!s}{hint} (there is {', '.join(known) or 'none'})")
