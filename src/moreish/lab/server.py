"""The server of the lab: on this machine only, with a token in its address."""

import secrets
import socket
from collections.abc import Callable

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from ..errors import InputError
from ..serving.server import listen, run_app
from .app import LIMITS, make_app
from .session import Session

HOST = "127.0.0.1"


class Socket(WebSocketsSansIOProtocol):
    """A WebSocket that is closed at once where uvicorn would wait for its client without end."""

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.handshake_initiated:  # the first data are a whole handshake, and this one is malformed
            self.transport.abort()

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()

    def shutdown(self) -> None:
        super().shutdown()
        if not self.writable.is_set():  # the page has stopped reading
            self.transport.abort()


def _listening(port: int) -> socket.socket:
    try:
        return listen(HOST, port)
    except InputError as error:
        raise InputError(str(error).replace("choose another --host or --port", "choose another --port")) from None


def serve_lab(session: Session, *, port: int = 0, on_listening: Callable[[str], None] = print) -> None:
    """Serve the pages of a session until Ctrl-C or SIGTERM.

    port            0 for any free port
    on_listening    called with the address once the server listens; without its token nothing can be reached

    Raises InputError for a port that cannot be used.
    """
    token = secrets.token_urlsafe(16)
    try:
        with _listening(port) as listener:
            app = make_app(session, token)
            told = lambda address: on_listening(f"{address}/{token}/")  # noqa: E731
            run_app(app, listener, LIMITS, HOST, told, websockets=Socket)
    finally:
        session.close()
