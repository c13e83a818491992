"""Serving: clients that are slow, gone, foreign or many."""

import asyncio
import contextlib
import dataclasses
import json
import os
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from served import connected, error_of, started, until_closed

import moreish
from moreish.serving import Limits, make_app


def test_slow_clients_are_cut_and_others_served_meanwhile(saved_run):
    head = b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    large = json.dumps({"words": ["ab" * 50] * 1000}).encode()
    with started("-m", "moreish", "serve", saved_run.path, "--port", 0, "--timeout", 0.7) as (_, address):
        silent = connected(address)
        half_a_head, half_a_body, trickling_head, trickling_body = (connected(address) for _ in range(4))
        half_a_head.sendall(head)
        half_a_body.sendall(head + b"Content-Length: 100\r\n\r\n{")
        trickling_head.sendall(head)
        trickling_body.sendall(head + b"Transfer-Encoding: chunked\r\n\r\n")
        takes_nothing = socket.socket()
        takes_nothing.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        takes_nothing.connect(silent.getpeername())
        takes_nothing.sendall((head + b"Content-Length: %d\r\n\r\n" % len(large) + large) * 3)

        def trickle(connection, piece) -> bytes:
            with contextlib.suppress(ConnectionError):
                while True:
                    connection.sendall(piece)
                    time.sleep(0.1)
            return until_closed(connection)

        with ThreadPoolExecutor(8) as threads, httpx.Client(base_url=address) as client:
            slow = [threads.submit(trickle, trickling_head, b"X: y\r\n")]
            slow.append(threads.submit(trickle, trickling_body, b"1\r\n \r\n"))
            slow += [threads.submit(until_closed, each) for each in (silent, half_a_head, half_a_body)]
            served = 0
            while not all(each.done() for each in slow):
                assert client.get("/health").status_code == 200
                served += 1
                time.sleep(0.01)
            assert served > 10
            got = [each.result() for each in slow]
            assert [each for each in got if b" 2" in each[:20]] == []
            assert got[4].startswith(b"HTTP/1.1 408")  # while it still sends its body, it gets a response
            time.sleep(3)  # the deadline of the unread response began later, with the response before it
            assert until_closed(takes_nothing).count(b'"word"') < 3 * 1000  # the rest was discarded
            assert client.get("/score?word=ba").status_code == 200


def test_a_client_that_goes_away(client, address):
    body = json.dumps({"words": ["abab"] * 1000}).encode()
    head = b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    whole = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
    for sent in (whole[:50], whole[:-50], whole):
        for _ in range(5):
            with connected(address) as connection:
                connection.sendall(sent)
    assert client.get("/score?word=ab").status_code == 200


def test_many_at_once_get_what_one_gets(client):
    def ask(i: int):
        prefix = "abcdefg"[i % 7]
        if i % 3 == 0:
            return client.post("/sample", json={"n": 100 + i, "seed": i, "prefix": prefix}).json()
        if i % 3 == 1:
            return client.post("/score", json={"words": [prefix, prefix * 2, prefix * (i + 1)]}).json()
        return client.get("/next", params={"prefix": prefix}).json()

    alone = [ask(i) for i in range(50)]
    assert all("error" not in answer for answer in alone)
    with ThreadPoolExecutor(50) as threads:
        assert list(threads.map(ask, range(50))) == alone


def test_silent_connections_give_way_to_new_ones(client, address):
    silent = [connected(address) for _ in range(300)]  # more than the limit
    try:
        assert client.get("/score?word=ba").status_code == 200
        for connection in silent[:40]:
            connection.settimeout(5)
            assert until_closed(connection) == b""
        silent[-1].sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert silent[-1].recv(100).startswith(b"HTTP/1.1 200")
    finally:
        for connection in silent:
            connection.close()


LIMITED = """
import sys, resource, moreish
from moreish.serving import Limits, serve
files, unread = map(int, sys.argv[2:])
resource.setrlimit(resource.RLIMIT_NOFILE, (files, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
serve(moreish.load(sys.argv[1]), port=0, limits=Limits(unread=unread), on_listening=lambda a: print(a, flush=True))
"""
needs_limits = pytest.mark.skipif(os.name != "posix", reason="needs limits of a process")


@needs_limits
def test_a_limit_of_open_files_is_raised(saved_run):
    """Otherwise 500 connections at once would keep all others out for as long as they last."""
    with started("-c", LIMITED, saved_run.path, 128, 1_000_000) as (_, address):
        silent = [socket.socket() for _ in range(500)]
        try:
            for connection in silent:
                connection.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    connection.connect(("127.0.0.1", int(address.rsplit(":", 1)[1])))
            assert httpx.get(f"{address}/score?word=ba", timeout=20).status_code == 200
        finally:
            for connection in silent:
                connection.close()


