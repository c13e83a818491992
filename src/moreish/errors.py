"""Errors, each with the exit status of the command that it ends."""

import sys
from collections.abc import Iterable
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


class MoreishError(Exception):
    """A problem that a message of one line explains: what is wrong, where, and the way out."""

    exit_status = 1


class InputError(MoreishError, ValueError):
    """A wrong request or input: a file, an option, a run folder (exit status 2).

    reason  the message without the way out, if that is given apart
    """

    exit_status = 2

    def __init__(self, reason: str, way_out: str = ""):
        super().__init__(f"{reason}: {way_out}" if way_out else reason)
        self.reason = reason


class WorkError(MoreishError, RuntimeError):
    """A failure of a correct request: a full disk, a loss that is not a number (exit status 1)."""


def unknown(what: str, name: object, known: Iterable[str]) -> InputError:
    """Return the error for an unknown name; its message suggests the nearest known name, and lists all."""
    known = list(known)
    close = get_close_matches(str(name), known, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else ""
    return InputError(f"unknown {what} {name!s}{hint} (known: {', '.join(known) or 'none'})")


def check_finite(computed: "np.ndarray") -> None:
    """Raise InputError unless all numbers that a model has computed are finite."""
    if not (abs(computed) < float("inf")).all():
        raise not_finite()


def not_finite() -> InputError:
    """Return the error for a model that computes infinities or NaN."""
    reason = "the model computes numbers that are not finite, because its weights are too large"
    return InputError(reason, "`moreish diagnose` looks for the cause in its training")


def missing(what: str, extra: str) -> InputError:
    """Return the error for packages that are not installed; `what` needs them, and they are those of an extra."""
    return InputError(f"{what}: {install_command(extra)}")


def install_command(extra: str) -> str:
    """Return the command that installs the packages of an extra beside this moreish, which may be a checkout."""
    from importlib.metadata import PackageNotFoundError, requires

    try:
        lines = [line.replace("'", '"').partition(";") for line in requires("moreish") or []]
    except PackageNotFoundError:  # the package was never installed: its folder is on the path
        lines = []
    packages = [name.strip() for name, _, when in lines if when.strip() == f'extra == "{extra}"']
    # Double quotes, because every shell knows them.
    quoted = " ".join(f'"{name}"' for name in packages or [f"moreish[{extra}]"])
    python = f'"{sys.executable}"' if " " in sys.executable else sys.executable
    return f"{python} -m pip install {quoted}"
