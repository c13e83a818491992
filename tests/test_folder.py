"""The folder of a run: beginnings that were killed, folders that are taken away, and links."""

import os
from pathlib import Path
from typing import Any

import pytest
from conftest import taken_away

import moreish
from moreish import InputError, WorkError
from moreish.cli import run as command
from moreish.files import write_atomically
from moreish.training.checkpoint import CHECKPOINT
from moreish.training.folder import (
    BEGINNING,
    COLUMNS,
    CONFIG,
    HISTORY,
    MODEL,
    PLAN,
    WORDS,
    check_free,
    free_folder,
    new_folder,
)
from moreish.training.loop import Loop

WORDS_OF_TEST = [f"{a}{b}{c}" for a in "abc" for b in "de" for c in "fg"] * 2
SMALL: dict[str, Any] = {"model": "mlp", "n_hidden": 8, "steps": 20, "batch_size": 8}


class Died(BaseException):
    """A kill, in this process."""


def trained(folder: Path) -> Path:
    """Train a small run into a folder, and return the folder."""
    moreish.train(WORDS_OF_TEST, **SMALL, out=folder)
    return folder


def killed_beginning(folder, monkeypatch, **options):
    """Train until config.json would be written, and die there."""

    def replaced(source, target, *more):
        if str(target).endswith(CONFIG):
            raise Died
        return replace(source, target, *more)

    replace = os.replace
    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replaced)
        patched.setattr("moreish.training.folder.discard_folder", lambda *_: None)  # no process that died does that
        with pytest.raises(Died):
            moreish.train(WORDS_OF_TEST, out=folder, **options)
    assert not (folder / CONFIG).exists()


@pytest.mark.parametrize("options", [SMALL, {**SMALL, "members": 2}, {"model": "ngram"}])
def test_what_a_killed_beginning_has_left_is_taken_over(tmp_path, monkeypatch, options):
    folder = tmp_path / "runs" / "words-mlp"
    labels = [word[0] for word in WORDS_OF_TEST]
    killed_beginning(folder, monkeypatch, **options, labels=labels)
    assert (folder / BEGINNING).exists()
    (folder / f"{WORDS}.part").write_text("half a li")
    with pytest.raises(InputError, match=rf"train one with: moreish train --out {folder}|no member has begun"):
        moreish.load(folder)
    assert free_folder(folder) == folder
    run = moreish.train(WORDS_OF_TEST, out=folder, **options)
    assert run.path == folder
    names = {path.name for path in folder.iterdir()}
    assert names == {CONFIG, WORDS, HISTORY, MODEL}  # no labels of the list before
    assert list(moreish.load(folder).corpus.words) == list(run.corpus.words)


def test_what_a_kill_at_the_first_write_has_left_is_taken_over(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / f"{BEGINNING}.part").write_text("half a li")
    assert trained(folder) == folder
    assert {path.name for path in folder.iterdir()} == {CONFIG, WORDS, HISTORY, MODEL}


@pytest.mark.parametrize("name", [WORDS, PLAN, COLUMNS])
def test_files_of_a_user_with_names_of_ours_are_kept(tmp_path, name):
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(InputError, match="choose another folder"):
        moreish.train(WORDS_OF_TEST, "ngram", out=tmp_path)
    assert free_folder(tmp_path) == tmp_path.with_name(f"{tmp_path.name}-2")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {name: "mine\n"}


def test_a_file_of_a_user_in_a_killed_beginning_is_kept(tmp_path, monkeypatch):
    folder = tmp_path / "run"
    killed_beginning(folder, monkeypatch, **SMALL)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty: choose another folder"):
        moreish.train(WORDS_OF_TEST, out=folder, **SMALL)
    assert (folder / "notes.txt").read_text() == "mine"