@needs_limits
def test_responses_that_nobody_reads_are_bounded(saved_run):
    """The client that has waited longest loses its response."""
    body = json.dumps({"words": ["ab" * 50] * 1000}).encode()
    head = b"POST /score HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: application/json\r\n"
    with started("-c", LIMITED, saved_run.path, 1024, 4_500_000) as (_, address):
        clients = []
        for _ in range(8):  # with a response of 4 MB each, a part of which the system takes
            clients.append(client := socket.socket())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.connect(("127.0.0.1", int(address.rsplit(":", 1)[1])))
            client.sendall(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
            assert client.recv(12) == b"HTTP/1.1 200"
        first, *_, last = [until_closed(client) for client in clients]
        assert last.endswith(b"]}]}")
        assert not first.endswith(b"]}]}")


class Blocked(moreish.Model):
    """A model that waits for permission before it draws words."""

    def __init__(self, model: moreish.Model):
        super().__init__(model.config, model.vocab, model.params)
        self.go = threading.Event()
        self.go.set()

    def sample(self, n: int = 20, **options) -> moreish.Samples:
        assert self.go.wait(30)
        return super().sample(n, **options)


def test_work_is_bounded_in_number_and_time_and_does_not_block(saved_run):
    model = Blocked(saved_run.model)
    limits = Limits(seconds=0.5, threads=2, requests=3)
    app = make_app(dataclasses.replace(saved_run, model=model), limits=limits)

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            model.go.clear()
            asked = [asyncio.create_task(client.post("/sample", json={"n": 1})) for _ in range(4)]
            done, late = await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
            assert (await client.get("/health")).status_code == 200
            for refused in done:
                assert refused.result().status_code == 503
                assert refused.result().headers["retry-after"] == "1"
                assert "later" in error_of(refused.result())
            assert [(await each).status_code for each in late] == [504] * 3
            assert "0.5 s" in error_of(await late.pop())
            # Two continue, because nothing can stop them, and still count; the third never began.
            scored = await client.get("/score?word=ba")
            assert scored.status_code == 504
            model.go.set()
            while (again := await client.post("/sample", json={"n": 1})).status_code in (503, 504):
                await asyncio.sleep(0.01)
            assert again.status_code == 200

    asyncio.run(ask())


def test_an_internal_error_is_reported_without_details(saved_run):
    class Broken(Blocked):
        def sample(self, n: int = 20, **options) -> moreish.Samples:
            if n > 1:
                raise RuntimeError("secret")
            return super().sample(n, **options)

    app = make_app(dataclasses.replace(saved_run, model=Broken(saved_run.model)))

    async def ask():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return await client.post("/sample", json={"n": 2})

    answer = asyncio.run(ask())
    assert answer.status_code == 500
    assert "secret" not in error_of(answer)


def test_other_origins_are_refused(client, address):
    port = address.rsplit(":", 1)[1]
    own = ({}, {"Origin": address}, {"Sec-Fetch-Site": "none"}, {"Sec-Fetch-Site": "same-origin", "Origin": address})
    for headers in (*own, {"Host": f"localhost:{port}"}, {"Host": "LOCALHOST"}, {"Host": "[::1]:80"}):
        answer = client.get("/score?word=a", headers=headers)
        assert answer.status_code == 200, headers
        assert "access-control-allow-origin" not in answer.headers
    foreign = [
        {"Origin": "https://example.org"},
        {"Origin": "null"},
        {"Origin": f"http://127.0.0.1:{int(port) - 1}"},
        {"Origin": "http://["},
        {"Sec-Fetch-Site": "cross-site"},  # an image or a link: no Origin header
        {"Sec-Fetch-Site": "same-site"},  # another port of this machine
        {"Host": "example.org"},
        {"Host": f"example.org:{port}", "Origin": f"http://example.org:{port}"},  # DNS rebinding
        {"Host": "["},
        {"Host": "127.0.0.1.example.org"},
    ]
    for headers in foreign:
        for method, path in (("GET", "/score?word=a"), ("POST", "/sample"), ("OPTIONS", "/sample"), ("GET", "/")):
            refused = client.request(method, path, headers={**headers, "Content-Type": "text/plain"})
            assert refused.status_code == 403, headers
            assert "access-control-allow-origin" not in refused.headers
            error_of(refused)


def test_an_origin_that_is_allowed(saved_run):
    app = make_app(saved_run, allow_origins=["https://example.org"])
    preflight = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}

    async def ask(origin):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            headers = {"Origin": origin, "Sec-Fetch-Site": "cross-site"}
            return (
                await client.options("/sample", headers={**headers, **preflight}),
                await client.post("/sample", json={"n": 1}, headers=headers),
                await client.post("/sample", json={"n": -1}, headers=headers),
            )

    allowed = asyncio.run(ask("https://example.org"))
    assert [answer.status_code for answer in allowed] == [200, 200, 422]
    assert {answer.headers["access-control-allow-origin"] for answer in allowed} == {"https://example.org"}
    assert [answer.status_code for answer in asyncio.run(ask("https://example.com"))] == [403] * 3
    for wrong in ("*", "example.org", "https://example.org/", "https://a b", ""):
        with pytest.raises(moreish.InputError, match="not a web origin"):
            make_app(saved_run, allow_origins=[wrong])


def test_names_of_this_machine(saved_run):
    app = make_app(saved_run, names=["names.lan"])

    async def status(host):
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return (await client.get("/health", headers={"Host": host})).status_code

    for host in ("names.lan", "Names.LAN:80", "192.168.1.7:8000", "[fe80::1]", socket.gethostname()):
        assert asyncio.run(status(host)) == 200, host
    for host in ("names.example.org", "1.2.3", ":80", "@localhost.example.org", "[::1"):
        assert asyncio.run(status(host)) == 403, host
