"""Worker threads: they compute while the server continues to respond."""

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


class WorkerPool:
    """A pool of threads with a limit on the number of requests, waiting ones included, and on the seconds of each."""

    def __init__(self, limits: Limits):
        self.seconds = limits.seconds
        self._places = threading.BoundedSemaphore(limits.requests)
        self._pool = ThreadPoolExecutor(limits.threads, thread_name_prefix="moreish")

    async def __call__(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a thread and return its result.

        Raises HTTPException: 503 if too many requests are there already, 504 if the function takes too long. A function
        that has begun then runs until it checks its deadline (see `sampling.deadline`) or until its end, and counts as
        a request until then.
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
            message = f"the request took longer than {self.seconds:g} s: request less at a time"
            raise HTTPException(504, message) from None

    def close(self) -> None:
        """Start no more functions; those that run continue to their end."""
        self._pool.shutdown(wait=False, cancel_futures=True)
