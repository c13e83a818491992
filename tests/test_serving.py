"""Serving: the answers, and what a client who is wrong, huge, slow, gone, foreign or one of many can do to them."""

import asyncio
import contextlib
import dataclasses
import inspect
import itertools
import json
import math
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from conftest import made_up_words
from hypothesis import given, settings
from hypothesis import strategies as st

import moreish
from moreish.cli import run as command
from moreish.serving import Limits, make_app
from moreish.serving.doors import OwnOrigin
from moreish.steering import Constraints

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


@pytest.fixture(scope="module")
def address(saved_run):
    with started("-m", "moreish", "serve", saved_run.path, "--port", 0, "--alarm", ALARM) as (process, address):
        yield address
        if os.name == "posix":
            process.send_signal(signal.SIGINT)  # the way to stop it: no failure
            assert process.wait(timeout=10) == 0


@pytest.fixture
def client(address):
    """A client of the server; after each test the server must be as well as before."""
    with httpx.Client(base_url=address, timeout=30) as client:
        yield client
        assert client.get("/health").json() == {"status": "ok"}


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


# The answers


def test_it_says_what_there_is(client, saved_run):
    index = client.get("/").json()
    assert [index[key] for key in ("name", "model", "words", "alarm")] == ["small", "mlp", 400, ALARM]
    described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert set(index["paths"]) - {"/openapi.json"} == set(described["paths"]) - {"/"}
    for path, methods in described["paths"].items():
        assert index["paths"].get(path, "GET").startswith(", ".join(sorted(methods)).upper())
        for operation in methods.values():
            assert operation["summary"]
            assert set(operation["responses"]) == {"200", "4XX", "503", "504"}
    references = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described))
    assert set(references) == set(described["components"]["schemas"])
    sizes = described["components"]["schemas"]
    assert sizes["SampleRequest"]["properties"]["n"]["maximum"] == 10_000
    assert sizes["ScoreRequest"]["properties"]["words"]["maxItems"] == 1_000


def test_a_request_for_samples_has_the_arguments_of_the_method(client):
    described = client.get("/openapi.json").json()["components"]["schemas"]
    arguments = inspect.signature(moreish.Model.sample).parameters
    fields = described["SampleRequest"]["properties"]
    assert set(fields) == set(arguments) - {"self", "on_progress"} | {"only_new"}
    for name in set(fields) - {"seed", "only_new"}:
        default = arguments[name].default
        assert fields[name].get("default") == ([] if default == () else default)
    constraints = {field.name for field in dataclasses.fields(Constraints)}
    assert set(described["LikeliestRequest"]["properties"]) == constraints | {"n"}
    for request in ("SampleRequest", "LikeliestRequest"):
        assert all(described[request]["properties"][name]["description"] for name in constraints)


def test_samples_are_the_models(client, saved_run):
    own = {"n": 30, "seed": 7, "temperature": 0.8, "top_k": 5, "top_p": 0.95}
    for asked in (
        {},
        {"prefix": "ba"},
        {"prefix": "ba", "max_length": 4},
        {"suffix": "a", "contains": "d", "min_length": 3, "max_length": 6, "forbid": "g", "require": "b"},
        {"pattern": "[bc]*?e", "distinct": True, "avoid": ["bae", "cade"], "tries": 5000},
        {"near": "bada", "edits": 2, "n": 5},
    ):
        answer = client.post("/sample", json={**own, **asked}).json()
        words = saved_run.model.sample(**{**own, **asked})
        assert answer == {
            "seed": 7,
            "samples": [{"word": word, "seen": saved_run.corpus.mark(word)} for word in words],
            "method": words.method,
            "share": words.share,
            "head": words.head,
            "tried": words.tried,
        }
    new = client.post("/sample", json={**own, "only_new": True, "avoid": ["gaga"]}).json()["samples"]
    expected = saved_run.model.sample(**own, avoid=[*saved_run.corpus.words, "gaga"])
    assert new == [{"word": word, "seen": "new"} for word in expected]
    one, other = (client.post("/sample", json={"n": 50}).json() for _ in range(2))
    assert one["samples"] != other["samples"]  # a seed of its own each time, which brings them back
    assert client.post("/sample", json={"n": 50, "seed": one["seed"]}).json() == one


def test_scores_are_the_models(client, saved_run):
    words = ["bada", "ga", "e", "bada", "baxd日", "gggggg"]
    answer = client.post("/score", json={"words": words}).json()["scores"]
    scorer = moreish.Scorer(saved_run, ALARM)
    for word, score in zip(words, answer, strict=True):
        expected = scorer.score(word)
        assert [score[key] for key in ("word", "likely", "unknown")] == [word, expected.likely, expected.unknown]
        for key in ("nll", "bits", "percentile"):
            assert score[key] == pytest.approx(getattr(expected, key), rel=1e-12)
        assert [(c["char"], c["nll"]) for c in score["chars"]] == list(zip([*word, ""], expected.per_char, strict=True))
    assert [score["likely"] for score in answer] == [True, True, False, True, False, False]
    assert answer[4]["unknown"] == [2, 4]
    assert client.get("/score", params={"word": words}).json()["scores"] == answer


