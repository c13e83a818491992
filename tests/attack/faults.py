"""Faults in calls of the operating system that write: the n-th of them fails, or the process dies there."""

import builtins
import errno
import io
import os
from collections.abc import Callable
from typing import Any

CALLS = ("replace", "rename", "fsync", "mkdir", "unlink", "rmdir", "link")
ERRORS = (errno.ENOSPC, errno.EIO, errno.EACCES)
HOWS = ("dies before", "dies after", "fails")
DIED = 9  # exit status


def inject(n: int, how: str, error: int = errno.ENOSPC) -> list[int]:
    """Let the n-th call from now on fail with an error, or end the process before or after it; 0 is none.

    Opening a file for writing and each write to it are calls too; a write that fails or dies has written one half.
    Returns a list of one number, the calls so far. The faults stay for the life of the process.
    """
    made = [0]

    def is_due() -> bool:
        made[0] += 1
        return made[0] == n

    def fail(half: Callable[[], Any]) -> None:
        if how != "dies before":
            half()
        if how != "fails":
            os._exit(DIED)
        raise OSError(error, os.strerror(error))

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **named: Any) -> Any:
            if is_due():
                fail(lambda: how == "dies after" and call(*arguments, **named))
            return call(*arguments, **named)

        return wrapped

    class File(io.FileIO):
        def write(self, data: Any, /) -> int:
            if is_due():
                fail(lambda: io.FileIO.write(self, bytes(data)[: len(data) // 2]))
            return io.FileIO.write(self, data)

    def opened(file: Any, mode: str = "r", buffering: int = -1, encoding: str | None = None, *more: Any, **named: Any):
        if set(mode) & set("wxa") and "+" not in mode:
            raw = counted(File)(file, mode.replace("b", "").replace("t", ""))
            return io.BufferedWriter(raw) if "b" in mode else io.TextIOWrapper(io.BufferedWriter(raw), encoding)
        return reading(file, mode, buffering, encoding, *more, **named)

    reading = io.open
    for name in CALLS:
        setattr(os, name, counted(getattr(os, name)))
    io.open = builtins.open = opened
    return made
