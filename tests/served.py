"""A server under test, and how it is spoken to."""

import contextlib
import re
import socket
import subprocess
import sys

import httpx

JSON = {"Content-Type": "application/json"}
ALARM = 0.1  # what the few val words of the small run are enough for


@contextlib.contextmanager
def started(*arguments):
    """A process that serves, and its address; it is stopped at the end."""
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


def connected(address: str) -> socket.socket:
    host, port = address.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def until_closed(connection: socket.socket) -> bytes:
    """All that a server sends until it closes or cuts the connection."""
    got = b""
    with connection, contextlib.suppress(ConnectionError):
        while more := connection.recv(1 << 16):
            got += more
    return got


def error_of(response: httpx.Response) -> str:
    """What a failure says: one line, and nothing of the server's insides."""
    assert list(response.json()) == ["error"]
    said = response.json()["error"]
    assert said
    assert "\n" not in said
    assert "Traceback" not in said
    return said
