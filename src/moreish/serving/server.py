"""The server: uvicorn, with a deadline for every connection and a clean shutdown."""

import asyncio
import contextlib
import dataclasses
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator, Iterable
from functools import partial
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from ..errors import InputError
from ..training.run import Run
from .app import make_app
from .limits import Limits

MAX_MESSAGE = 1_000_000  # bytes of a WebSocket message
BACKLOG = 100  # connections that are accepted at once
MOST_FILES = 4 * BACKLOG + 64  # open beside `Limits.connections`: asyncio accepts more before it tells of the first


class Connection(H11Protocol):
    """A connection with a deadline, because uvicorn alone would wait for a slow client for ever.

    The connection is closed if an exchange takes longer than 3 * limits.seconds, whether the client sends its request
    too slowly or does not read the response. `opened` holds all connections, ordered by the start of their exchange. If
    there are too many, the first one without a complete request is closed; if they hold too many bytes that nobody
    reads, the first one that does.
    """

    def __init__(self, *args: Any, limits: Limits, opened: "dict[Connection, None]", **kwargs: Any):
        super().__init__(*args, **kwargs)
        self.limits, self.opened = limits, opened
        self.deadline: asyncio.TimerHandle | None = None

    @property
    def incomplete(self) -> bool:
        """True unless a complete request is waiting for its response."""
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        return cycle is None or cycle.response_complete or cycle.more_body

    def begin(self) -> None:
        """Begin an exchange, and its deadline."""
        self.end()
        self.opened[self] = None
        self.deadline = self.loop.call_later(3 * self.limits.seconds, self.transport.abort)

    def end(self) -> None:
        """End an exchange."""
        if self.deadline is not None:
            self.deadline.cancel()
        self.opened.pop(self, None)

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self.begin()
        if len(self.opened) > self.limits.connections:
            next(other for other in self.opened if other.incomplete).abort()

    def abort(self) -> None:
        """Close the connection at once."""
        self.end()
        self.transport.abort()

    def on_response_complete(self) -> None:
        self.begin()
        super().on_response_complete()
        if self.transport.get_write_buffer_size():
            unread = {other: other.transport.get_write_buffer_size() for other in self.opened}
            excess = sum(unread.values()) - self.limits.unread
            for other, size in unread.items():
                if size and excess > 0:
                    other.abort()
                    excess -= size

    def handle_websocket_upgrade(self, event: Any) -> None:
        self.end()  # a WebSocket stays open
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self.end()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Close the connection, after the response to a complete request."""
        if self.incomplete:
            self.transport.close()
        else:
            super().shutdown()


def listen(host: str, port: int) -> socket.socket:
    """Open a socket that listens. Raises InputError if the host or the port cannot be used."""
    if not 0 <= port < 1 << 16:
        raise InputError(f"port is {port}: it must be from 0 (any free port) to {(1 << 16) - 1}")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        # Naming the protocol makes asyncio send responses at once (TCP_NODELAY) instead of 40 ms later.
        with contextlib.ExitStack() as failing:
            made = failing.enter_context(socket.socket(family, kind, socket.IPPROTO_TCP))
            if os.name == "posix":  # on Windows this would let two servers share a port
                made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind(address)
            made.listen(1024)
            failing.pop_all()
            return made
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise InputError(f"{host}, port {port}: cannot listen there ({why}): choose another --host or --port") from None


def allow_files(connections: int) -> int:
    """Raise the limit of open files of this process for so many connections; return how many fit if that fails."""
    if sys.platform == "win32":
        return connections
    import resource

    wanted = connections + MOST_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return max(1, allowed - MOST_FILES)


@contextlib.contextmanager
def stopped_by_signals(server: uvicorn.Server) -> Generator[None, None, None]:
    """Make Ctrl-C and SIGTERM stop only the server: uvicorn raises them again after it has stopped."""
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
    false_positive_rate: float | None = None,
    alarm: float | None = None,
    allow_origins: Iterable[str] = (),
    limits: Limits = Limits(),
    on_listening: Callable[[str], None] = print,
) -> None:
    """Serve a run over HTTP until Ctrl-C or SIGTERM; requests received by then still get their responses.

    port                                        0 for any free port
    false_positive_rate, alarm, allow_origins   as for `make_app`
    on_listening                                called with the address once the server listens

    Raises InputError for a host or port that cannot be used, and as `make_app` does.
    """
    with listen(host, port) as listener:
        app = make_app(
            run,
            false_positive_rate=false_positive_rate,
            alarm=alarm,
            limits=limits,
            names=[host],
            allow_origins=allow_origins,
        )
        run_app(app, listener, limits, host, on_listening)


def run_app(
    app: ASGIApp,
    listener: socket.socket,
    limits: Limits,
    host: str,
    on_listening: Callable[[str], None],
    *,
    websockets: type[asyncio.Protocol] | None = None,
) -> None:
    """Run an application on a socket that listens, until Ctrl-C or SIGTERM.

    websockets      class of the connections that are WebSockets, whose messages may have 1 MB; None takes none
    """
    opened: dict[Connection, None] = {}
    limits = dataclasses.replace(limits, connections=allow_files(limits.connections))
    server = uvicorn.Server(
        uvicorn.Config(
            app,
            http=partial(Connection, limits=limits, opened=opened),  # type: ignore[arg-type]
            ws=websockets or "none",
            ws_max_size=MAX_MESSAGE,
            backlog=BACKLOG,
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
        name = {"": "localhost", "0.0.0.0": "localhost", "::": "localhost"}.get(host, host)  # that a browser opens
        name = f"[{name}]" if ":" in name else name
        on_listening(f"http://{name}:{listener.getsockname()[1]}")
        server.run([listener])
