"""Computing in threads, so that the server goes on answering meanwhile."""

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from starlette.exceptions import HTTPException

from ..sampling import done_by
from .limits import Limits

P = ParamSpec("P")
T = TypeVar("T")


class Work:
    """Runs functions in a few threads, for so many requests at a time and so many seconds each."""

    def __init__(self, limits: Limits):
        self.seconds = limits.seconds
        self._places = threading.BoundedSemaphore(limits.requests)
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="moreish")

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What the function returns. Raises HTTPException: 503 if all places are taken, 504 if it takes too long.

        One that has begun then goes on until it looks at the time (see `steering.deadline`), or to its end, and keeps
        its place until then.
        """
        deadline = time.monotonic() + self.seconds

        def run() -> T:
            with done_by(deadline):
                return function(*args, **kwargs)

        if not self._places.acquire(blocking=False):
            raise HTTPException(503, "too many requests at once: try again later", {"Retry-After": "1"})
        future = self._pool.submit(run)
        future.add_done_callback(lambda _: self._places.release())
        try:
            return await asyncio.wait_for(asyncio.wrap_future(future), self.seconds)
        except TimeoutError:
            raise HTTPException(504, f"not done in {self.seconds:g} s: ask for less at a time") from None

    def close(self) -> None:
        """Begin nothing more; what runs goes on to its end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
