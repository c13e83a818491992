"""Serving: requests that are wrong, huge, odd or not HTTP at all."""

import asyncio
import contextlib
import itertools
import json
import re

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from served import JSON, connected, error_of, until_closed

from moreish.serving import Limits, make_app

DEEP = "[" * 200_000 + "]" * 200_000


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/sample", '{"n": ', 400, "the body is not valid JSON"),
        ("/sample", "", 422, "body"),
        ("/sample", "null", 422, "body"),
        ("/sample", '"a"', 422, "body"),
        ("/sample", b"\xff\xfe\x00", 400, "pars"),
        ("/sample", DEEP, 400, "pars"),
        ("/sample", '{"n": ' + "1" * 5000 + "}", 400, "pars"),
        ("/sample", '{"n": "5"}', 422, "n: "),
        ("/sample", '{"n": true}', 422, "n: "),
        ("/sample", '{"n": -1}', 422, "n: "),
        ("/sample", '{"n": 1000000000}', 422, "less than or equal to 10000"),
        ("/sample", '{"n": 10000, "max_length": 1000}', 422, "more than 1,000,000"),
        ("/sample", '{"n": 10000, "min_length": 100}', 422, "more than 1,000,000"),
        ("/sample", '{"n": 10000, "contains": "' + "a" * 100 + '"}', 422, "more than 1,000,000"),
        ("/sample", '{"max_length": 0}', 422, "max_length"),
        ("/sample", '{"max_length": 1001, "n": 1}', 422, "max_length"),
        ("/sample", '{"max_length": 2, "min_length": 3}', 422, "at least --min-length 3"),
        ("/sample", '{"lengths": "0-3"}', 422, "must be lengths from 1"),
        ("/sample", '{"lengths": "2000", "n": 1}', 422, "at most 1,000"),
        ("/sample", '{"lengths": "4,200", "n": 10000}', 422, "more than 1,000,000"),
        ("/sample", '{"lengths": {"4": 1}}', 422, "lengths"),
        ("/most-likely", '{"lengths": "4"}', 422, "lengths"),
        ("/sample", '{"edits": 0}', 422, "edits"),
        ("/sample", '{"edits": 101}', 422, "edits"),
        ("/sample", '{"top_p": 0}', 422, "top_p"),
        ("/sample", '{"tries": 200001}', 422, "tries"),
        ("/sample", '{"tries": 5, "n": 6}', 422, "tries is 5"),
        ("/sample", '{"distinct": 1}', 422, "distinct"),
        ("/sample", '{"avoid": "ab"}', 422, "avoid"),
        ("/sample", '{"avoid": ["ab", 1]}', 422, "avoid.1"),
        ("/sample", json.dumps({"avoid": ["a"] * 1001}), 422, "avoid"),
        ("/sample", '{"avoid": ["' + "a" * 1001 + '"]}', 422, "avoid.0"),
        ("/sample", '{"without": "ab"}', 422, "without"),
        ("/sample", '{"without": ["ab", 1]}', 422, "without.1"),
        ("/sample", '{"prefer": ["ab:"]}', 422, "--prefer 'ab:': what follows the last colon must be a number"),
        ("/sample", '{"prefer": {"ab": 2}}', 422, "prefer"),
        ("/sample", '{"without": [""]}', 422, "--without '': give a text"),
        ("/sample", '{"forbid": ["ab"]}', 422, "forbid"),
        ("/sample", json.dumps({"without": ["a"] * 1001}), 422, "without"),
        ("/sample", '{"on_progress": null}', 422, "on_progress"),
        ("/sample", '{"pattern": "a[b"}', 422, "place 2 is never closed"),
        ("/sample", '{"pattern": "*a????????????????????"}', 422, "more than 16,384 states"),
        ("/sample", '{"near": "' + "abcdefg" * 9 + '", "edits": 30}', 422, "more than 16,384 states"),
        ("/sample", '{"suffix": "a", "pattern": "*b"}', 422, "no word fits --suffix a and --pattern '*b'"),
        ("/sample", '{"suffix": "ax"}', 422, "'x' is not in the word list"),
        ("/sample", '{"n": 2, "max_length": 1, "distinct": true, "pattern": "a"}', 422, "1 word that fits"),
        ("/sample", '{"distinct": true, "temperature": 0, "tries": 1000}', 422, "among 64 that the model generated"),
        ("/most-likely", '{"n": 10000, "max_length": 1000}', 422, "more than 1,000,000"),
        ("/most-likely", '{"temperature": 1}', 422, "temperature"),
        ("/most-likely", '{"min_length": 5, "pattern": "????"}', 422, "no word fits"),
        ("/sample", '{"temperature": NaN}', 422, "temperature"),
        ("/sample", '{"temperature": 1e999}', 422, "temperature"),
        ("/sample", '{"seed": 99999999999999999999}', 422, "seed"),
        ("/sample", '{"top-k": 2}', 422, "top-k"),
        ("/sample", '{"\\ud800": 2}', 422, "body"),
        ("/sample", '{"prefix": "\\ud800"}', 422, "prefix"),
        ("/sample", '{"prefix": "xyz"}', 422, "'x' is not in the word list"),
        ("/sample", '{"prefix": "' + "a" * 1001 + '"}', 422, "prefix"),
        ("/score", '{"words": "ab"}', 422, "words"),
        ("/score", '{"words": []}', 422, "words"),
        ("/score", '{"words": ["a", 1]}', 422, "words.1"),
        ("/score", '{"words": ["a", ""]}', 422, "words.1"),
        ("/score", json.dumps({"words": ["a"] * 1001}), 422, "words"),
        ("/score", json.dumps({"words": [1] * 300_000}), 422, "words.0"),
        ("/score", json.dumps({"words": ["a" * 1000] * 101}), 422, "more than 100,000"),
        ("/next", '{"temperature": 0}', 422, "temperature"),
        ("/next", '{"temperature": 1001}', 422, "temperature"),
    ],
    ids=itertools.count(),
)
def test_wrong_requests_get_an_explanation(client, path, body, status, says):
    response = client.post(path, content=body, headers=JSON)
    assert response.status_code == status
    assert says in error_of(response)


