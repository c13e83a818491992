"""Server processes on loopback for the attacks, and raw connections to them."""

import atexit
import contextlib
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import SECONDS
from websockets.sync.client import ClientConnection, connect

HEAD = b"%s %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n"
UPGRADE = (
    b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
END_SECONDS = 30  # a process that is asked to end has ended by then: 20 that a request may take, and some


class Opened:
    """A process of `moreish serve` or `moreish lab`, its port, and the path in the address that it prints."""

    def __init__(self, *arguments: object, cwd: Path | None = None):
        line, nothing = [sys.executable, "-m", "moreish", *map(str, arguments)], subprocess.DEVNULL
        self.log = Path(tempfile.mkdtemp(prefix="said-")) / "stderr"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(line, stdin=nothing, stdout=subprocess.PIPE, stderr=log, cwd=cwd)
        atexit.register(self.process.kill)
        assert self.process.stdout is not None
        found = re.search(r"http://127\.0\.0\.1:(\d+)([\w/-]*)", self.process.stdout.readline().decode())
        assert found is not None, self.said()
        self.port, self.path = int(found[1]), found[2] or "/"
        self.address = f"http://127.0.0.1:{self.port}{self.path}"

    def said(self) -> str:
        """Return what the process has written to stderr."""
        return self.log.read_text(encoding="utf-8")

    def connected(self, receives: int = 1 << 16) -> socket.socket:
        """Open a connection whose client receives so many bytes before it reads."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
        connection.settimeout(SECONDS)
        connection.connect(("127.0.0.1", self.port))
        return connection

    def ask(self, sent: bytes) -> bytes:
        """Send bytes, and return all that comes back until the server closes the connection."""
        connection = self.connected()
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
        return until_closed(connection)

    def get(self, path: str, headers: bytes = b"", method: bytes = b"GET") -> bytes:
        """Return the response to a request without a body."""
        return self.ask(HEAD % (method, path.encode(), headers))

    def page(self, **options: Any) -> ClientConnection:
        """Open the WebSocket of a page of the lab."""
        address = f"ws://127.0.0.1:{self.port}{self.path}socket"
        return connect(address, max_size=None, open_timeout=SECONDS, **options)

    def check(self) -> None:
        """Check that another client is answered, and that the process has written nothing but its own messages."""
        assert self.get(self.path).startswith(b"HTTP/1.1 200"), "it does not answer"
        self.check_said()

    def check_said(self) -> None:
        wrong = [line for line in self.said().splitlines() if not line.startswith("moreish: ")]
        assert not wrong, wrong

    def megabytes(self) -> float:
        """Return the memory that the process has now."""
        done = subprocess.run(["ps", "-o", "rss=", "-p", str(self.process.pid)], capture_output=True, check=True)
        return int(done.stdout) / 1024

    def stop(self, number: int = signal.SIGTERM) -> float:
        """Send a signal, check that the process ends well, and return the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        assert self.process.wait(END_SECONDS) == 0
        self.check_said()
        return time.monotonic() - began


def until_closed(connection: socket.socket) -> bytes:
    """Receive everything until the connection is closed."""
    got = b""
    with connection, contextlib.suppress(ConnectionError):
        while more := connection.recv(1 << 16):
            got += more
    return got


def status_of(response: bytes) -> int:
    """Return the status of a response; 0 for a connection that was closed without one."""
    return int(response[9:12]) if response else 0
