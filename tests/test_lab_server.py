"""The server of the lab: its pages, its messages, and who may reach it."""

import asyncio
import contextlib
import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets.exceptions
from conftest import made_up_words
from labs import SMALL, paused_session, until
from served import running
from websockets.sync.client import ClientConnection, connect

import moreish
from moreish.cli import run as command
from moreish.export.web import html
from moreish.lab.app import SHARE, Ration, make_app
from moreish.models import MODELS

TOKEN = "token-of-the-test"


@pytest.fixture
def session(tmp_path):
    with paused_session(tmp_path) as session:
        yield session


@pytest.fixture
def client(session):
    with running(make_app(session, TOKEN)) as address, httpx.Client(base_url=address, timeout=30) as client:
        yield client


def socket_of(client: httpx.Client, path: str = f"/{TOKEN}/socket", **options) -> ClientConnection:
    return connect(str(client.base_url.join(path)).replace("http", "ws"), max_size=None, **options)


@contextlib.contextmanager
def page(client):
    """The WebSocket of a page."""
    with socket_of(client) as socket:
        yield Page(socket)


class Page:
    """Messages of a page, the newest of each kind kept."""

    def __init__(self, socket):
        self.socket, self.newest, self.curve, self.number = socket, {}, [], 0

    def receive(self):
        message = json.loads(self.socket.recv(timeout=30))
        self.newest[message["kind"]] = message
        if message["kind"] == "curve":
            self.curve = [*self.curve[: message["start"]], *message["points"]]
        return message

    def until(self, found):
        while not found(message := self.receive()):
            pass
        return message

    def send(self, **message):
        """Send a message; return the answer or the error."""
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, **message}))
        return self.until(lambda m: m["kind"] in ("answer", "error") and m["id"] == self.number)

    def step(self):
        """Make the first step."""
        self.send(do="step")
        self.until(lambda m: m["kind"] == "status" and m["step"] == 1)

    def ask(self, view, **values):
        return self.send(do="ask", view=view, values=values)["result"]


def test_a_page_and_its_files_come_with_a_strict_policy(client):
    response = client.get(f"/{TOKEN}/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http" not in policy
    folder = Path(moreish.__file__).parent / "lab" / "page"
    for file in folder.iterdir():
        served = client.get(f"/{TOKEN}/{file.name}")
        assert served.content == file.read_bytes()
        assert served.headers["x-content-type-options"] == "nosniff"
        assert served.headers["content-security-policy"] == policy


def test_the_page_is_small_and_names_nothing_outside():
    folder = Path(moreish.__file__).parent / "lab" / "page"
    texts = [file.read_text() for file in folder.iterdir()]
    assert sum(len(text.encode()) for text in texts) < 300_000
    for file, text in zip(folder.iterdir(), texts, strict=True):
        addresses = set(re.findall(r"https?://[^\s\"'`)]+", text)) - {"http://www.w3.org/2000/svg"}
        assert not addresses, file
        assert "innerHTML" not in text, file
        if file.suffix == ".js":
            assert text.count("\n") <= 300, file


@pytest.mark.parametrize("path", ["/", "/wrong/", "/wrong/main.js", f"/{TOKEN[:-1]}/", f"/{TOKEN}/../app.py", "/é/"])
def test_without_the_token_nothing_is_reached(client, path):
    response = client.get(path)
    assert response.status_code in (403, 404)
    assert "<script" not in response.text


@pytest.mark.parametrize("path", ["/wrong/socket", f"/{TOKEN}x/socket", "/socket"])
def test_without_the_token_no_socket_opens(client, path):
    with pytest.raises(websockets.exceptions.InvalidStatus, match="403"):
        socket_of(client, path)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
    ],
)
def test_other_origins_reach_neither_page_nor_socket(client, headers):
    assert client.get(f"/{TOKEN}/", headers=headers).status_code == 403
    if "Host" not in headers:
        with pytest.raises(websockets.exceptions.InvalidStatus, match="403"):
            socket_of(client, additional_headers=headers)


def test_a_page_gets_the_state_and_then_what_changes(client, session):
    with page(client) as first:
        first.until(lambda m: m["kind"] == "status" and m["training"] == 1)
        assert first.newest["settings"]["list"] == "own"
        assert list(first.newest["controls"]["controls"]["models"]) == list(MODELS)
        assert first.curve == session.trainer.training.curve
        first.send(do="step")
        first.until(lambda m: m["kind"] == "status" and m["step"] == 1)
        assert first.curve == session.trainer.training.curve
        first.send(do="play")
        first.until(lambda m: m["kind"] == "status" and m["losses"])
        assert first.newest["status"]["losses"] == session.trainer.snapshot.run.loss
        assert first.curve == session.trainer.training.curve