def test_the_likeliest_words_are_the_models(client, saved_run):
    for asked in ({"n": 5}, {"n": 4, "pattern": "b?d?"}, {"n": 3, "near": "xada"}, {"n": 9, "max_length": 1}):
        answer = client.post("/most-likely", json=asked).json()
        found = saved_run.model.most_likely(**asked)
        expected = [{**dataclasses.asdict(each), "seen": saved_run.corpus.mark(each.word)} for each in found]
        assert answer == {"words": expected, "proven": found.proven}


def test_a_list_that_is_too_short_for_a_verdict(caplog):
    """It is served without one, unless an alarm was asked for."""
    run = moreish.train(made_up_words(50), "bigram-counts")
    app = make_app(run)
    assert "5 val words are too few" in caplog.text

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return (await client.get("/")).json(), (await client.get("/score?word=ba")).json()

    index, scored = asyncio.run(ask())
    assert index["alarm"] is None
    expected = moreish.Scorer(run, 0.2).score("ba")
    (score,) = scored["scores"]
    assert (score["likely"], score["percentile"]) == (None, expected.percentile)
    for alarm in (0.01, 0.0, math.nan):
        with pytest.raises(moreish.InputError, match="alarm is"):
            make_app(run, alarm=alarm)


def test_what_comes_next_is_the_models(client, saved_run):
    answer = client.post("/next", json={"prefix": "ba", "temperature": 2}).json()
    assert client.get("/next?prefix=ba&temperature=2").json() == answer
    expected = saved_run.model.next("ba", temperature=2)
    assert answer["end"] == expected.pop("")
    assert {found["char"]: found["probability"] for found in answer["next"]} == expected
    assert [found["probability"] for found in answer["next"]] == sorted(expected.values(), reverse=True)


def test_any_script(tmp_path):
    words = ["日本", "añb", "Ж", "𝔘ñ", "a‿b"] * 8
    run = moreish.train(words, "bigram-counts")
    app = make_app(run, alarm=0.5)

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            scored = await client.post("/score", json={"words": ["日ñЖ", "n\u0303"]})
            prefixed = await client.post("/sample", json={"prefix": "𝔘", "n": 5, "seed": 1})
            unknown = await client.get("/score", params={"word": "日\nx"})
            return scored, prefixed, unknown

    scored, prefixed, unknown = asyncio.run(ask())
    assert [c["char"] for c in scored.json()["scores"][0]["chars"]] == ["日", "ñ", "Ж", ""]
    assert [c["char"] for c in scored.json()["scores"][1]["chars"]] == ["ñ", ""]  # one character, however written
    assert all(found["word"].startswith("𝔘") for found in prefixed.json()["samples"])
    assert [c["char"] for c in unknown.json()["scores"][0]["chars"]] == ["日", "\n", "x", ""]
    assert unknown.json()["scores"][0]["unknown"] == [1, 2]


# Wrong and huge requests

DEEP = "[" * 200_000 + "]" * 200_000


