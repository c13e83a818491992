"""The lab under attack: its token, foreign pages, WebSockets full of noise, hostile files, and an end under load.

A real process serves the lab on loopback. Without the token nothing is reached; with it, every message and file gets an
answer or one line that says what is wrong, other pages go on, and the process writes nothing to stderr.
"""

import contextlib
import gzip
import json
import random
import signal
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from harness import files_in, is_one_line, made_up, main
from network import HEAD, UPGRADE, Opened, status_of, until_closed
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection

from moreish.lab.views import VIEWS
from moreish.models import MODELS

WORK = Path(tempfile.mkdtemp(prefix="lab-"))
SMALL: dict[str, Any] = {"n_hidden": 8, "n_embd": 4, "batch_size": 16}
running: list[Opened] = []


def opened() -> Opened:
    return Opened("lab", "words.txt", "--no-browser", cwd=WORK)


def answer(page: ClientConnection, **message: Any) -> dict[str, Any]:
    """Send a message; return the answer, or the error of one line."""
    page.send(json.dumps({"id": 7, **message}))
    while True:
        found = json.loads(page.recv(timeout=60))
        if found["kind"] in ("answer", "error") and found["id"] == 7:
            break
    if found["kind"] == "error":
        assert is_one_line(found["text"]), found
        assert "internal error" not in found["text"], (message, found)
    return found


def token(r: random.Random) -> None:
    """Addresses without the token, or with a part of it, in cookies, headers and queries too."""
    lab = running[0]
    whole = lab.path.strip("/")
    for _ in range(20):
        at = r.randrange(len(whole))
        changed = whole[:at] + r.choice("xyz") * (1 if whole[at] not in "xyz" else 2) + whole[at + 1 :]
        wrong = r.choice([whole[:at], whole + "x", changed, whole.swapcase(), "", "%00", "*", whole + "%00"])
        name = r.choice(["Cookie: token=", "Authorization: Bearer ", "X-Token: ", "Cookie: other="])
        headers = f"{name}{whole}\r\n".encode()
        name = r.choice(["", "main.js", "socket", "export", "list", f"?token={whole}"])
        response = lab.get(f"/{wrong}/{name}", headers, r.choice([b"GET", b"POST"]))
        assert status_of(response) in (400, 403, 404, 405), response[:300]
        assert whole.encode() not in response
        upgrade = b"GET /%s/socket HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n" % (wrong.encode(), UPGRADE, headers)
        assert status_of(lab.ask(upgrade)) in (403, 404), wrong


def foreign(r: random.Random) -> None:
    """The right address from pages of other origins, and by names that another has made resolve to this machine."""
    lab = running[0]
    hosts = ["evil.example", f"evil.example:{lab.port}", "127.0.0.1.evil.example", "[", "localhost@evil.example"]
    origins = ["null", "https://evil.example", f"http://127.0.0.1:{lab.port + 1}", "http://[", "file://", ""]
    for _ in range(20):
        if r.random() < 0.5:
            headers = f"Host: {r.choice(hosts)}\r\n"
        else:
            bad = r.choice([f"Origin: {r.choice(origins)}", "Sec-Fetch-Site: cross-site", "Sec-Fetch-Site: same-site"])
            headers = f"Host: 127.0.0.1:{lab.port}\r\n{bad}\r\n"
        name, upgrade = r.choice([("", b""), ("list", b""), ("export", b""), ("socket", UPGRADE), ("socket", UPGRADE)])
        end = upgrade or b"Connection: close\r\n"
        response = lab.ask(f"GET {lab.path}{name} HTTP/1.1\r\n{headers}".encode() + end + b"\r\n")
        assert status_of(response) in (400, 403), (headers, response[:300])


def paths(r: random.Random) -> None:
    """Paths that lead out of the folder of the page."""
    for _ in range(20):
        up = r.choice(["../", "..%2f", "%2e%2e/", "..\\", "%252e%252e/", "/", "%00", "file:///", "./", "", "~root/"])
        target = r.choice(["etc/passwd", "app.py", "__init__.py", "words.txt", "server.py", "main.js%00", "MAIN.JS"])
        response = running[0].get(f"{running[0].path}{up * r.randrange(1, 8)}{target}")
        assert status_of(response) in (400, 404), (up, target, response[:300])


def handshakes(r: random.Random) -> None:
    """Handshakes that are malformed or too long: the connection is closed."""
    lab = running[0]
    for _ in range(10):
        wrong = r.choice(
            [
                b"X: %s\r\n" % (b"a" * r.randrange(8_192, 60_000)),
                b"X: y\r\n" * 200,
                b"Content-Length: 5\r\n",
                b"Sec-WebSocket-Key: again\r\n",
                b"Sec-WebSocket-Version: 9\r\n",
                b"Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=99\r\n",
                b"Upgrade: h2c\r\n",
            ]
        )
        method = r.choice([b"GET", b"POST", b"PUT"])
        path = r.choice([lab.path.encode() + b"socket", b"/x/socket", b"/" + b"x" * r.randrange(9_000, 20_000)])
        connection = lab.connected()
        connection.sendall(b"%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s\r\n" % (method, path, UPGRADE, wrong))
        connection.sendall(r.randbytes(50))  # no frame of a WebSocket either
        assert status_of(until_closed(connection)) in (0, 101, 400, 403, 404, 405, 500)


def nonsense(r: random.Random, depth: int = 0) -> Any:
    """Return a random value of JSON."""
    if depth < 3 and r.random() < 0.3:
        inner = [nonsense(r, depth + 1) for _ in range(r.randrange(4))]
        return inner if r.random() < 0.5 else {r.choice(["n", "prefix", "x", "layer", ""]): each for each in inner}
    return r.choice(
        [None, True, 0, 1, -1, 3, 1e300, 10**30, 0.5, "", "a", "ab", "\x1b[31m", "é" * 50, "x" * 2000, "<b>"]
    )


