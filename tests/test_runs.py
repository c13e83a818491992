"""Lists of the runs in a folder."""

import json
import math
import os
import re
import signal
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from terminals import lines_on_terminal

import moreish
from moreish.cli import run
from moreish.errors import WorkError


@pytest.fixture(scope="module")
def folder(words, tmp_path_factory) -> Path:
    """A folder with runs of all states: trained by the command and in Python, in this order of time."""
    folder = tmp_path_factory.mktemp("lists")
    (folder / "mine.txt").write_text("\n".join(words))
    net = ["--steps", "60", "--n-hidden", "8", "--samples", "0"]
    assert run(["train", str(folder / "mine.txt"), *net, "--out", str(folder / "runs" / "net")]) == 0
    moreish.train(words, "ngram", order=3, out=folder / "runs" / "deeper" / "counts")

    def stop(at):
        if at.step >= 20:
            signal.raise_signal(signal.SIGINT)

    with suppress(KeyboardInterrupt):
        out = folder / "runs" / "stopped"
        moreish.train(words, "mlp", steps=400_000, log_every=10, n_hidden=8, out=out, on_progress=stop)
    with suppress(WorkError):
        bad: dict[str, Any] = {"optimizer": "sgd", "lr": 1e5, "activation": "relu", "schedule": "constant"}
        moreish.train(words, "mlp", steps=500, n_hidden=8, out=folder / "runs" / "diverged", **bad)
    for i, name in enumerate(("net", "deeper/counts", "stopped", "diverged")):
        for path in (folder / "runs" / name).iterdir():
            os.utime(path, (1_700_000_000 + 60 * i, 1_700_000_000 + 60 * i))
    return folder / "runs"


def listed(capsys, *arguments):
    assert run(["runs", *map(str, arguments), "--json"]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out)["runs"], captured.err


def test_runs_of_all_states_are_listed_the_newest_first(folder, capsys):
    found, err = listed(capsys, folder)
    assert err == ""
    paths = [str(folder / name) for name in ("diverged", "stopped", "deeper/counts", "net")]
    assert [row["path"] for row in found] == paths
    assert [row["state"] for row in found] == ["diverged", "stopped", "finished", "finished"]
    assert [row["model"] for row in found] == ["mlp", "mlp", "ngram", "mlp"]
    assert [row["parameters"] for row in found] == [moreish.load(path).model.n_parameters for path in paths]
    times = [datetime.fromisoformat(row["when"]).timestamp() for row in found]
    assert times == [1_700_000_000 + 60 * i for i in (3, 2, 1, 0)]


def test_a_trained_run_has_its_losses_and_the_name_of_its_list(folder, capsys):
    (net,) = (row for row in listed(capsys, folder)[0] if row["path"] == str(folder / "net"))
    assert net["list"] == "mine"
    assert net["loss"] == pytest.approx(moreish.load(folder / "net").loss)


def test_a_run_from_python_has_the_best_val_loss_of_its_history(saved_run, folder, capsys):
    (row,), _ = listed(capsys, saved_run.path)
    assert row["loss"] == {"val": min(line["val"] for line in saved_run.history if line["val"] is not None)}
    assert row["list"] == ""
    assert [row["loss"] for row in listed(capsys, folder / "deeper")[0]] == [{}]


def test_the_best_can_come_first(folder, capsys):
    vals = [row["loss"].get("val", 99) for row in listed(capsys, folder, "--sort", "val")[0]]
    assert vals == sorted(vals)
    assert vals[0] < vals[1]


def test_the_table_shows_the_losses(folder, capsys):
    assert run(["runs", str(folder)]) == 0
    head, *rows = capsys.readouterr().out.splitlines()
    assert head.split() == ["run", "list", "model", "parameters", "val", "test", "when", "state"]
    loss = moreish.load(folder / "net").loss
    assert f"{loss['val']:.4f}  {loss['test']:.4f}" in rows[-1]
    assert run(["runs", str(folder / "net")]) == 0  # a run is a folder of one run; all have finished
    assert "state" not in capsys.readouterr().out


def test_neither_weights_nor_words_are_read(folder, tmp_path, capsys):
    for name in ("config.json", "history.jsonl"):
        (tmp_path / name).write_bytes((folder / "net" / name).read_bytes())
    (tmp_path / "model.safetensors").touch()
    (row,), _ = listed(capsys, tmp_path)
    assert row["loss"] == pytest.approx(moreish.load(folder / "net").loss)


@pytest.fixture
def copied(folder, tmp_path) -> Path:
    """A run to damage, beside an intact one."""
    for name in ("damaged", "intact"):
        (tmp_path / name).mkdir()
        for file in ("config.json", "history.jsonl", "model.safetensors"):
            (tmp_path / name / file).write_bytes((folder / "net" / file).read_bytes())
    return tmp_path / "damaged"


def only_the_intact_one(capsys, folder: Path) -> str:
    """Assert that the list has only the intact run; return the messages."""
    found, err = listed(capsys, folder)
    assert [row["path"] for row in found] == [str(folder / "intact")]
    return err


FOREIGN = ["{", "", "[]", "3", '{"model_type": "bert"}', '{"model": "mlp", "train_options": {}}']


@pytest.mark.parametrize("config", FOREIGN)
def test_folders_that_are_no_runs_are_left_out_silently(config, copied, capsys):
    (copied / "history.jsonl").unlink()
    (copied / "config.json").write_text(config)
    assert only_the_intact_one(capsys, copied.parent) == ""


