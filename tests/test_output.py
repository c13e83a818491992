"""Output of commands for other programs: encodings, and pipes that close."""

import bz2
import gzip
import io
import json
import lzma
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import moreish
from moreish.cli import VERBS, run

WORDS = ["Hąm", "c🚀ł", "añb", "日本", "Ağa", "b 😎", "żółć"] * 5
LOCALES = {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "cp1252"}, {"LC_ALL": "C", "PYTHONUTF8": "0"}


def command(*arguments: object, **options: Any) -> "subprocess.CompletedProcess[bytes]":
    """Run `moreish` in a process of its own."""
    line = [sys.executable, "-m", "moreish", *map(str, arguments)]
    return subprocess.run(line, stderr=subprocess.PIPE, timeout=120, **options)


@pytest.fixture(scope="module")
def wide(tmp_path_factory) -> moreish.Run:
    """A run on words of many scripts."""
    return moreish.train(WORDS, "bigram-counts", out=tmp_path_factory.mktemp("wide") / "run")


@pytest.mark.parametrize("locale", LOCALES, ids=str)
@pytest.mark.parametrize("verb", ["sample", "fill", "score", "words"])
def test_json_has_the_same_bytes_in_every_locale(wide, tmp_path, verb, locale):
    (tmp_path / "list.txt").write_text("\n".join(WORDS), encoding="utf-8")
    of_verb = {
        "sample": [wide.path, "-n", 50],
        "fill": [wide.path, "_"],
        "score": [wide.path, "żó🚀", "--false-positive-rate", "0.3"],
        "words": [tmp_path / "list.txt"],
    }
    arguments = [verb, *of_verb[verb], "--json"]
    plain, odd = (
        command(*arguments, stdout=subprocess.PIPE, env={**os.environ, "PYTHONUTF8": "1", **environment})
        for environment in ({}, locale)
    )
    assert plain.returncode == 0, plain.stderr
    assert odd.stdout == plain.stdout
    assert odd.stdout.isascii()
    assert any(character in json.dumps(json.loads(odd.stdout), ensure_ascii=False) for character in "łż日")


@pytest.mark.parametrize("locale", LOCALES, ids=str)
def test_redirected_words_are_utf8_in_every_locale(wide, tmp_path, locale):
    with (tmp_path / "out.txt").open("wb") as out:
        done = command("sample", wide.path, "-n", 50, stdout=out, env={**os.environ, **locale})
    assert done.returncode == 0, done.stderr
    written = (tmp_path / "out.txt").read_text(encoding="utf-8").split("\n")
    assert written == [*wide.model.sample(50), ""]


