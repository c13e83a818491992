"""How many threads compute, in all that this process does at a time, and running calls side by side.

Whoever has work for several threads borrows them, and gets as many as are free: several trainings in one process share
the cores instead of fighting for them. No result of the tape or of counting depends on how many there are.
"""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import InputError

# Of a container under Linux: how long it may compute in so much of the clock's time.
QUOTA = Path("/sys/fs/cgroup/cpu.max")
_lock = threading.Lock()
_limit: int | None = None
_at_work = 0


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

    The tape and the counts give the same results, bit for bit; PyTorch's sums may differ in the last place. Raises
    InputError for what is no whole number, or less than 1.
    """
    global _limit
    if n is not None and (not isinstance(n, int) or n < 1):
        raise InputError(f"threads: a whole number from 1 on, not {n}")
    _limit = n


@contextmanager
def reserved_threads(wanted: int) -> Iterator[int]:
    """How many threads, with one's own and up to those wanted, may compute inside: what others use is not free."""
    global _at_work
    limit = get_threads() if wanted > 1 else 1
    with _lock:
        size = max(1, min(wanted, limit - _at_work))
        _at_work += size
    try:
        yield size
    finally:
        with _lock:
            _at_work -= size


def run_parallel(calls: Sequence[Callable[[], Any]]) -> list:
    """Make all calls at the same time, and wait for all of them; returns their results, or raises what one raised.

    Calls may wait for each other: all of them are made, or none is. Ctrl-C waits for them, too.
    """
    if len(calls) == 1:
        return [calls[0]()]
    results: list[Any] = [None] * len(calls)
    raised: list[BaseException] = []
    decided, given_up = threading.Event(), threading.Event()

    def make(place: int) -> None:
        decided.wait()
        if not given_up.is_set():
            try:
                results[place] = calls[place]()
            except BaseException as error:  # raised again in the thread that waits
                raised.append(error)

    # None is made in this thread: Python interrupts the main thread alone, which may be this one.
    helpers = [threading.Thread(target=make, args=(place,), daemon=True) for place in range(len(calls))]
    try:
        for helper in helpers:
            helper.start()
    except BaseException:
        given_up.set()
        decided.set()
        raise
    decided.set()
    for helper in helpers:
        while helper.is_alive():
            try:
                helper.join()
            except KeyboardInterrupt as stop:
                raised.append(stop)
    if raised:
        raise raised[0]
    return results
