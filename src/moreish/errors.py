"""The errors that a user can meet, and the exit status that each one ends a command with."""


class MoreishError(Exception):
    """A problem that one clear line explains: what, where, and the way out."""

    exit_status = 1


class InputError(MoreishError, ValueError):
    """The request or its input was wrong: a file, an option, a run folder (exit status 2)."""

    exit_status = 2


class WorkError(MoreishError, RuntimeError):
    """The request was right but the work failed: a full disk, a loss that is not a number (exit status 1)."""


def nearest(name: str, known: list[str]) -> str:
    """Return `; did you mean 'x'?` for the known name closest to `name`, or the empty string."""
    from difflib import get_close_matches

    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""
