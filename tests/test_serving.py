"""Serving: the responses, the start and the stop."""

import asyncio
import dataclasses
import inspect
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from conftest import made_up_words
from served import FALSE_POSITIVE_RATE, connected, started, until_closed

import moreish
from moreish.cli import run as command
from moreish.sampling import Constraints
from moreish.serving import make_app, serve


def test_it_describes_itself(client, saved_run):
    index = client.get("/").json()
    assert [index[key] for key in ("name", "model", "words")] == ["small", "mlp", 400]
    assert index["false_positive_rate"] == index["alarm"] == FALSE_POSITIVE_RATE
    described = client.get("/openapi.json").json()
    assert described["openapi"].startswith("3.1")
    assert set(index["paths"]) - {"/openapi.json"} == set(described["paths"]) - {"/"}
    for path, methods in described["paths"].items():
        assert index["paths"].get(path, "GET").startswith(", ".join(sorted(methods)).upper())
        for operation in methods.values():
            assert operation["summary"]
            assert all(parameter["description"] for parameter in operation.get("parameters", []))
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
    assert set(fields) == set(arguments) - {"self", "on_progress", "on_cost"} | {"only_new"}
    for name in set(fields) - {"seed", "only_new"}:
        default = arguments[name].default
        assert fields[name].get("default") == ([] if default == () else default)
    constraints = {field.name for field in dataclasses.fields(Constraints)}
    assert set(described["LikeliestRequest"]["properties"]) == constraints | {"n", "label"}
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
        {"without": ["ba", "ag", "日"], "suffix": "e"},
        {"prefer": ["ba:3", "e"], "max_length": 4},
        {"pattern": "\\c\\v*", "syllables": "2-3", "like": "bada:4"},
    ):
        answer = client.post("/sample", json={**own, **asked}).json()
        words = saved_run.model.sample(**{**own, **asked})
        assert answer == {
            "seed": 7,
            "samples": [{"word": word, "seen": saved_run.corpus.mark(word)} for word in words],
            "method": words.method,
            "share": words.share,
            "effective": words.effective,
            "head": words.head,
            "tried": words.tried,
        }
    new = client.post("/sample", json={**own, "only_new": True, "avoid": ["gaga"]}).json()["samples"]
    expected = saved_run.model.sample(**own, avoid=[*saved_run.corpus.words, "gaga"])
    assert new == [{"word": word, "seen": "new"} for word in expected]
    one, other = (client.post("/sample", json={"n": 50}).json() for _ in range(2))
    assert one["samples"] != other["samples"]  # each time a random seed, which gives the same words again
    assert client.post("/sample", json={"n": 50, "seed": one["seed"]}).json() == one


def test_scores_are_the_models(client, saved_run):
    words = ["bada", "ga", "e", "bada", "baxd日", "gggggg"]
    answer = client.post("/score", json={"words": words}).json()["scores"]
    scorer = moreish.Scorer(saved_run, FALSE_POSITIVE_RATE)
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
    """It is served without verdicts."""
    run = moreish.train(made_up_words(50), "bigram-counts")
    app = make_app(run)
    assert "5 val words are too few for verdicts" in caplog.text

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            return (await client.get("/")).json(), (await client.get("/score?word=ba")).json()

    index, scored = asyncio.run(ask())
    assert index["false_positive_rate"] is index["alarm"] is None
    expected = moreish.Scorer(run, 0.2).score("ba")
    (score,) = scored["scores"]
    assert (score["likely"], score["percentile"]) == (None, expected.percentile)
    assert make_app(run, false_positive_rate=0.01)
    for rate in (1.0, 0.0, math.nan):
        with pytest.raises(moreish.InputError, match="the false-positive rate is"):
            make_app(run, false_positive_rate=rate)
        with pytest.raises(moreish.InputError, match="the false-positive rate is"):
            make_app(run, alarm=rate)


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
    app = make_app(run, false_positive_rate=0.5)

    async def ask():
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost") as client:
            scored = await client.post("/score", json={"words": ["日ñЖ", "n\u0303"]})
            prefixed = await client.post("/sample", json={"prefix": "𝔘", "n": 5, "seed": 1})
            unknown = await client.get("/score", params={"word": "日\nx"})
            return scored, prefixed, unknown

    scored, prefixed, unknown = asyncio.run(ask())
    assert [c["char"] for c in scored.json()["scores"][0]["chars"]] == ["日", "ñ", "Ж", ""]
    assert [c["char"] for c in scored.json()["scores"][1]["chars"]] == ["ñ", ""]  # one character, in either form
    assert all(found["word"].startswith("𝔘") for found in prefixed.json()["samples"])
    assert [c["char"] for c in unknown.json()["scores"][0]["chars"]] == ["日", "\n", "x", ""]
    assert unknown.json()["scores"][0]["unknown"] == [1, 2]


@pytest.mark.skipif(os.name != "posix", reason="a signal cannot be sent to a process")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_what_runs_and_stops(saved_run, number):
    """Even with a request in progress, one half sent, and an open connection."""
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
            assert process.wait(timeout=5) == 0  # without waiting ten seconds for the rest of a request
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
        (["--false-positive-rate", "1"], "the false-positive rate is 1"),
        (["--alarm", "1"], "the false-positive rate is 1"),
        (["--allow-origin", "example.org"], "'example.org' is not a web origin"),
    ],
)
def test_what_cannot_be_served(saved_run, options, says, capsys):
    assert command(["serve", str(saved_run.path), *options]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert says in captured.err
    assert len(captured.err.strip().splitlines()) == 1


def test_the_address_is_one_that_a_browser_opens(saved_run, monkeypatch, capsys):
    class Listening(Exception):
        """Ends the server before it begins."""

    def listening(address: str) -> None:
        raise Listening(address)

    for host, name in (("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "localhost")):
        with pytest.raises(Listening, match=rf"^http://{name}:\d+$"):
            serve(saved_run, host=host, port=0, on_listening=listening)
    monkeypatch.setattr("moreish.serving.serve", lambda run, on_listening, **_: on_listening("http://localhost:1"))
    assert command(["serve", str(saved_run.path)]) == 0
    assert capsys.readouterr().out == "small (mlp): open http://localhost:1 in a browser; Ctrl-C stops the server\n"


def test_a_port_in_use(saved_run, address, capsys):
    assert command(["serve", str(saved_run.path), "--port", address.rsplit(":", 1)[1]]) == 2
    assert "in use" in capsys.readouterr().err


def test_without_the_extra():
    code = "import sys; sys.modules['fastapi'] = None\nfrom moreish.cli import run; sys.exit(run(['serve', 'nowhere']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(f"moreish: serving needs FastAPI and uvicorn: {sys.executable} -m pip install ")
    assert all(f'"{name}' in done.stderr for name in ("fastapi", "uvicorn"))
    assert done.stderr.count("\n") == 1
