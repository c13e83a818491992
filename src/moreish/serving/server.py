"""The server: uvicorn, with a deadline for every connection and a quiet end."""

import asyncio
import contextlib
import math
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import InputError
from ..training.run import Run
from .app import make_app
from .limits import Limits


class Connection(H11Protocol):
    """A connection of a client who may be slow: uvicorn alone would wait for ever.

    An exchange is over, or the connection is cut, 3 * limits.seconds after it began: whether the head or the body
    trickles in, or the answer is not taken. `waiting` holds all connections, the longest in their exchange first;
    when there are too many, the first whose request is not all there gives way.
    """

    def __init__(self, *args: Any, limits: Limits, waiting: "dict[Connection, None]", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.limits, self.waiting = limits, waiting
        self.deadline: asyncio.TimerHandle | None = None

    @property
    def incomplete(self) -> bool:
        """Whether there is no whole request that has yet to be answered."""
        return self.cycle is None or self.cycle.response_complete or self.cycle.more_body

    def begin(self) -> None:
        """Begin an exchange."""
        self.end()
        self.waiting[self] = None
        self.deadline = self.loop.call_later(3 * self.limits.seconds, self.transport.abort)

    def end(self) -> None:
        if self.deadline is not None:
            self.deadline.cancel()
        self.waiting.pop(self, None)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.begin()
        if len(self.waiting) > self.limits.connections:
            first = next(other for other in self.waiting if other.incomplete)
            first.end()
            first.transport.abort()

    def on_response_complete(self) -> None:
        self.begin()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self.end()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server stops: answer what has been asked, and wait for nothing else."""
        if self.incomplete:
            self.transport.close()
        else:
            super().shutdown()


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises InputError if that cannot be."""
    if not 0 <= port < 1 << 16:
        raise InputError(f"port is {port}: it must be from 0, for one that is free, to {(1 << 16) - 1}")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # The protocol has to be named: asyncio then sends an answer at once, and not 40 ms later.
        with contextlib.ExitStack() as failing:
            made = failing.enter_context(socket.socket(family, kind, socket.IPPROTO_TCP))
            if os.name == "posix":  # elsewhere this would let two servers share a port
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(1024)
            failing.pop_all()
            return made
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{host}, port {port}: cannot listen there ({why}): give another --host or --port") from None


@contextlib.contextmanager
def stopped_by_signals(server: uvicorn.Server) -> Iterator[None]:
    """Let Ctrl-C and SIGTERM stop the server and nothing else: uvicorn raises them once more when it has stopped."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: Any) -> None:
        server.should_exit = True

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def serve(
    run: Run,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    alarm: float | None = None,
    allow_origins: Iterable[str] = (),
    limits: Limits = Limits(),
    on_listening: Callable[[str], None] = print,
) -> None:
    """Serve a run over HTTP until Ctrl-C or SIGTERM; requests that are there by then are answered.

    port            0 for one that is free
    alarm           as in `make_app`
    allow_origins   web origins whose pages may ask, such as https://example.org; others may not
    on_listening    called with the address once requests are heard

    Raises InputError for a host or port that cannot be had, and as `make_app` does.
    """
    with listen(host, port) as listener:
        app = make_app(run, alarm=alarm, limits=limits, names=[host], allow_origins=allow_origins)
        waiting: dict[Connection, None] = {}
        server = uvicorn.Server(
            uvicorn.Config(
                app,
                http=partial(Connection, limits=limits, waiting=waiting),  # type: ignore[arg-type]
                ws="none",
                loop="asyncio",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=math.ceil(limits.seconds),
            )
        )
        with stopped_by_signals(server):
            name = f"[{host}]" if ":" in host else host
            on_listening(f"http://{name}:{listener.getsockname()[1]}")
            server.run([listener])