@pytest.mark.skipif(os.name != "posix", reason="needs flock")
def test_a_beginning_that_is_under_way_is_left_alone(tmp_path, monkeypatch):
    import fcntl

    folder = tmp_path / "run"
    killed_beginning(folder, monkeypatch, **SMALL)
    before = sorted(path.name for path in folder.iterdir())
    opened = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(opened, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another process"):
            moreish.train(WORDS_OF_TEST, out=folder, **SMALL)
    finally:
        os.close(opened)
    assert sorted(path.name for path in folder.iterdir()) == before


@pytest.mark.skipif(os.name != "posix", reason="an open folder can be moved")
@pytest.mark.parametrize("how", ["moved", "deleted", "file", "folder"])
@pytest.mark.parametrize("members", [None, 2])
def test_a_training_whose_folder_is_taken_away_is_saved(tmp_path, monkeypatch, how, members):
    monkeypatch.setattr("moreish.training.fit.CHECKPOINT_SECONDS", 0.0)
    folder = tmp_path / "run"
    whole = moreish.train(WORDS_OF_TEST, members=members, **SMALL)

    def take_away(at):
        if at.step == (30 if members else 10) and not (tmp_path / "gone").exists():
            (tmp_path / "gone").touch()
            taken_away(folder, how)

    with pytest.raises(WorkError, match=r"was moved, deleted or replaced .* moreish train --resume \S+$"):
        moreish.train(WORDS_OF_TEST, out=folder, on_progress=take_away, members=members, **SMALL)
    saved = folder if how in ("moved", "deleted") else tmp_path / "run-2"
    resumed = moreish.resume(saved).model.weights
    assert resumed.keys() == whole.model.weights.keys()
    for name, weight in whole.model.weights.items():
        assert resumed[name].tobytes() == weight.tobytes()
    if how == "file":
        assert folder.read_text() == "mine"
    if how == "folder":
        assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.skipif(os.name != "posix", reason="an open folder can be moved")
@pytest.mark.parametrize("how", ["deleted", "folder"])
def test_an_ensemble_whose_folder_is_taken_away_between_its_members_is_saved(tmp_path, how):
    folder = tmp_path / "run"

    def take_away(at):
        if at.step == 40 and folder.exists():  # the last step of the second member
            taken_away(folder, how)

    with pytest.raises(WorkError, match=r"was moved, deleted or replaced .* moreish train --resume \S+$"):
        moreish.train(WORDS_OF_TEST, out=folder, on_progress=take_away, members=3, **SMALL)
    saved = folder if how == "deleted" else tmp_path / "run-2"
    assert len(moreish.load(saved).model.weights["weights"]) == 2
    assert moreish.resume(saved).loss == moreish.train(WORDS_OF_TEST, members=3, **SMALL).loss
    if how == "folder":
        assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.skipif(os.name != "posix", reason="an open folder can be moved")
def test_a_member_does_not_begin_in_a_folder_that_has_replaced_that_of_its_ensemble(tmp_path, monkeypatch):
    folder, loops = tmp_path / "run", []

    def loop(*arguments, **options):
        loops.append(Loop(*arguments, **options))
        if len(loops) == 2:
            taken_away(folder, "folder")
        return loops[-1]

    monkeypatch.setattr("moreish.training.fit.Loop", loop)
    with pytest.raises(WorkError, match=r"moreish train --resume \S+run-2$"):
        moreish.train(WORDS_OF_TEST, out=folder, members=2, **SMALL)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert moreish.resume(tmp_path / "run-2").loss == moreish.train(WORDS_OF_TEST, members=2, **SMALL).loss


@pytest.mark.skipif(os.name != "posix", reason="an open folder can be moved")
@pytest.mark.parametrize("name", [HISTORY, CHECKPOINT, MODEL])
@pytest.mark.parametrize("members", [None, 2])
def test_a_training_whose_folder_is_taken_away_in_the_middle_of_a_write_is_saved(tmp_path, monkeypatch, name, members):
    monkeypatch.setattr("moreish.training.fit.CHECKPOINT_SECONDS", 0.0)
    folder, whole = tmp_path / "run", moreish.train(WORDS_OF_TEST, members=members, **SMALL)

    def write(path, data):
        if path.name == name and (path.parent / CONFIG).exists() and not (tmp_path / "gone").exists():
            (tmp_path / "gone").touch()
            taken_away(folder, "folder")
        write_atomically(path, data)

    for module in ("fit", "saving"):
        monkeypatch.setattr(f"moreish.training.{module}.write_atomically", write)
    saved = tmp_path / "run-2"
    if name == MODEL and not members:
        assert moreish.train(WORDS_OF_TEST, out=folder, **SMALL).path == saved
    else:
        with pytest.raises(WorkError, match=r"was moved, deleted or replaced .* moreish train --resume \S+$"):
            moreish.train(WORDS_OF_TEST, out=folder, members=members, **SMALL)
        moreish.resume(saved)
    assert moreish.load(saved).loss == whole.loss
    assert not (tmp_path / "run-3").exists()


def test_a_folder_that_replaces_that_of_a_training_keeps_its_files(tmp_path):
    folder = tmp_path / "run"

    def begin() -> None:
        with new_folder(folder):
            taken_away(folder, "moved")
            folder.mkdir()
            (folder / WORDS).write_text("mine")
            raise Died

    with pytest.raises(Died):
        begin()
    assert (folder / WORDS).read_text() == "mine"


def test_losses_go_into_no_other_run(tmp_path):
    folder = tmp_path / "run"
    run = moreish.train(WORDS_OF_TEST, "ngram", out=folder)
    taken_away(folder, "deleted")
    moreish.train(WORDS_OF_TEST[::-1], "bigram-counts", out=folder)
    before = (folder / CONFIG).read_bytes()
    _ = run.loss
    run.keep_loss()
    assert (folder / CONFIG).read_bytes() == before


def linked(path, target):
    path.unlink(missing_ok=True)
    path.symlink_to(target)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no links for everybody")
@pytest.mark.parametrize("name", [CONFIG, WORDS, HISTORY, MODEL, CHECKPOINT, COLUMNS, PLAN])
def test_a_link_out_of_a_run_is_refused(tmp_path, name):
    run = trained(tmp_path / "run")
    other = trained(tmp_path / "other")
    linked(run / name, other / name)
    with pytest.raises(InputError, match=rf"{name}: a link out of the folder of the run"):
        moreish.load(run)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no links for everybody")
def test_links_inside_a_run_and_to_a_run_are_followed(tmp_path):
    run = trained(tmp_path / "run")
    (run / MODEL).rename(run / "kept.safetensors")
    linked(run / MODEL, "kept.safetensors")
    linked(tmp_path / "latest", run)
    assert moreish.load(tmp_path / "latest").model.sample(2)


@pytest.mark.skipif(os.name != "posix", reason="Windows has no links for everybody")
def test_nothing_is_written_through_a_link(tmp_path, capsys):
    mine, folder = tmp_path / "mine", tmp_path / "away"
    mine.write_text("mine")
    folder.mkdir()
    run = trained(tmp_path / "run")
    for name in ("report.html", "report.html.part", f"{CONFIG}.part", "history.csv"):
        linked(run / name, mine)
    linked(run / "plots", folder)
    assert command(["report", str(run)]) == 0
    assert command(["plot", str(run), "loss"]) == 2
    assert "plots: a link out of the folder" in capsys.readouterr().err
    assert command(["plot", str(run), "loss", "--out", str(folder)]) == 0  # as asked
    loaded = moreish.load(run)
    assert loaded.loss
    loaded.keep_loss()
    assert mine.read_text() == "mine"
    write_atomically(tmp_path / "run" / "report.html", b"")


def test_a_pipe_in_a_run_does_not_hang_the_list_of_runs(tmp_path, capsys):
    run = trained(tmp_path / "run")
    (run / CONFIG).unlink()
    os.mkfifo(run / CONFIG)
    command(["runs", str(tmp_path)])
    assert "no regular file" in capsys.readouterr().err


def test_a_folder_that_is_free(tmp_path):
    check_free(tmp_path)
    check_free(tmp_path / "new")
    (tmp_path / BEGINNING).write_text("")
    check_free(tmp_path)