def messages(r: random.Random) -> None:
    """Noise, and messages with wrong types and unknown things, from one of two pages."""
    lab = running[0]
    with lab.page() as bad, lab.page() as good:
        for _ in range(30):
            values = {r.choice(["n", "seed", "prefix", "word", "layer", "a"]): nonsense(r) for _ in range(2)}
            options = SMALL | {r.choice(["lr", "n_layer", "steps", "seed", "dropout", "x"]): nonsense(r)}
            message: dict[str, Any] = r.choice(
                [
                    {"do": "ask", "view": r.choice([*VIEWS, "weather", ""]), "values": r.choice([values, {}])},
                    {"do": "configure", "list": r.choice(["words", "no", ""]), "model": r.choice([*MODELS, "x"])}
                    | {"options": options, "play": r.random() < 0.5},
                    {"do": "describe", "list": r.choice(["words", "../words.txt", "/etc/passwd"])},
                    {"do": r.choice(["play", "pause", "step", "restart", "pace", "save", "baseline", "explode"])},
                    {"do": nonsense(r), "steps": nonsense(r)},
                ]
            )
            answer(bad, **message)
            bad.send(r.choice([r.randbytes(99), "[" * r.randrange(900_000), '{"do": "pl', '{"id": ' + "9" * 5000, ""]))
        with contextlib.suppress(ConnectionClosed):
            bad.send("x" * 1_000_001)  # it is closed
            while True:
                bad.recv(timeout=60)
        assert answer(good, do="describe", list="words")["result"]["words"]


def uploads(r: random.Random) -> None:
    """Files that are hostile, packed, too large, or broken off, under hostile names; saving stays in the folder."""
    lab, before = running[0], set(files_in(WORK))
    bombs = [gzip.compress(b"a\n" * 2_000_000), gzip.compress(b"\0" * 99_000_000), b"\x1f\x8b" + r.randbytes(999)]
    for _ in range(6):
        name = r.choice(["../../x.txt", "/etc/x", "..", "-x", "a.csv", "a.gz", "%00", "%0a%1b[31m", "x" * 300])
        data = r.choice([*bombs, r.randbytes(5000), "\n".join(made_up(r)).encode(), b'{"a": [' * 50_000, b"a,b\n" * 99])
        kind, length = r.randrange(4), len(data)
        if kind == 0:
            length = 10 ** r.randrange(8, 20)  # it is refused before it is sent
        path = f"{lab.path}list?file={name}&column={r.choice(['', '%0a', '2'])}"
        head = HEAD % (b"POST", path.encode(), b"Content-Length: %d\r\n" % length)
        if kind == 1:
            with lab.connected() as connection:
                connection.sendall(head + data[: length // 2])
            continue
        response = lab.ask(head if kind == 0 else head + data)
        if kind == 0:
            assert status_of(response) == 413, response[:300]
        else:
            found = json.loads(response.partition(b"\r\n\r\n")[2])
            assert status_of(response) in (200, 504), found
            assert "error" not in found or is_one_line(found["error"]), found
    with lab.page() as page:
        answer(page, do="configure", list=r.choice(["x", "words"]), model="bigram-counts", options={})
        answer(page, do="save")
    new = {Path(name).parts[0] for name in set(files_in(WORK)) - before}
    assert new <= {"runs"}, new


def ended(r: random.Random) -> None:
    """A signal while a training plays, pages ask, stop reading or send noise: the process ends with status 0."""
    lab, stopped = opened(), threading.Event()

    def load(seed: str) -> None:
        mine = random.Random(seed)
        with contextlib.suppress(OSError, ConnectionClosed, InvalidStatus, TimeoutError), lab.page() as page:
            while not stopped.is_set():
                page.send(
                    json.dumps({"do": "ask", "view": mine.choice([*VIEWS]), "values": {}, "live": mine.random() < 0.5})
                )
                if mine.random() < 0.8:
                    page.recv(timeout=5)
                lab.get(f"{lab.path}main.js")

    with lab.page() as page:
        answer(page, do="configure", list="words", model="mlp", options=SMALL | {"steps": 10**9}, play=True)
    stuck = lab.connected(4096)
    stuck.sendall(b"GET %ssocket HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (lab.path.encode(), UPGRADE))
    threads = [threading.Thread(target=load, args=[f"{r.random()}"]) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.2 + r.random())
    lab.stop(r.choice([signal.SIGTERM, signal.SIGINT]))
    stopped.set()
    stuck.close()
    for thread in threads:
        thread.join()


KINDS = {f.__name__: f for f in (token, foreign, paths, handshakes, messages, uploads, ended)}


def one(r: random.Random, folder: Path) -> str:
    """Make one attack, and check that the lab still answers other pages."""
    kind = r.choice(list(KINDS))
    KINDS[kind](r)
    running[0].check()
    return kind


def prepare() -> None:
    """Open a lab on a list, and compile what its first answers use."""
    (WORK / "words.txt").write_text("\n".join(made_up(random.Random(0), 200)))
    running.append(opened())
    with running[0].page() as page:
        answer(page, do="configure", list="words", model="mlp", options={}, play=False)
        answer(page, do="step")
        for view in VIEWS:
            answer(page, do="ask", view=view)


if __name__ == "__main__":
    main("lab", one, tries=200, seconds=120, prepare=prepare, megabytes=lambda: running[0].megabytes())
