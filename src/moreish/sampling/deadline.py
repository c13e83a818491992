"""A time by which work has to be done, for one who cannot wait for ever, such as a server."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline = ContextVar("deadline", default=math.inf)


@contextmanager
def done_by(deadline: float) -> Iterator[None]:
    """Let what steers words in here raise TimeoutError soon after a time of `time.monotonic`."""
    before = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(before)


def check_time() -> None:
    """Raise TimeoutError if the time is up. What may take long calls this every now and then."""
    if time.monotonic() > _deadline.get():
        raise TimeoutError("the time is up")