ODD = st.text("abgv?*[]-^:\\日e\u0301", max_size=12)
LENGTH = st.integers(1, 12) | st.integers(990, 1001)
ASKED = {
    **dict.fromkeys(("prefix", "suffix", "contains", "pattern", "forbid", "require", "near", "like"), ODD),
    **dict.fromkeys(("min_length", "max_length"), LENGTH),
    "edits": st.integers(1, 4),
    "syllables": ODD | st.sampled_from(["0", "2", "1-3", "3-1"]),
    "without": st.lists(ODD, max_size=3),
    "n": st.integers(0, 20),
}
DRAWN = {
    "temperature": st.floats(0, 1000),
    "top_k": st.integers(0, 4),
    "top_p": st.floats(0.01, 1),
    "avoid": st.lists(ODD, max_size=3),
    **dict.fromkeys(("only_new", "distinct"), st.booleans()),
    "tries": st.integers(1, 5000),
}
BODIES = st.one_of(
    st.tuples(st.just("/sample"), st.fixed_dictionaries({}, optional={**ASKED, **DRAWN})),
    st.tuples(st.just("/most-likely"), st.fixed_dictionaries({}, optional=ASKED)),
    st.tuples(st.just("/score"), st.fixed_dictionaries({"words": st.lists(st.text(), max_size=5)})),
)


@settings(max_examples=100, deadline=None)
@given(BODIES)
def test_no_body_breaks_it(address, asked):
    path, body = asked
    answer = httpx.post(address + path, json=body, timeout=30)
    if answer.status_code != 200:
        assert answer.status_code in (422, 504), body  # 504: it takes longer than the server allows
        error_of(answer)
    elif path == "/sample":
        assert len(answer.json()["samples"]) == body.get("n", 20)


def test_constraints_that_take_too_long_are_stopped(saved_run):
    """The automaton of these takes long to make; once stopped, the request no longer counts."""
    app = make_app(saved_run, limits=Limits(seconds=0.3, threads=1, requests=1))
    body = {"near": "abcdefgabcdefgabcdefg" * 40, "edits": 50}

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            for path in ("/sample", "/most-likely"):
                assert (await client.post(path, json=body)).status_code == 504
                while (after := await client.get("/score?word=ba")).status_code == 503:
                    await asyncio.sleep(0.01)
                assert after.status_code == 200

    asyncio.run(ask())


def test_wrong_paths_methods_and_kinds(client):
    nowhere = client.get("/etc/passwd")
    assert (nowhere.status_code, "GET / lists" in error_of(nowhere)) == (404, True)
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "BREW"):
        refused = client.request(method, "/score")
        assert (refused.status_code, refused.headers["allow"]) == (405, "GET, POST")
        assert "GET, POST" in error_of(refused)
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "\xff"):
        refused = client.post("/sample", content='{"n": 1}', headers={"Content-Type": kind.encode("latin-1")})
        assert refused.status_code == 415
        assert "application/json" in error_of(refused)
    for query in ("", "?word=", "?word=a&word=", "?words=a"):
        assert client.get("/score" + query).status_code == 422
    assert client.get("/next?temperature=nan").status_code == 422


def test_bodies_that_are_too_large(client, address):
    announced = client.post("/score", content=b" " * 1_000_001, headers=JSON)
    assert (announced.status_code, "1,000,000 bytes" in error_of(announced)) == (413, True)
    chunked = client.post("/score", content=(b" " * 50_000 for _ in range(40)), headers=JSON)
    assert (chunked.status_code, "1,000,000 bytes" in error_of(chunked)) == (413, True)
    assert client.post("/score", content=b" " * 999_900 + b'{"words": ["a"]}', headers=JSON).status_code == 200
    with connected(address) as connection:  # a client that asks first is refused before it has sent anything
        head = b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        connection.sendall(head + b"Content-Length: 99999999999999999999\r\nExpect: 100-continue\r\n\r\n")
        assert connection.recv(1000).startswith(b"HTTP/1.1 413")


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 20,  # a client that speaks TLS
        bytes(range(256)) * 100,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 200_000,
        b"GET /" + b"a" * 200_000,
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /score HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + b"9" * 5000 + b"\r\n\r\n",
        b"POST /score HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: example.org\r\n\r\n",
    ],
    ids=[
        "tls",
        "bytes",
        "http2",
        "long-header",
        "long-path",
        "no-host",
        "negative-length",
        "long-length",
        "bad-chunk",
        "two-hosts",
    ],
)
def test_bytes_that_are_not_http(client, address, sent):
    connection = connected(address)
    with contextlib.suppress(ConnectionError):
        connection.sendall(sent)
    got = until_closed(connection)
    assert got == b"" or re.match(rb"HTTP/1.1 4\d\d ", got)


def test_pipelined_requests_are_answered_in_order(address):
    with connected(address) as connection:
        words = ["a", "ba", "bada", "ge"]
        for i, word in enumerate(words):
            last = b"Connection: close\r\n" if i == len(words) - 1 else b""
            connection.sendall(b"GET /score?word=%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (word.encode(), last))
        got = until_closed(connection)
    assert re.findall(rb'"word":"(\w+)"', got) == [word.encode() for word in words]