def test_two_pages_see_one_training(client, session):
    with page(client) as first, page(client) as second:
        answer = first.send(do="configure", list="own", model="gru", options=SMALL | {"lr": 0.005}, play=True)
        number = answer["result"]["training"]
        for each in (first, second):
            each.until(lambda m: m["kind"] == "status" and m["training"] == number and m["losses"])
        assert first.curve == second.curve
        assert second.newest["settings"]["model"] == "gru"
        assert second.newest["settings"]["options"]["lr"] == 0.005
        assert first.ask("words", n=4) == second.ask("words", n=4)
    until(lambda: session.trainer.watchers == 0)


def test_answers_are_those_of_the_model_as_it_stands(client, session):
    with page(client) as one:
        one.step()
        found = one.ask("words", n=5, seed=3)
        assert found["step"] == 1
        words = session.trainer.snapshot.run.model.sample(5, seed=3, max_length=100)
        assert [each["word"] for each in found["words"]] == words


def mutated(generator: random.Random) -> str | bytes:
    """Return a message that is malformed, or asks for what does not exist."""
    messages: list[dict[str, Any]] = [
        {"do": "play"},
        {"do": "pace", "steps": 3},
        {"do": "configure", "list": "own", "model": "mlp", "options": {"lr": 0.1}},
        {"do": "ask", "view": "words", "values": {"n": 3}},
        {"do": "describe", "list": "own"},
    ]
    message = generator.choice(messages) | {"id": 1000 + generator.randrange(100)}
    wrong = ["", None, -1, 1e300, [], {}, "x" * 2000, {"a": [{}]}, True, [[[]]] * 50]
    if generator.random() < 0.3:
        text = json.dumps(message)
        at = generator.randrange(len(text))
        return (
            text[:at]
            + generator.choice(["", "\0", "}", '"', "[", "1e999", "é"])
            + text[at + 1 + generator.randrange(5) :]
        )
    if generator.random() < 0.1:
        return generator.randbytes(generator.randrange(50))
    name = generator.choice(["do", "unknown"])
    message[name] = generator.choice([value for value in wrong if value not in ("play",)])
    return json.dumps(message)


def test_malformed_messages_change_nothing(client, session):
    generator = random.Random(5)
    with page(client) as one:
        one.until(lambda m: m["kind"] == "status" and m["training"] == 1)
        settings, status = session.facts(), session.trainer.status
        sent = 0
        while sent < 1000:
            message = mutated(generator)
            with contextlib.suppress(ValueError):  # a mutation that is still a good message is not sent
                if (
                    isinstance(message, str)
                    and json.loads(message).get("do") in (*("play", "pace", "configure", "ask", "describe"),)
                    and "unknown" not in json.loads(message)
                ):
                    continue
            one.socket.send(message)
            sent += 1
        answer = one.send(do="ask", view="words", values={"n": 2})
        assert len(answer["result"]["words"]) == 2
        assert session.facts() == settings
        assert session.trainer.status == status


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ({"do": "ask", "view": "weather"}, "unknown view weather"),
        ({"do": "ask", "view": "words", "values": {"n": 0}}, "n: it should be greater than or equal to 1"),
        ({"do": "ask", "view": "words", "values": {"n": "3"}}, "n: it should be a valid integer"),
        ({"do": "ask", "view": "words", "values": {"m": 3}}, "m: "),
        ({"do": "ask", "view": "words", "values": {"snapshot": 3}}, "snapshot: "),
        ({"do": "configure", "list": "own", "model": "mlp", "options": {"lr": 0}}, "--lr is 0: it must be between"),
        ({"do": "configure", "list": "no", "model": "mlp", "options": {}}, "unknown list no"),
        ({"do": "describe", "list": "no"}, "unknown list no"),
    ],
)
def test_an_error_has_one_line_that_says_what_is_wrong(client, message, error):
    with page(client) as one:
        answer = one.send(**message)
        assert answer["kind"] == "error"
        assert error in answer["text"]
        assert "\n" not in answer["text"]


def test_a_refused_message_is_answered_with_its_id(client):
    with page(client) as one:
        for options in ({"lr": "1" * 1001}, {"lr": []}, {"lr": None}):
            answer = one.send(do="configure", list="own", model="mlp", options=options)
            assert answer["kind"] == "error"
        assert one.send(do="pace", steps=1e9)["text"] == "steps: it should be less than or equal to 1000000"
        assert one.send(do="nothing")["kind"] == "error"


