"""Compilation of the functions of a module on their first use, which is when Numba is imported."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

Function = Callable[..., Any]
_spent = 0.0


def seconds_compiling() -> float:
    """Return the seconds for which this process has compiled so far."""
    return _spent


def add_seconds_compiling(seconds: float) -> None:
    """Add to the seconds for which this process has compiled."""
    global _spent
    _spent += seconds


def compiler(signatures: Mapping[Function, str], what: str) -> Callable[[Function], Function]:
    """Return a function that compiles one of these functions on its first use, or loads it from the cache.

    `signatures` must be SIGNATURES of the module of the functions; `layers.jit` says how a signature is written.
    """

    @cache
    def of(function: Function) -> Function:
        from .tape.compile import Job, compiled

        return compiled([Job(function, "")], what)[0]

    return of