def closed_pipe() -> int:
    """Return the end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    return writer


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["train", "--help"],
        ["train", "LIST", "--model", "bigram-counts", "--out", "NEW"],
        ["sample", "RUN"],
        ["sample", "RUN", "-n", "200000", "--json"],
        ["fill", "RUN", "b_d_"],
        ["vary", "RUN", "bada"],
        ["score", "RUN", "bada"],
        ["score", "RUN", "bada", "--json"],
        ["eval", "RUN"],
        ["novelty", "RUN", "-n", "50"],
        ["compare", "RUN", "RUN"],
        ["plot", "RUN"],
        ["diagnose", "RUN"],
        ["mix", "RUN", "RUN", "--out", "NEW"],
        ["lr-find", "LIST", "--model", "bigram"],
        ["tune", "LIST", "--model", "bigram", "--trials", "1", "--out", "NEW"],
        ["show", "mlp"],
        ["show", "RUN"],
        ["models"],
        ["models", "--json"],
        ["words", "LIST"],
        ["download"],
    ],
    ids=" ".join,
)
@pytest.mark.skipif(os.name == "nt", reason="no pipes that close early")
def test_a_closed_pipe_is_no_failure(saved_run, words, tmp_path, arguments):
    (tmp_path / "list.txt").write_text("\n".join(words), encoding="utf-8")
    assert arguments[0] in VERBS or arguments[0].startswith("--")
    places = {"RUN": str(saved_run.path), "LIST": str(tmp_path / "list.txt"), "NEW": str(tmp_path / "new")}
    writer = closed_pipe()
    done = command(*(places.get(word, word) for word in arguments), stdout=writer, cwd=tmp_path)
    os.close(writer)
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    assert b"Exception" not in done.stderr
    if arguments[0] == "train" and "NEW" in arguments:
        assert len(moreish.load(tmp_path / "new").model.sample(3)) == 3


@pytest.mark.skipif(os.name == "nt", reason="no pipes that close early")
def test_a_training_whose_messages_nobody_reads_is_saved(words, tmp_path):
    (tmp_path / "list.txt").write_text("\n".join(words), encoding="utf-8")
    line = [sys.executable, "-m", "moreish", "train", "list.txt", "--steps", "20", "--out", "run"]
    writer = closed_pipe()
    done = subprocess.run(line, stdout=writer, stderr=writer, cwd=tmp_path, timeout=120)
    wrong = subprocess.run([*line, "--lr", "-1"], stdout=writer, stderr=writer, cwd=tmp_path, timeout=120)
    os.close(writer)
    assert (done.returncode, wrong.returncode) == (0, 2)
    assert moreish.load(tmp_path / "run").corpus.words == words


@pytest.mark.skipif(os.name == "nt", reason="no pipes that close early")
@pytest.mark.parametrize("form", [(), ("--jsonl",), ("--suffix", "a", "--marks")], ids=str)
def test_the_first_of_millions_of_words_is_enough(saved_run, form):
    """The reader takes one line; drawing stops then."""
    line = [sys.executable, "-m", "moreish", "sample", str(saved_run.path), "-n", "2000000000", *form]
    with subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as done:
        assert done.stdout is not None
        assert done.stderr is not None
        assert done.stdout.readline().endswith(b"\n")
        done.stdout.close()
        errors = done.stderr.read()
    assert (done.returncode, errors) == (0, b"")


@pytest.mark.skipif(os.name == "nt", reason="no shell of POSIX")
@pytest.mark.parametrize(
    "line",
    ["sample RUN -n 3 >&-", "score RUN bada >&-", "score RUN bada --json 2>&- >&-", "sample RUN -n 3 --json >&-"],
)
def test_output_that_is_closed_is_no_failure(saved_run, tmp_path, line):
    done = in_shell(saved_run, tmp_path, line)
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)


@pytest.mark.skipif(os.name == "nt", reason="no shell of POSIX")
@pytest.mark.parametrize("line", ["score RUN - <&-", "score RUN - --column 1 <&-", "train - <&-"])
def test_input_that_is_closed_is_one_line(saved_run, tmp_path, line):
    done = in_shell(saved_run, tmp_path, line)
    assert done.returncode == 2
    assert [said for said in done.stderr.splitlines() if b"standard input is closed: give it a file" in said]
    assert b"Traceback" not in done.stderr


def in_shell(run: moreish.Run, folder: Path, line: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a command line, without the word moreish, in a shell; RUN in it is the folder of the run."""
    whole = f"{shlex.quote(sys.executable)} -m moreish {line.replace('RUN', shlex.quote(str(run.path)))}"
    return subprocess.run(whole, shell=True, capture_output=True, cwd=folder, timeout=120)


@pytest.mark.skipif(os.name == "nt", reason="arguments are always Unicode")
@pytest.mark.parametrize("locale", [{}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}], ids=str)
def test_arguments_are_utf8_in_every_locale(tmp_path, locale):
    folder = tmp_path / "l\u00e4ufe"
    moreish.train(["b\u00e4d", "fad", "h\u00e4d", "had"] * 5, "bigram-counts", out=folder)
    for option, has in (("--without", False), ("--forbid", False), ("--contains", True)):
        done = command(
            *("sample", folder, "-n", 40, option, "\u00e4"), stdout=subprocess.PIPE, env={**os.environ, **locale}
        )
        found = done.stdout.decode().split()
        assert (done.returncode, len(found)) == (0, 40), done.stderr
        assert all(("\u00e4" in word) == has for word in found)


def test_a_tab_in_a_marked_word_is_escaped(tmp_path, capsys):
    moreish.train(["b\ta", "b\tb"] * 10, "bigram-counts", out=tmp_path / "run")
    assert run(["sample", str(tmp_path / "run"), "--contains", "\t", "-n", "9", "--marks"]) == 0
    for line in capsys.readouterr().out.splitlines():
        assert "\\t" in line.split("\t")[0]
        assert line.split("\t")[1:] in (["new"], ["train"], ["val"], ["test"])


def test_a_large_json_object_is_announced(saved_run, monkeypatch, capsys):
    monkeypatch.setattr("moreish.cli.sample.MANY", 5)
    for n in (5, 6):
        assert run(["sample", str(saved_run.path), "-n", str(n), "--json"]) == 0
        assert ("--jsonl prints each at once" in capsys.readouterr().err) == (n == 6)


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress, bz2.compress], ids=["zcat", "xzcat", "bzcat"])
def test_packed_words_on_standard_input_are_refused_with_the_way_out(saved_run, monkeypatch, capsys, pack, request):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(pack(b"bada\nfa\n"))))
    assert run(["score", str(saved_run.path), "-"]) == 2
    out, err = capsys.readouterr()
    assert f"unpack it, as in {request.node.callspec.id} FILE | moreish" in err
    assert out == ""
