"""The HTTP server under attack: clients that are hostile, slow, foreign or many, and an end under load.

A real process serves a run on loopback. Whatever a client does, no status is 5xx but 503 and 504, errors are JSON of
one line, connections end in time, the next client is answered, and the process writes nothing to stderr.
"""

import contextlib
import json
import random
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Container
from pathlib import Path

from harness import SECONDS, is_one_line, made_up, main
from network import HEAD, UPGRADE, Opened, status_of, until_closed

import moreish

EXAMPLES = 5  # of schemathesis, for each path
CONNECTIONS = 500
TIMEOUT = 1  # of the server, in seconds: it closes a connection after three times as long
SLACK = 20  # seconds more that a machine may take that is shared
SCHEMATHESIS = """
[checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", "503", "504"]
[checks.negative_data_rejection]
expected-statuses = ["4xx", "503", "504"]
"""
TARGETS = ["/", "*", "[x", "//[", "?", "#", "@x", "http://[/", "http://evil.example/"] + [
    "/%00",
    "/%ff",
    "/\\",
    "/%73core",
]
HOSTS = ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.evil.example", "1.2.3", "0x7f.1"] + [
    "evil.example#@localhost",
    "localhost@evil.example",
    "localhost..",
    "[",
    "[::1",
    "@",
    ":80",
]
ORIGINS = (
    ["null", "", "file://", "http://[", "http://127.0.0.1:1", "https://evil.example", "http://OWN.evil.example"]
    + ["https://OWN@evil.example", "http://evil.example/OWN", "http://OWN http://evil.example"]  # OWN: the host
)
WORK = Path(tempfile.mkdtemp(prefix="server-"))
running: list[Opened] = []


def opened(timeout: int = TIMEOUT) -> Opened:
    return Opened("serve", WORK / "run", "--port", 0, "--timeout", timeout, "--false-positive-rate", 0.1)


def check_refused(response: bytes, statuses: Container[int] = (*range(400, 500), 503, 504)) -> None:
    """Check that a response is a refusal of one line; a request that is no HTTP gets plain text."""
    assert status_of(response) in statuses, response
    head, _, body = response.partition(b"\r\n\r\n")
    if b"application/json" in head:
        found = json.loads(body)
        assert list(found) == ["error"], body
        assert is_one_line(found["error"]), body