def test_a_run_is_saved_where_all_commands_find_it(client, session, tmp_path):
    with page(client) as one:
        assert "before the first step" in one.send(do="save")["text"]
        one.step()
        folder = one.send(do="save")["result"]["folder"]
    assert Path(folder).is_relative_to(tmp_path)
    assert moreish.load(folder).options.steps == 1


def test_the_page_without_a_server_is_the_model_as_it_stands(client, session):
    with page(client) as one:
        one.step()
    response = client.get(f"/{TOKEN}/export")
    assert response.headers["content-disposition"] == 'attachment; filename="own-mlp.html"'
    assert response.content == html(session.trainer.snapshot.run)
    assert client.get("/wrong/export").status_code == 404


def test_a_dropped_list_is_read_and_described(client):
    words = made_up_words(50)
    response = client.post(f"/{TOKEN}/list?file=mine.txt", content="\n".join(words).encode())
    assert response.json()["words"] == 50
    with page(client) as one:
        assert one.send(do="describe", list="mine")["result"]["words"] == 50
        answer = one.send(do="configure", list="mine", model="mlp", options=SMALL)
        assert "training" in answer["result"]
    refused = client.post(f"/{TOKEN}/list?file=t.csv", content=b"a,b\n" + b"ann,bob\n" * 20)
    assert "--column" in refused.json()["error"]
    assert client.post("/wrong/list?file=a.txt", content=b"ann").status_code == 404
    assert "error" in client.post(f"/{TOKEN}/list?file=a.bin", content=bytes(range(256))).json()
    named = client.post(f"/{TOKEN}/list", params={"file": "a\n\x1b[31m.gz"}, content=b"\x1f\x8b no file")
    assert named.json()["error"].startswith("a[31m.gz: this gzip file cannot be unpacked")


def test_a_page_that_does_not_read_slows_nothing_down(client, session):
    """The state of a page that reads late is the newest: nothing is queued for it."""
    with page(client) as slow:
        slow.until(lambda m: m["kind"] == "status")
        training = session.configure("own", "mlp", SMALL | {"steps": 3000}, play=True)
        until(lambda: session.trainer.status.training == training and session.trainer.status.losses)
        slow.until(lambda m: m["kind"] == "status" and m["training"] == training and m["losses"])
        assert slow.curve == session.trainer.training.curve


def test_the_command_prints_an_address_that_answers_at_once(tmp_path):
    (tmp_path / "words.txt").write_text("\n".join(made_up_words(100)))
    argv = [sys.executable, "-m", "moreish", "lab", "words.txt", "--no-browser"]
    process = subprocess.Popen(argv, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"(http://127\.0\.0\.1:\d+/[\w-]{20,}/)\n$", line)
        assert address, line
        assert httpx.get(address[1]).status_code == 200
        assert httpx.get(re.sub(r"/[^/]+/$", "/", address[1])).status_code == 403
        with connect(address[1].replace("http", "ws") + "socket", max_size=None) as socket:  # Ctrl-C with a page open
            socket.send('{"do": "play"}')
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.communicate()


def test_a_wrong_start_is_refused_in_one_line(tmp_path, capsys, monkeypatch, saved_run):
    monkeypatch.chdir(tmp_path)
    for argv, error in [
        (["nowhere.txt"], "no such file"),
        ([str(saved_run.path), "--column", "2"], "has its own list"),
        (["--port", "70000"], "port is 70000"),
    ]:
        assert command(["lab", "--no-browser", *argv]) == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert error in said


def test_a_missing_extra_is_said_in_one_line(tmp_path):
    code = (
        "import sys; sys.modules['websockets'] = None\n"
        "from moreish.cli import run\nsys.exit(run(['lab', '--no-browser']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "the lab needs FastAPI, uvicorn and websockets" in done.stderr.strip().splitlines()[-1]


def test_time_for_pages_is_rationed(session, monkeypatch):
    """While a training plays, live questions wait until they have taken SHARE of the time; otherwise none waits."""
    ration, slept = Ration(), []

    async def sleep(seconds):
        slept.append(seconds)
        time.sleep(seconds)

    async def called(function, *arguments):
        return function(*arguments)

    pool: Any = called

    def work():
        time.sleep(0.02)
        return time.monotonic()

    monkeypatch.setattr("moreish.lab.app.asyncio.sleep", sleep)
    training = session.configure("own", "mlp", SMALL | {"steps": 10_000_000}, play=True)
    until(lambda: session.trainer.status.training == training and session.trainer.status.step)
    first, second = (asyncio.run(ration(session, pool, work)) for _ in range(2))
    assert second - first > 0.02 / SHARE
    assert slept
    session.trainer.pause()
    until(lambda: not session.trainer.status.playing)
    slept.clear()
    asyncio.run(ration(session, pool, work))
    assert not slept