def test_links_are_not_followed(copied, capsys):
    (copied / "config.json").unlink()
    (copied / "all").symlink_to(copied.parent, target_is_directory=True)
    assert only_the_intact_one(capsys, copied.parent) == ""


OF_A_RUN = '"format": 1, "model": "mlp"'
DAMAGED = [
    ("config.json", "{"),
    ("config.json", f'{{{OF_A_RUN}, "train_options": 3}}'),
    ("config.json", f"{{{OF_A_RUN}}}"),
    ("config.json", '{"format": 1, "train_options": {}}'),
    ("config.json", '{"format": 1, "model": [1], "train_options": {"steps": 60}}'),
    ("config.json", f'{{{OF_A_RUN}, "train_options": {{"steps": 60}}, "parameters": Infinity}}'),
    ("config.json", f'{{{OF_A_RUN}, "train_options": {{"steps": 60}}, "loss": {{"val": {"9" * 400}}}}}'),
    ("config.json", f'{{{OF_A_RUN}, "train_options": {{"steps": 60}}, "loss": [2.5]}}'),
    ("history.jsonl", "60"),
    ("history.jsonl", '{"step": 60, "val"'),
    ("history.jsonl", '{"step": 60, "val": "x"}'),
    ("history.jsonl", f'{{"step": 60, "val": {"9" * 400}}}'),
    ("model.safetensors", None),
]


@pytest.mark.parametrize(("name", "text"), DAMAGED)
def test_damaged_runs_are_skipped_with_a_line(name, text, copied, capsys):
    if text is None:
        (copied / name).unlink()
    else:
        if name == "history.jsonl":  # its losses are used if the run has not been evaluated
            stored = json.loads((copied / "config.json").read_text())
            del stored["loss"]
            (copied / "config.json").write_text(json.dumps(stored))
        (copied / name).write_text(text)
    (line,) = only_the_intact_one(capsys, copied.parent).splitlines()
    assert line.startswith(f"skipped: {copied / name}: ")
    assert not re.search("indices|object|NoneType|argument", line)


def test_a_damaged_run_names_what_is_missing(copied, capsys):
    (copied / "config.json").write_text(f"{{{OF_A_RUN}}}")
    assert '("train_options" is missing)' in only_the_intact_one(capsys, copied.parent)


def test_a_finished_training_without_any_learning_has_diverged(words, copied, capsys):
    bad: dict[str, Any] = {"n_hidden": 8, "lr": 50.0, "keep": "last", "out": copied.parent / "bad"}
    trained = moreish.train(words, "mlp", steps=100, **bad)
    assert trained.loss["val"] > math.log(len(trained.model.vocab))
    states = {Path(row["path"]).name: row["state"] for row in listed(capsys, copied.parent)[0]}
    assert states == {"bad": "diverged", "damaged": "finished", "intact": "finished"}


@pytest.mark.skipif(os.name == "nt", reason="no pseudo-terminals")
def test_a_terminal_of_80_columns_shows_each_run_in_one_line(copied, monkeypatch):
    stored = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**stored, "parameters": 44_707, "list": "list" * 75}))
    (copied / "model.safetensors").rename(copied / "checkpoint.safetensors")
    (copied.parent / "runs").mkdir()
    for name in ("damaged", "intact"):
        (copied.parent / name).rename(copied.parent / "runs" / name)
    os.utime(copied.parent / "runs" / "intact" / "model.safetensors", (1_700_000_000, 1_700_000_000))
    monkeypatch.chdir(copied.parent)
    head, damaged, intact = lines_on_terminal(json.dumps([["runs"]]), 80)
    assert head.split() == ["run", "list", "model", "params", "val", "test", "when", "state"]
    assert "44.7k" in damaged
    assert re.search(r"  (list)+[a-z]*\.\.\.  mlp", damaged)
    assert re.search(r" \d\d:\d\d  unfinished$", damaged)
    assert "  2023-11-1" in intact


def test_losses_that_are_not_finite_are_left_out_and_come_last(copied, capsys):
    stored = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(
        json.dumps({**stored, "loss": {"train": 2.5, "val": math.nan, "test": math.inf}})
    )
    found, err = listed(capsys, copied.parent, "--sort", "val")
    assert err == ""
    assert [Path(row["path"]).name for row in found] == ["intact", "damaged"]
    assert found[1]["loss"] == {"train": 2.5}


def test_a_folder_without_runs_and_one_that_is_missing(tmp_path, capsys):
    assert run(["runs", str(tmp_path)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == f"no runs in {tmp_path}; create one with: moreish train\n"
    assert run(["runs", str(tmp_path / "nowhere")]) == 2
    assert "no such folder" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert run(["runs", str(tmp_path / "file")]) == 2
    assert "file: a file: give a folder of runs" in capsys.readouterr().err


def test_the_loss_is_kept_where_the_folder_can_be_written(words, tmp_path):
    kept = moreish.train(words, "bigram-counts", out=tmp_path / "run")
    kept.keep_loss()
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    assert stored["loss"] == kept.loss
    assert moreish.load(tmp_path / "run").loss == pytest.approx(kept.loss)
    gone = kept.path = tmp_path / "gone"
    kept.keep_loss()
    assert not gone.exists()