def described(r: random.Random) -> None:
    """Requests that schemathesis makes from the description of the paths, within their schemas and beyond."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "attack.toml").write_text(SCHEMATHESIS)
        # Constraints that no word fits are refused, though they match the schema.
        line = f"--config-file attack.toml run {running[0].address}openapi.json --no-color --generation-database none"
        line += f" --exclude-checks positive_data_acceptance --phases coverage,fuzzing --max-examples {EXAMPLES}"
        line += f" --request-timeout {SECONDS} --seed {r.randrange(1 << 30)}"
        done = subprocess.run(
            [sys.executable, "-m", "schemathesis.cli", *line.split()], cwd=folder, capture_output=True, text=True
        )
    assert done.returncode == 0, done.stdout[:5000]


def slow(r: random.Random) -> None:
    """Clients that send too slowly or read nothing: each is closed in time."""
    head, server = b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n", running[0]
    large = json.dumps({"words": ["ab" * 50] * 500}).encode()
    pieces = {  # what is sent first, and then again and again
        "silent": (b"", b""),
        "head": (head, b""),
        "head a byte at a time": (head, b"X"),
        "body that stops": (head + b"Content-Length: 100\r\n\r\n{", b""),
        "body a byte at a time": (head + b"Content-Length: 9999\r\n\r\n", b" "),
        "chunks": (head + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        "reads nothing": (head + b"Content-Length: %d\r\n\r\n" % len(large) + large, b"X"),
    }
    clients = {server.connected(4096): r.choice(list(pieces)) for _ in range(12)}
    for connection, name in clients.items():
        connection.sendall(pieces[name][0])
        connection.setblocking(False)
    ends = time.monotonic() + 6 * TIMEOUT + SLACK  # twice the time of an exchange: a response begins another
    while clients:
        assert time.monotonic() < ends, f"still open: {[*clients.values()]}"
        assert status_of(server.get("/health")) == 200
        time.sleep(0.1)
        for connection, name in list(clients.items()):
            try:
                connection.sendall(pieces[name][1])
                gone = name != "reads nothing" and not connection.recv(1 << 16)
            except BlockingIOError:
                continue
            except OSError:
                gone = True
            if gone:
                connection.close()
                del clients[connection]


def many(r: random.Random) -> None:
    """Hundreds of connections at once, some with a part of a request: others are still answered."""
    server, clients = running[0], [socket.socket() for _ in range(CONNECTIONS)]
    for client in clients:
        client.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            client.connect(("127.0.0.1", server.port))
    for client in r.sample(clients, 100):
        with contextlib.suppress(OSError):
            client.send(b"GET /score?word=ab"[: r.randrange(20)])
    for _ in range(3):
        assert status_of(server.get("/health")) == 200
    for client in clients:
        client.close()


def raw(r: random.Random) -> None:
    """Bytes that are no request, or a strange one."""
    for _ in range(40):
        target, method = r.choice(TARGETS), r.choice([b"GET", b"DELETE", b"HEAD", b"TRACE", b"BREW", b"CONNECT"])
        sent = HEAD % (method, target.encode(), b"")
        kind = r.randrange(6)
        if kind == 0:
            sent = r.randbytes(r.randrange(2000))
        elif kind == 1:
            at = r.randrange(len(sent))
            sent = sent[:at] + r.choice([b"\0", b"\r\n", b"\n", b"\xff", b" ", b":"]) + sent[at:]
        elif kind == 2:
            sent = HEAD % (b"GET", b"/score?word=" + b"a" * r.randrange(100_000), b"")
        elif kind == 3:
            sent = HEAD % (b"GET", b"/", b"X: %s\r\n" % (b"a" * r.randrange(200_000)))
        elif kind == 4:
            sent = HEAD % (b"GET", b"/", b"X: y\r\n" * r.randrange(10_000))
        connection = running[0].connected()
        with contextlib.suppress(ConnectionError):
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)  # which ends what is no whole request
        assert status_of(until_closed(connection)) < 500, sent[:200]


def bodies(r: random.Random) -> None:
    """Bodies that are huge, deep, cut, of another kind or not UTF-8."""
    good = [b'{"n": 2}', b'{"words": ["ab"]}', b'{"prefix": "a"}']
    numbers = ["NaN", "Infinity", "-1e999", "1e-999", "9" * 5000, "null", '"\\ud800"', "[]", "{}", "1.5", "-0"]
    for _ in range(25):
        body, kind = r.choice(good), r.choice([b"application/json"] * 6 + [b"text/plain", b"", b"\xff"])
        how = r.randrange(7)
        if how == 0:
            body = r.choice([b"[", b'{"a":', b'{"n":[']) * r.randrange(300_000)
        elif how == 1:
            body = b" " * r.randrange(2_000_000) + body
        elif how == 2:
            name = r.choice(["n", "seed", "temperature", "top_p", "words", "edits", "avoid", "\\udfff", "label"])
            body = f'{{"{name}": {r.choice(numbers)}}}'.encode()
        elif how == 3:
            at = r.randrange(len(body))
            body = body[:at] + r.choice([b"\xff", b"\xed\xa0\x80", b"\0", b"", b"\xef\xbb\xbf"]) + body[at + 1 :]
        elif how == 4:
            body = body.decode().encode(r.choice(["utf-16", "utf-32", "utf-7"]))
        elif how == 5:
            value = r.choice([1, "a", None, [], "é" * 3000])
            body = json.dumps({r.choice(["words", "avoid", "without"]): value}).encode()
        path = r.choice(["/sample", "/score", "/next", "/most-likely", "/classify"]).encode()
        length = b"Content-Length: %d\r\n" % len(body)
        sent = HEAD % (b"POST", path, b"Content-Type: %s\r\n%s" % (kind, length)) + body
        response = running[0].ask(sent)
        if status_of(response) != 200:
            check_refused(response)


def foreign(r: random.Random) -> None:
    """Pages of other origins, and host names that another has made resolve to this machine."""
    server = running[0]
    own = f"127.0.0.1:{server.port}"
    for _ in range(25):
        host, origin = f"Host: {own}\r\n", ""
        if r.random() < 0.5:
            host = f"Host: {r.choice(HOSTS)}\r\n"
            origin = r.choice(["", f"Origin: http://{host[6:-2]}\r\n"])
        else:
            origin = r.choice(
                [f"Origin: {r.choice(ORIGINS).replace('OWN', own)}\r\n"] * 3 + ["Sec-Fetch-Site: cross-site\r\n"]
            )
        upgrade = UPGRADE.decode() if r.random() < 0.2 else "Connection: close\r\n"
        path = r.choice(["GET /", "GET /score?word=ab", "POST /sample", "OPTIONS /sample", "GET /openapi.json"])
        sent = f"{path} HTTP/1.1\r\n{host}{origin}{upgrade}Content-Length: 0\r\nConnection: close\r\n\r\n"
        response = server.ask(sent.encode())
        check_refused(response, (400, 403))
        assert b"access-control-allow-origin" not in response.lower()


def paths(r: random.Random) -> None:
    """Paths that lead out of what is served."""
    for _ in range(25):
        up = r.choice(["../", "..%2f", "%2e%2e/", "..\\", "%252e%252e/", "....//", "/", "%00", "file:///", "./"])
        target = r.choice(["etc/passwd", "config.json", "words.txt", "proc/self/environ", "server.py"])
        response = running[0].get(f"/{r.choice(['', 'score/', 'static/'])}{up * r.randrange(1, 8)}{target}")
        check_refused(response, (400, 404))
        assert not re.search(rb"root:|PATH=|\"model\"", response)


def ended(r: random.Random) -> None:
    """A signal under load: requests get whole responses or are closed, and the process ends with status 0."""
    server, got, stopped = opened(timeout=10), [], threading.Event()
    body = json.dumps({"words": ["ab" * 50] * 100}).encode()
    whole = HEAD % (b"POST", b"/score", b"Content-Type: application/json\r\nContent-Length: %d\r\n" % len(body)) + body

    def load() -> None:
        with contextlib.suppress(OSError):
            while not stopped.is_set():
                got.append(server.ask(whole))

    threads = [threading.Thread(target=load) for _ in range(8)]
    stuck = [server.connected() for _ in range(20)]
    for connection in stuck:
        connection.sendall(whole[: r.randrange(len(whole))])
    for thread in threads:
        thread.start()
    time.sleep(r.random() * 2)
    server.stop(r.choice([signal.SIGTERM, signal.SIGINT]))
    stopped.set()
    for thread in threads:
        thread.join()
    assert all(until_closed(connection)[:12] in (b"", b"HTTP/1.1 408") for connection in stuck)
    for response in filter(None, got):
        assert status_of(response) in (200, 503, 504), response[:200]
        json.loads(response.partition(b"\r\n\r\n")[2])  # which is whole


KINDS = {f.__name__: f for f in (described, slow, many, raw, bodies, foreign, paths, ended)}


def one(r: random.Random, folder: Path) -> str:
    """Make one attack, and check that the server still answers others."""
    kind = r.choice(list(KINDS))
    KINDS[kind](r)
    running[0].check()
    return kind


def prepare() -> None:
    """Train a run with labels, and serve it."""
    words = made_up(random.Random(0), 400)
    labels = ["long" if len(word) > 4 else "short" for word in words]
    moreish.train(words, "ngram", labels=labels, out=WORK / "run")
    running.append(opened())
    described(random.Random(0))  # which compiles what the first requests use


if __name__ == "__main__":
    main("server", one, tries=200, seconds=180, prepare=prepare, megabytes=lambda: running[0].megabytes())
