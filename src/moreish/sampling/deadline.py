"""A time limit for constrained sampling, such as a server needs."""

import math
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

_deadline = ContextVar("deadline", default=math.inf)


@contextmanager
def done_by(deadline: float) -> Generator[None]:
    """Make constrained sampling inside raise TimeoutError soon after `deadline`, a time of `time.monotonic`."""
    before = _deadline.set(deadline)
    try:
        yield
    finally:
        _deadline.reset(before)


def check_time() -> None:
    """Raise TimeoutError if the deadline has passed. Long computations call this now and then."""
    if time.monotonic() > _deadline.get():
        raise TimeoutError("the time is up")
