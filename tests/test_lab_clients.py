"""The lab as a process: handshakes that are malformed, uploads that break off, and pages that stop reading."""

import contextlib
import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from conftest import made_up_words
from served import until_closed
from websockets.frames import Frame, Opcode
from websockets.sync.client import connect

HANDSHAKE = (
    b"Host: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@contextlib.contextmanager
def opened_lab(folder: Path):
    """A lab process; yield it, and its address with the token."""
    (folder / "words.txt").write_text("\n".join(made_up_words(100)))
    argv = [sys.executable, "-m", "moreish", "lab", "words.txt", "--no-browser"]
    process = subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        found = re.search(r"http://\S+/", process.stdout.readline())
        assert found
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()


def connected(address: str, receives: int = 1 << 16) -> socket.socket:
    """A connection whose client receives so many bytes before it reads."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receives)
    connection.settimeout(30)
    connection.connect(("127.0.0.1", urlsplit(address).port))
    return connection


def ended(process: subprocess.Popen, seconds: int = 15) -> list[str]:
    """Stop a process; return the lines on stderr that are not its own messages, such as what it has compiled."""
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=seconds)
    assert process.returncode == 0
    return [line for line in err.splitlines() if not line.startswith("moreish: ")]


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to a process")
def test_clients_that_are_wrong_or_go_away_leave_no_trace(tmp_path):
    with opened_lab(tmp_path) as (process, address):
        path = urlsplit(address).path.encode()
        for wrong in (
            b"GET /x/socket HTTP/1.1\r\n%sX: %s\r\n\r\n" % (HANDSHAKE, b"a" * 20_000),
            b"GET /x/socket HTTP/1.1\r\n%s%s\r\n" % (HANDSHAKE, b"X: y\r\n" * 300),
            b"GET /%s HTTP/1.1\r\n%s\r\n" % (b"x" * 20_000, HANDSHAKE),
            b"POST %ssocket HTTP/1.1\r\n%sContent-Length: 3\r\n\r\nabc" % (path, HANDSHAKE),
        ):
            connection = connected(address)
            connection.sendall(wrong)
            assert until_closed(connection) == b"", wrong[:30]
        with connected(address) as connection:  # an upload that breaks off
            connection.sendall(b"POST %slist HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\na" % path)
        assert ended(process) == []


@pytest.mark.skipif(sys.platform == "win32", reason="a signal cannot be sent to a process")
def test_a_page_that_stops_reading_does_not_delay_the_end(tmp_path):
    question = json.dumps({"do": "ask", "view": "words", "values": {"n": 100}}).encode()
    with opened_lab(tmp_path) as (process, address):
        path = urlsplit(address).path.encode()
        with connected(address, 4096) as stuck:
            stuck.sendall(b"GET %ssocket HTTP/1.1\r\n%s\r\n" % (path, HANDSHAKE))
            assert stuck.recv(12) == b"HTTP/1.1 101"
            stuck.settimeout(1)
            asked = Frame(Opcode.TEXT, question).serialize(mask=True) * 100
            with contextlib.suppress(TimeoutError):  # the server stops reading a page that reads no answers
                while True:
                    stuck.sendall(asked)
            with connect(address.replace("http", "ws") + "socket", max_size=None) as other:
                assert json.loads(other.recv(timeout=30))["kind"] == "controls"
            assert ended(process) == []  # not after the 20 seconds that a request may take
