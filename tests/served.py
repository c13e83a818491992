"""A server for tests, and helpers to send it requests."""

import contextlib
import re
import socket
import subprocess
import sys
import threading

import httpx
import uvicorn

from moreish.serving.server import listen

JSON = {"Content-Type": "application/json"}
FALSE_POSITIVE_RATE = 0.1  # the small run has enough val words for it


@contextlib.contextmanager
def started(*arguments):
    """Start a server process; yield it and its address, and stop it at the end."""
    process = subprocess.Popen([sys.executable, *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"http://([\d.]+):(\d+)", line)
        assert address is not None, line
        yield process, address[0]
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def running(app, port=0):
    """Run an ASGI application in a thread; yield its address."""
    with listen("127.0.0.1", port) as listener:
        server = uvicorn.Server(
            uvicorn.Config(app, ws="websockets-sansio", log_level="error", timeout_graceful_shutdown=5)
        )
        thread = threading.Thread(target=server.run, args=[[listener]])
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(timeout=30)


def connected(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def until_closed(connection: socket.socket) -> bytes:
    """Receive everything that the server sends until the connection is closed."""
    got = b""
    with connection, contextlib.suppress(ConnectionError):
        while more := connection.recv(1 << 16):
            got += more
    return got


def error_of(response: httpx.Response) -> str:
    """Return the message of an error response: one line, without a traceback."""
    assert list(response.json()) == ["error"]
    message = response.json()["error"]
    assert message
    assert "\n" not in message
    assert "Traceback" not in message
    return message
