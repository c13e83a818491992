"""The number of threads that compute in this process, and calls that run at the same time.

Work for several threads reserves them first, and gets only as many as are free. So training runs in one process
share the cores. The tape and counting give the same results with any number of threads.
"""

import os
import signal
import threading
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..errors import InputError

CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")  # of a container under Linux: CPU time and period, in microseconds
_lock = threading.Lock()
_limit: int | None = None
_reserved = 0


def cores() -> int:
    """The number of cores that this process may use."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = map(int, CPU_QUOTA.read_text().split())
    except (OSError, ValueError):  # no such file, or "max"
        return allowed
    return max(1, min(allowed, quota // period))


def chosen() -> int | None:
    """The number of threads that `set_threads` was given; None by default."""
    return _limit


def get_threads() -> int:
    """Return the number of threads that may compute at the same time."""
    return _limit or cores()


def set_threads(n: int | None) -> None:
    """Let up to n threads compute at the same time in this process; None means one per core.

    The results of the tape and of counting are the same, bit for bit; PyTorch's sums may differ in the last place.
    Raises InputError unless n is a whole number from 1.
    """
    global _limit
    if n is not None and (not isinstance(n, int) or n < 1):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"the number of threads is {n}: it must be a whole number, at least 1")
    _limit = n


def _after_fork() -> None:
    """Start a forked process with all threads free: those that had reserved some are not in it."""
    global _lock, _reserved
    _lock, _reserved = threading.Lock(), 0


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@contextmanager
def reserved_threads(wanted: int) -> Generator[int]:
    """Reserve up to `wanted` threads, the caller's own included; yield the number granted, at least 1."""
    global _reserved
    limit = get_threads() if wanted > 1 else 1
    with _lock:
        size = max(1, min(wanted, limit - _reserved))
        _reserved += size
    try:
        yield size
    finally:
        with _lock:
            _reserved -= size


def run_parallel(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Make all calls at the same time and wait for all of them. Returns their results, or raises the error of one.

    Calls may wait for each other: either all are made or none. After Ctrl-C, KeyboardInterrupt is raised when all calls
    have ended.
    """
    if len(calls) == 1:
        return [calls[0]()]
    results: list[Any] = [None] * len(calls)
    raised: list[BaseException] = []
    decided, cancelled = threading.Event(), threading.Event()

    def make(place: int) -> None:
        decided.wait()
        if not cancelled.is_set():
            try:
                results[place] = calls[place]()
            except BaseException as error:  # raised again in the thread that waits
                raised.append(error)

    # No call is made in this thread, as Python interrupts only the main thread, which may be this one.
    helpers = [threading.Thread(target=make, args=(place,), daemon=True) for place in range(len(calls))]
    try:
        for helper in helpers:
            helper.start()
    except BaseException:
        cancelled.set()
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


def in_order(calls: Iterable[Callable[[], Any]]) -> Generator[Any]:
    """Make calls ahead on as many threads as are free, and yield their results in order.

    A further thread iterates over the calls, which may wait for input. Results do not wait for it.
    """
    with reserved_threads(get_threads()) as n_threads:
        if n_threads == 1:
            yield from (call() for call in calls)
            return
        from concurrent.futures import Future, ThreadPoolExecutor
        from queue import Queue

        results: Queue[Future[Any] | None] = Queue(n_threads)
        ended = threading.Event()

        def make_all() -> None:
            try:
                for call in calls:
                    results.put(pool.submit(call))
                    if ended.is_set():
                        return
            except BaseException as error:  # raised again in the thread that takes the results
                failed: Future[Any] = Future()
                failed.set_exception(error)
                results.put(failed)
            results.put(None)

        pool = ThreadPoolExecutor(n_threads)
        threading.Thread(target=make_all, daemon=True).start()
        try:
            while (result := results.get()) is not None:
                yield result.result()
        finally:
            ended.set()
            pool.shutdown(wait=False, cancel_futures=True)
            while not results.empty():
                results.get()


@contextmanager
def interruptible() -> Generator[threading.Event]:
    """Turn the first Ctrl-C into an event, so that no work is left half done; a second one interrupts at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def note(*_: object) -> None:
        event.set()
        signal.signal(signal.SIGINT, before)

    before = signal.signal(signal.SIGINT, note)
    try:
        yield event
    finally:
        signal.signal(signal.SIGINT, before)
