"""How many threads compute, in all that this process does at a time, and running calls side by side.

Whoever has work for several threads borrows them, and gets as many as are free: several trainings in one process share
the cores instead of fighting for them. No result depends on how many there are.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import InputError

QUOTA = Path(
    "/sys/fs/cgroup/cpu.max"
)  # of a container, under Linux: microseconds of all cores in so many of the clock's
_lock = threading.Lock()
_limit: int | None = None
_borrowed = 0


def cores() -> int:
    """How many cores this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, QUOTA.read_text().split())
    except (OSError, ValueError):  # no such file, or "max"
        return allowed
    return max(1, min(allowed, quota // period))


def chosen() -> int | None:
    """How many threads were asked for; None if nobody did."""
    return _limit


def get_threads() -> int:
    """How many threads may compute at a time."""
    return _limit or cores()


def set_threads(n: int | None) -> None:
    """Let n threads compute at a time, in all that this process does; None: as many as there are cores to use.

    Results are the same, bit for bit. Raises InputError for less than 1.
    """
    global _limit
    if n is not None and n < 1:
        raise InputError(f"threads: 1 or more, not {n}")
    _limit = n


@contextmanager
def borrowed(wanted: int) -> Iterator[int]:
    """How many threads, up to those wanted and with one's own, may be used inside: what others use is not free."""
    global _borrowed
    with _lock:
        helpers = max(0, min(wanted, get_threads() - _borrowed) - 1)
        _borrowed += helpers
    try:
        yield 1 + helpers
    finally:
        with _lock:
            _borrowed -= helpers


def side_by_side(calls: Sequence[Callable[[], Any]]) -> list:
    """Make all calls at the same time, the first in this thread; returns their results, or raises what one raised."""
    results: list[Any] = [None] * len(calls)
    raised: list[BaseException] = []
    all_are_there, given_up = threading.Event(), threading.Event()

    def make(place: int) -> None:
        all_are_there.wait()
        if not given_up.is_set():
            try:
                results[place] = calls[place]()
            except BaseException as error:  # it is raised again in the thread that waits
                raised.append(error)

    helpers = [threading.Thread(target=make, args=(place,), daemon=True) for place in range(1, len(calls))]
    try:
        for helper in helpers:
            helper.start()
    except BaseException:  # calls that wait for each other are all made, or none is
        given_up.set()
        all_are_there.set()
        raise
    all_are_there.set()
    make(0)
    for helper in helpers:
        helper.join()
    if raised:
        raise raised[0]
    return results