@pytest.mark.parametrize(
    ("path", "body", "status", "says"),
    [
        ("/sample", '{"n": ', 400, "the body is no JSON"),
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
        ("/sample", '{"on_progress": null}', 422, "on_progress"),
        ("/sample", '{"pattern": "a[b"}', 422, "place 2 is never closed"),
        ("/sample", '{"pattern": "*a????????????????????"}', 422, "more than 16,384 states"),
        ("/sample", '{"near": "' + "abcdefg" * 9 + '", "edits": 30}', 422, "more than 16,384 states"),
        ("/sample", '{"suffix": "a", "pattern": "*b"}', 422, "no word fits --suffix a and --pattern '*b'"),
        ("/sample", '{"suffix": "ax"}', 422, "'x' is not in the word list"),
        ("/sample", '{"n": 2, "max_length": 1, "distinct": true, "pattern": "a"}', 422, "1 words fit"),
        ("/sample", '{"distinct": true, "temperature": 0, "tries": 1000}', 422, "among 1,000 that the model made"),
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
def test_wrong_requests_are_told_what_is_wrong(client, path, body, status, says):
    response = client.post(path, content=body, headers=JSON)
    assert response.status_code == status
    assert says in error_of(response)


ODD = st.text("abg?*[]-^\\日e\u0301", max_size=12)
LENGTH = st.integers(1, 12) | st.integers(990, 1001)
ASKED = {
    **dict.fromkeys(("prefix", "suffix", "contains", "pattern", "forbid", "require", "near"), ODD),
    **dict.fromkeys(("min_length", "max_length"), LENGTH),
    "edits": st.integers(1, 4),
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
        assert answer.status_code == 422, body
        error_of(answer)
    elif path == "/sample":
        assert len(answer.json()["samples"]) == body.get("n", 20)


def test_what_steers_words_is_stopped_when_its_time_is_up(saved_run):
    """A set of words that takes long to make: it gives back its place."""
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
    assert (nowhere.status_code, "GET / says" in error_of(nowhere)) == (404, True)
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
    with connected(address) as connection:  # a polite client is told before it has sent anything
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
def test_what_is_no_http(client, address, sent):
    connection = connected(address)
    with contextlib.suppress(ConnectionError):
        connection.sendall(sent)
    got = until_closed(connection)
    assert got == b"" or re.match(rb"HTTP/1.1 4\d\d ", got)


def test_requests_that_come_in_one_go_are_answered_in_order(address):
    with connected(address) as connection:
        words = ["a", "ba", "bada", "ge"]
        for i, word in enumerate(words):
            last = b"Connection: close\r\n" if i == len(words) - 1 else b""
            connection.sendall(b"GET /score?word=%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n" % (word.encode(), last))
        got = until_closed(connection)
    assert re.findall(rb'"word":"(\w+)"', got) == [word.encode() for word in words]


# Slow, absent and many clients


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
            assert got[4].startswith(b"HTTP/1.1 408")  # it can still be told
            time.sleep(3)  # the deadline of what is not taken began later, with the last answer
            assert until_closed(takes_nothing).count(b'"word"') < 3 * 1000  # the rest was thrown away
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
    silent = [connected(address) for _ in range(300)]  # more than there may be
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


class Blocked(moreish.Model):
    """A model that draws no word until it may."""

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
            # Two go on, since nothing can stop them, and keep their places; the third never began.
            scored = await client.get("/score?word=ba")
            assert scored.status_code == 504
            model.go.set()
            while (again := await client.post("/sample", json={"n": 1})).status_code in (503, 504):
                await asyncio.sleep(0.01)
            assert again.status_code == 200

    asyncio.run(ask())


def test_a_fault_of_ours_is_told_without_its_insides(saved_run):
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


# Other web origins


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
        {"Sec-Fetch-Site": "cross-site"},  # a picture or a link, which have no Origin
        {"Sec-Fetch-Site": "same-site"},  # another port of this machine
        {"Host": "example.org"},
        {"Host": f"example.org:{port}", "Origin": f"http://example.org:{port}"},  # a name that was made to point here
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
        with pytest.raises(moreish.InputError, match="no web origin"):
            make_app(saved_run, allow_origins=[wrong])


def test_names_of_this_machine():
    door = OwnOrigin(lambda *_: None, names=["names.lan"], allowed=[])  # type: ignore[arg-type]
    assert all(map(door.is_own, ("names.lan", "Names.LAN:80", "192.168.1.7:8000", "[fe80::1]", socket.gethostname())))
    assert not any(map(door.is_own, ("names.example.org", "1.2.3", ":80", "@localhost.example.org", "[::1", "")))


# Starting and stopping


@pytest.mark.skipif(os.name != "posix", reason="a signal cannot be sent to a process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_what_runs_and_stops(saved_run, number):
    """With a request that runs, one that is half sent, and a connection that is kept."""
    slow = (
        "import sys, time, moreish; from moreish.serving import serve\n"
        "run = moreish.load(sys.argv[1]); sample = run.model.sample\n"
        "run.model.sample = lambda n, **options: (time.sleep(n / 1000), sample(n, **options))[1]\n"
        "serve(run, port=0, on_listening=lambda address: print(address, flush=True))"
    )
    with started("-c", slow, saved_run.path) as (process, address), httpx.Client(base_url=address) as client:
        assert client.get("/health").status_code == 200
        half = connected(address)
        half.sendall(b"POST /sample HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{")
        with ThreadPoolExecutor(1) as threads:
            running = threads.submit(client.post, "/sample", json={"n": 400})
            time.sleep(0.2)
            process.send_signal(number)
            assert process.wait(timeout=5) == 0  # half a request is not waited for: that would take ten seconds
            assert len(running.result().json()["samples"]) == 400
        assert until_closed(half) == b""
        with pytest.raises(ConnectionError):
            connected(address)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--port", "70000"], "port is 70000"),
        (["--port", "-1"], "port is -1"),
        (["--host", "203.0.113.1"], "203.0.113.1"),
        (["--host", "no such host"], "no such host"),
        (["--max-samples", "0"], "samples is 0"),
        (["--timeout", "nan"], "seconds is nan"),
        (["--alarm", "1"], "alarm is 1"),
        (["--alarm", "0.01"], "40 val words are too few"),
        (["--allow-origin", "example.org"], "'example.org' is no web origin"),
    ],
)
def test_what_cannot_be_served(saved_run, options, says, capsys):
    assert command(["serve", str(saved_run.path), *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert len(captured.err.strip().splitlines()) == 1


def test_a_port_in_use(saved_run, address, capsys):
    assert command(["serve", str(saved_run.path), "--port", address.rsplit(":", 1)[1]]) == 2
    assert "in use" in capsys.readouterr().err


def test_without_the_extra():
    code = "import sys; sys.modules['fastapi'] = None\nfrom moreish.cli import run; sys.exit(run(['serve', 'nowhere']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "moreish: serving needs FastAPI and uvicorn: pip install 'moreish[serve]'\n"
