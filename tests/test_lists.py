"""Lists by name, bundled and fetched, and lists in any script."""

import hashlib
import http.server
import threading
from dataclasses import replace

import pytest
from conftest import made_up_words

import moreish
from moreish.cli import run
from moreish.corpus import BUNDLED, DOWNLOADS, Corpus, lists
from moreish.errors import InputError, WorkError

WORDS = made_up_words(500)
CONTENT = "".join(f"{word}\n" for word in WORDS).encode()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves the list at /names.txt, an altered one at /altered.txt, half of it at /half.txt, and nothing else."""

    def do_GET(self):
        served = {"/names.txt": CONTENT, "/altered.txt": CONTENT + b"eve\n", "/half.txt": CONTENT}.get(self.path)
        self.send_response(200 if served else 404)
        self.send_header("Content-Length", str(len(served or b"")))
        self.end_headers()
        self.wfile.write((served or b"")[: len(CONTENT) // 2 if self.path == "/half.txt" else None])

    def log_message(self, format, *_):
        pass


@pytest.fixture
def served(monkeypatch, tmp_path):
    """A function that lets `download` fetch from a path of a local server, into a folder of this test."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    monkeypatch.setattr(lists, "downloads_folder", lambda: tmp_path / "cache")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")

    def serve(path: str, port: int | None = None):
        url = f"http://127.0.0.1:{port or server.server_port}{path}"
        wanted = replace(DOWNLOADS["makemore-names"], url=url, sha256=hashlib.sha256(CONTENT).hexdigest())
        monkeypatch.setitem(DOWNLOADS, "makemore-names", wanted)
        return tmp_path / "cache" / "makemore-names.txt"

    yield serve
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_list_is_fetched_once_and_found_by_its_name(served, capsys, tmp_path, monkeypatch):
    kept = served("/names.txt")
    monkeypatch.chdir(tmp_path)
    assert run(["words", "makemore-names"]) == 2
    assert "first run moreish download makemore-names" in capsys.readouterr().err
    assert run(["download", "makemore-names"]) == 0
    told = capsys.readouterr().out
    assert str(kept) in told
    assert "moreish train makemore-names" in told
    assert kept.read_bytes() == CONTENT
    served("/nowhere.txt")
    assert run(["download", "makemore-names"]) == 0, "it is there: nothing is fetched"
    assert lists.words_of("makemore-names") == WORDS
    assert run(["train", "makemore-names", "--steps", "5"]) == 0
    assert moreish.load("runs/makemore-names-mlp").corpus.words == WORDS
    (tmp_path / "dinosaurs").mkdir()
    assert lists.words_of("dinosaurs") == moreish.bundled("dinosaurs")
    with pytest.raises(InputError, match="did you mean dinosaurs"):
        lists.words_of("dinosaur")
    (tmp_path / "makemore-names").write_text("mine\n")
    assert lists.words_of("makemore-names") == ["mine"], "a file of the user's own comes first"


def test_the_names_of_the_lecture_are_told_from_the_bundled_ones(served, capsys, tmp_path, monkeypatch):
    kept = served("/names.txt")
    monkeypatch.chdir(tmp_path)
    assert run(["train", "names.txt"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1
    now = "The names of the lecture are now the list makemore-names: moreish download makemore-names"
    assert f"names.txt: no such file. {now}" in told
    assert run(["download", "minerals"]) == 2
    assert "makemore" not in capsys.readouterr().err
    assert run(["download", "names"]) == 0, "by the name that it had"
    out, err = capsys.readouterr()
    assert "moreish train makemore-names" in out
    assert err.count("\n") == 1
    assert "the names of the lecture are the list makemore-names" in err
    assert kept.read_bytes() == CONTENT
    assert lists.words_of("names") == moreish.bundled("names"), "also after a download"


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/nowhere.txt", "the server returned 404"),
        ("/altered.txt", "SHA-256 differs"),
        ("/half.txt", "cannot be reached|SHA-256 differs"),
    ],
)
def test_what_is_not_the_list_is_refused_and_not_kept(served, path, says, capsys):
    kept = served(path)
    with pytest.raises(WorkError, match=says):
        moreish.corpus.download("makemore-names")
    assert not kept.exists()
    assert list(kept.parent.glob("*")) == []
    assert run(["download", "makemore-names"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_offline_is_said_in_one_line(served, capsys):
    served("/names.txt", port=9)  # where nothing listens
    assert run(["download", "makemore-names"]) == 1
    err = capsys.readouterr().err
    assert "cannot be reached (ConnectionError): try again when you are online" in err
    assert err.count("\n") == 1


def test_a_kept_list_that_was_altered_is_not_used(served):
    kept = served("/names.txt")
    moreish.corpus.download("makemore-names")
    kept.write_bytes(CONTENT + b"eve\n")
    with pytest.raises(InputError, match="moreish download makemore-names"):
        lists.words_of("makemore-names")
    assert moreish.corpus.download("makemore-names").read_bytes() == CONTENT, "it is fetched anew"


def test_the_lists_there_are(capsys):
    assert run(["download"]) == 0
    assert DOWNLOADS["makemore-names"].url in capsys.readouterr().out
    assert run(["download", "makemore-nmaes"]) == 2
    assert "did you mean makemore-names" in capsys.readouterr().err


@pytest.mark.parametrize("name", BUNDLED)
def test_every_bundled_list_trains_by_its_name(name, tmp_path, capsys):
    assert run(["train", name, "--model", "bigram-counts", "--out", str(tmp_path / "run")]) == 0
    assert Corpus(moreish.bundled(name)).vocab == moreish.load(tmp_path / "run").model.vocab


SCRIPTS = {
    "cyrillic": "анна мария иван ольга пётр",
    "greek": "άννα μαρία γιάννης ωμέγα",
    "devanagari": "आरव नमस्ते कृष्ण श्रेया",
    "japanese": "さくら 太郎 ハナコ 東京ー",
    "combining": "q̃uena a̋ba x̌ixi",  # letters with marks that no composed character has
    "emoji": "👩‍🚀🌙 🇳🇴x 👍🏽👍 ☀️",
    "right to left": "שרה محمد لیلا",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_any_script_trains_samples_and_comes_back(script, tmp_path, capsys):
    words = SCRIPTS[script].split() * 12
    (tmp_path / "list.txt").write_text("\n".join(words), encoding="utf-8")
    folder = str(tmp_path / "run")
    assert run(["train", str(tmp_path / "list.txt"), "--steps", "250", "--lr", "0.02", "--out", folder]) == 0
    model = moreish.load(folder).model
    assert model.vocab.characters == "".join(sorted(set("".join(words))))
    drawn = model.sample(60, seed=1)
    assert sum(word in words for word in drawn) > 30, "it has learnt the few words that there are"
    assert model.score(words[0]).nll < 1
    prefix = words[0][:2]
    assert all(word.startswith(prefix) for word in model.sample(5, prefix=prefix))
    capsys.readouterr()
    assert run(["sample", folder, "--prefix", prefix, "-n", "3"]) == 0
    assert capsys.readouterr().out.count("\n") == 3
