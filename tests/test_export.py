"""`moreish export`: what holds for the files of all formats."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

import moreish
from moreish.cli import run
from moreish.export import EXPORTS

WORDS = ["ab", "abba", "ba", "bab", "aab", "abab"] * 5
FITTING = {
    "html": "mlp",
    "js": "mlp",
    "onnx": "mlp",
    "torch": "mlp",
    "arpa": "ngram",
}  # a model that each format can hold


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """The folders of runs by their models."""
    folder = tmp_path_factory.mktemp("runs")
    moreish.train(WORDS, "ngram", order=3, out=folder / "ngram")
    moreish.train(WORDS, "mlp", n_embd=2, n_hidden=4, block_size=2, steps=5, out=folder / "mlp")
    moreish.train(WORDS, "ngram", order=3, labels=[word[0] for word in WORDS], out=folder / "labelled")
    return {name: folder / name for name in ("ngram", "mlp", "labelled")}


@pytest.fixture(params=EXPORTS)
def to(request) -> str:
    return request.param


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def complaint(capsys, *tokens: object) -> str:
    """The line with which a command is refused, which leaves no output and no other line."""
    assert run(["export", *map(str, tokens)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("moreish: ")
    assert err.count("\n") == 1
    return err


def test_two_lines_say_where_the_file_went_its_size_and_how_to_use_it(runs, to, here, capsys):
    assert run(["export", str(runs[FITTING[to]]), "--to", to]) == 0
    (written,) = here.iterdir()
    assert written.name == FITTING[to] + EXPORTS[to].suffix
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{written.name}  (")
    assert f"{written.stat().st_size / 1e3:.1f} KB" in first
    assert written.name in second


@pytest.mark.parametrize("format", ["html", "js", "torch", "arpa"])
def test_these_formats_need_no_extra(runs, format, here):
    packages = ("torch", "fastapi", "uvicorn", "websockets", "onnx")
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({packages}))\n"
        "from moreish.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    argv = [sys.executable, "-c", code, "export", str(runs[FITTING[format]]), "--to", format]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_an_existing_file_is_replaced_only_with_force(runs, to, here, capsys):
    command = ["export", str(runs[FITTING[to]]), "--to", to, "--out", "file"]
    Path("file").write_text("mine")
    assert "--force" in complaint(capsys, *command[1:])
    assert Path("file").read_text() == "mine"
    assert run([*command, "--force"]) == 0
    assert Path("file").read_bytes() != b"mine"
    assert list(here.iterdir()) == [here / "file"]


def test_8_bits_are_a_quarter_of_the_size_and_their_cost_is_said(runs, here, capsys):
    folder = here / "wide"
    moreish.train(WORDS, "mlp", n_embd=64, n_hidden=128, block_size=8, steps=5, out=folder)
    sizes = []
    for more in ([], ["--quantise", "8"]):
        assert run(["export", str(folder), "--to", "js", "--out", "a.js", "--force", *more]) == 0
        sizes.append(Path("a.js").stat().st_size)
    *_, told = capsys.readouterr().out.splitlines()
    assert told.startswith("with 8 bits a number, val is ")
    assert f"instead of {moreish.load(folder).loss['val']:.4f} nats" in told
    code = Path("a.js").read_text().index("const words = new Words(")
    assert (sizes[1] - code) < 0.3 * (sizes[0] - code)
    assert "it must be 8" in complaint(capsys, folder, "--to", "js", "--out", "b", "--quantise", "4")
    assert "leave out --quantise" in complaint(capsys, folder, "--to", "onnx", "--out", "b", "--quantise", "8")
    assert "--quantise takes a net" in complaint(capsys, runs["ngram"], "--to", "js", "--out", "b", "--quantise", "8")


@pytest.mark.parametrize("old", [None, "mine"])
def test_a_full_disk_leaves_what_was_there(runs, to, here, capsys, monkeypatch, old):
    def full(number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    if old:
        Path("file").write_text(old)
    monkeypatch.setattr(os, "fsync", full)
    assert run(["export", str(runs[FITTING[to]]), "--to", to, "--out", "file", "--force"]) == 1
    assert "file: cannot be written (No space left on device)" in capsys.readouterr().err
    assert list(here.iterdir()) == ([here / "file"] if old else [])
    assert not old or Path("file").read_text() == old


def test_wrong_requests_are_refused_in_one_line(runs, here, capsys):
    assert "did you mean onnx?" in complaint(capsys, runs["mlp"], "--to", "onx")
    assert "there is no folder nowhere" in complaint(capsys, runs["mlp"], "--to", "onnx", "--out", "nowhere/file")
    assert "is a folder" in complaint(capsys, runs["mlp"], "--to", "onnx", "--out", here)
    assert "no such run folder" in complaint(capsys, "nowhere", "--to", "onnx")
    assert "has no labels" in complaint(capsys, runs["mlp"], "--to", "onnx", "--label", "a")
    assert not list(here.iterdir())


def test_a_model_that_a_format_cannot_hold_is_refused_with_the_way_out(runs, here, capsys):
    assert "takes a net" in (found := complaint(capsys, runs["ngram"], "--to", "onnx"))
    assert "an n-gram: use --to arpa" in found
    assert not list(here.iterdir())


def test_a_model_with_labels_is_written_given_one_of_them(runs, here, capsys):
    assert "--label a" in complaint(capsys, runs["labelled"], "--to", "arpa")
    assert "did you mean" not in complaint(capsys, runs["labelled"], "--to", "arpa", "--label", "nonsense")
    assert not list(here.iterdir())
    for label in ("a", "b"):
        assert run(["export", str(runs["labelled"]), "--to", "arpa", "--label", label, "--out", label]) == 0
    assert Path("a").read_bytes() != Path("b").read_bytes()


def test_missing_packages_are_named_with_the_command_that_installs_them(runs, here, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    assert "--to onnx needs the package onnx: " in (found := complaint(capsys, runs["mlp"], "--to", "onnx"))
    assert "-m pip install" in found
