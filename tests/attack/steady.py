"""Many requests of all kinds, one after another: the memory of the server stays as it is.

A try is one request. The memory of the server process is read after a warm-up, at the middle and at the end; now and
then a try checks that it has not grown beyond a limit.
"""

import http.client
import json
import random
from itertools import count
from typing import Any
from urllib.parse import urlencode

import server
from harness import SECONDS, main
from network import Opened

WARM_UP = 300  # requests before memory is first read
MOST_GROWTH = 96  # megabytes: the largest requests at the same time take some, which the allocator then keeps
EVERY = 500  # tries between two checks of the memory
HTML = {"Accept": "text/html"}
numbers = count()
running: list[Opened] = []
started = [0.0]
kept: list[http.client.HTTPConnection] = []


def text(r: random.Random, most: int = 8) -> str:
    return "".join(r.choices("abcdefgé日?*[", [8] * 7 + [0.2] * 5, k=r.randint(1, most)))


def request(r: random.Random) -> tuple[str, str, Any, dict[str, str]]:
    """Return a method, a path, a body and headers."""
    if r.random() < 0.03:  # constraints take much longer than the rest
        constraints = {r.choice(["prefix", "suffix", "contains", "pattern", "near", "forbid", "gap"]): text(r, 4)}
        constraints |= {r.choice(["min_length", "max_length", "edits", "n"]): r.randint(0, 9)}
        return "POST", r.choice(["/sample", "/most-likely"]), constraints, {}
    words = [text(r) for _ in range(r.randint(1, 20))]
    return r.choice(
        [
            ("GET", "/score?" + urlencode({"word": words}, doseq=True), None, {}),
            ("GET", "/next?" + urlencode({"prefix": text(r), "label": r.choice(["long", text(r)])}), None, {}),
            ("GET", "/classify?" + urlencode({"word": words}, doseq=True), None, {}),
            ("GET", r.choice(["/", "/health", "/openapi.json", "/nowhere/" + text(r, 99).encode().hex()]), None, {}),
            ("GET", "/", None, HTML),
            ("POST", "/score", {"words": words, "label": r.choice([None, "short", "x"])}, {}),
            ("POST", "/next", {"prefix": text(r), "temperature": r.random() * 2}, {}),
            ("POST", "/sample", {"n": r.randint(0, 30), "seed": r.randrange(99), "only_new": r.random() < 0.2}, {}),
            ("POST", r.choice(["/sample", "/score"]), {text(r): words}, {}),
            ("POST", "/score", "[" * r.randrange(9999), {}),
            ("PUT", "/score", {}, {"Origin": r.choice(["null", "https://evil.example"])}),
        ]
    )


def respond(r: random.Random) -> int:
    """Make a request, on a connection that is kept or on a new one; return the status."""
    method, path, body, headers = request(r)
    if not kept or r.random() < 0.05:
        if kept:
            kept.pop().close()
        kept.append(http.client.HTTPConnection("127.0.0.1", running[0].port, timeout=SECONDS))
    data = None if body is None else body if isinstance(body, str) else json.dumps(body)
    if data is not None:
        headers = headers | {"Content-Type": "application/json"}
    try:
        kept[0].request(method, path, data, headers)
        response = kept[0].getresponse()
    except (http.client.RemoteDisconnected, ConnectionError):  # closed between two requests, after 5 idle seconds
        kept.pop().close()
        return respond(r)
    content = response.read()
    assert response.status < 500 or response.status in (503, 504), (method, path, body, content[:300])
    if "json" in response.headers["content-type"]:
        found = json.loads(content)
        assert (response.status < 400) == ("error" not in found), found
    return response.status


def one(r: random.Random, folder: object) -> str:
    """Make one request, and check the memory now and then."""
    status = respond(r)
    if next(numbers) % EVERY == EVERY - 1:
        grown = running[0].megabytes() - started[0]
        assert grown < MOST_GROWTH, f"the server has grown by {grown:.0f} MB"
        running[0].check()
    return f"status {status}"


def prepare() -> None:
    """Serve a run, and make a number of requests."""
    server.prepare()
    running.append(server.running[0])
    r = random.Random(0)
    for _ in range(WARM_UP):
        respond(r)
    started[0] = running[0].megabytes()


if __name__ == "__main__":
    main("steady", one, tries=50_000, prepare=prepare, megabytes=lambda: running[0].megabytes())
