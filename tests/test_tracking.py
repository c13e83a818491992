"""`moreish train --track`: what trackers write is what the run's history has, and they never spoil a training."""

import csv
import json
import os
import sqlite3
import struct
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import moreish
from moreish.cli import run
from moreish.errors import InputError

SMALL: dict[str, Any] = {"n_hidden": 16, "n_embd": 4, "batch_size": 32, "steps": 60, "log_every": 7}
FLAGS = [f"--{name.replace('_', '-')}={value}" for name, value in SMALL.items()]


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def events_of(folder: Path) -> list[Any]:
    """The events in a folder's files: before the data of each are its length and a checksum, and after it another."""
    event_pb2: Any = import_module("tensorboardX.proto.event_pb2")

    events = []
    for path in sorted(folder.glob("events.out.tfevents.*")):
        data, at = path.read_bytes(), 0
        while at < len(data):
            (length,) = struct.unpack_from("<Q", data, at)
            events.append(event_pb2.Event.FromString(data[at + 12 : at + 12 + length]))
            at += 16 + length
    return events


def values_of(events: list[Any], tag: str) -> dict[int, Any]:
    return {event.step: value for event in events for value in event.summary.value if value.tag == tag}


def stop_at(step: int):
    """An on_progress that stops a training after a step."""

    def stop(at):
        if at.step >= step:
            raise KeyboardInterrupt

    return stop


class Recorder:
    """A tracker of one's own, which remembers how it was called."""

    def __init__(self, fails_in: str = ""):
        self.calls, self.fails_in = [], fails_in

    def begin(self, run):
        self._call("begin", run)

    def at(self, progress):
        self._call("at", progress)

    def end(self, run):
        self._call("end", run)

    def _call(self, name, value):
        self.calls.append((name, value))
        if name == self.fails_in:
            raise OSError(28, f"no space left in {name}\nand a second line")


@pytest.mark.parametrize("more", [{}, {"average": 0.9}, {"diagnostics": True}], ids=str)
def test_a_csv_file_has_the_numbers_of_the_history(words, tmp_path, more):
    run = moreish.train(words, "mlp", out=tmp_path / "run", track="csv", **SMALL, **more)
    rows = rows_of(tmp_path / "run" / "history.csv")
    names = ["step", "train", "val", "lr", *(["val_of_weights", "val_of_average"] if "average" in more else [])]
    assert set(rows[0]) == {*names, "words"}
    assert [[row[name] for name in names] for row in rows] == [
        ["" if line.get(name) is None else str(line[name]) for name in names] for line in run.history
    ]
    drawn = {int(row["step"]): row["words"].split() for row in rows if row["words"]}
    assert list(drawn) == [step for step in range(1, 61) if step % 7 == 0 or step == 60]
    assert all(len(words) == 10 for words in drawn.values())


def test_the_words_are_those_of_the_weights_at_the_step(words, tmp_path):
    same: dict[str, Any] = {"schedule": "constant", "warmup": 0, "keep": "last"}  # a shorter training begins alike
    moreish.train(words, "mlp", track=f"csv:{tmp_path / 'log.csv'}", **SMALL, **same)
    drawn = {row["step"]: row["words"].split() for row in rows_of(tmp_path / "log.csv")}
    for steps in (28, 60):
        options: dict[str, Any] = {**SMALL, **same, "steps": steps}
        assert drawn[str(steps)] == list(moreish.train(words, "mlp", **options).model.sample(10))
    assert drawn["28"] != drawn["60"]


def test_tensorboard_gets_the_losses_words_and_histograms(words, tmp_path):
    run = moreish.train(
        words, "mlp", out=tmp_path / "run", track=["tensorboard"], diagnostics=True, keep="last", **SMALL
    )
    events = events_of(tmp_path / "run")
    for name in ("train", "val", "lr"):
        expected = {line["step"]: line[name] for line in run.history if line[name] is not None}
        found = {step: value.simple_value for step, value in values_of(events, name).items()}
        assert found == pytest.approx(expected, rel=1e-6)
    drawn = values_of(events, "words/text_summary")
    assert drawn[60].tensor.string_val[0].decode().split() == list(run.model.sample(10, seed=42))
    assert drawn[60].metadata.plugin_data.plugin_name == "text"
    for name, weight in run.model.weights.items():
        if name in run.model.layout.views(run.model.params):
            histogram = values_of(events, name)[60].histo
            assert histogram.num == weight.size
            assert (histogram.min, histogram.max) == (weight.min(), weight.max())
            assert histogram.sum == pytest.approx(weight.sum(dtype=np.float64), rel=1e-5, abs=1e-5 * weight.size)


def test_without_diagnostics_there_are_no_histograms(words, tmp_path):
    moreish.train(words, "mlp", track=f"tensorboard:{tmp_path}", **SMALL)
    assert not any(value.HasField("histo") for event in events_of(tmp_path) for value in event.summary.value)


def test_tracking_changes_nothing_in_the_training(words, tmp_path):
    options: dict[str, Any] = {"n_hidden": 8, "steps": 40, "dropout": 0.2}
    recorder = Recorder()
    alone = moreish.train(words, "gru", **options)
    tracked = moreish.train(words, "gru", track=[f"csv:{tmp_path / 'log.csv'}", recorder], **options)
    assert alone.model.params.tobytes() == tracked.model.params.tobytes()
    assert [line["losses"] for line in alone.history] == [line["losses"] for line in tracked.history]
    assert [name for name, _ in recorder.calls] == ["begin", *["at"] * len(tracked.history), "end"]
    assert [at.step for name, at in recorder.calls if name == "at"] == [line["step"] for line in tracked.history]
    assert recorder.calls[0][1] is tracked
    assert recorder.calls[-1][1] is tracked


@pytest.mark.parametrize("kind", ["csv", "tensorboard"])
def test_a_resumed_training_goes_on_in_the_same_log(words, tmp_path, kind):
    whole = moreish.train(words, "mlp", out=tmp_path / "whole", track=kind, **SMALL)
    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, "mlp", out=tmp_path / "run", track=kind, on_progress=stop_at(30), **SMALL)
    moreish.resume(tmp_path / "run", track=kind)  # from a checkpoint that is older than the log
    if kind == "csv":
        assert (tmp_path / "run" / "history.csv").read_bytes() == (tmp_path / "whole" / "history.csv").read_bytes()
        return
    seen: dict[int, float] = {}
    for event in events_of(tmp_path / "run"):  # as TensorBoard reads them: a start hides what was at later steps
        if event.session_log.status == event.session_log.START:
            seen = {step: value for step, value in seen.items() if step < event.step}
        assert event.step not in seen or not values_of([event], "train")
        seen |= {step: value.simple_value for step, value in values_of([event], "train").items()}
    assert seen == pytest.approx({line["step"]: line["train"] for line in whole.history}, rel=1e-6)


def test_a_csv_file_of_something_else_stays_as_it_is(words, tmp_path):
    list_file = tmp_path / "list.csv"
    list_file.write_text("name,country\nanna,se\n")
    with pytest.raises(InputError, match="list.csv already exists: name another file"):
        moreish.train(words, "mlp", out=tmp_path / "run", track=f"csv:{list_file}", **SMALL)
    assert not (tmp_path / "run").exists()
    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, "mlp", out=tmp_path / "run", on_progress=stop_at(30), **SMALL)
    with pytest.raises(InputError, match="list.csv is not a log of --track csv: name another file"):
        moreish.resume(tmp_path / "run", track=f"csv:{list_file}")
    assert list_file.read_text() == "name,country\nanna,se\n"


def test_members_of_an_ensemble_follow_each_other_in_one_log(words, tmp_path):
    moreish.train(words, "mlp", members=2, out=tmp_path / "run", track="csv", **SMALL)
    steps = [int(row["step"]) for row in rows_of(tmp_path / "run" / "history.csv")]
    assert steps == sorted(set(steps))
    assert {60, 120} <= set(steps)


@pytest.mark.parametrize("method", ["begin", "at", "end"])
def test_a_tracker_that_fails_is_left_out_with_one_line(words, method, caplog):
    alone, broken, works = moreish.train(words, "mlp", **SMALL), Recorder(method), Recorder()
    tracked = moreish.train(words, "mlp", track=[broken, works], **SMALL)
    assert tracked.model.params.tobytes() == alone.model.params.tobytes()
    assert broken.calls[-1][0] == method
    assert works.calls[-1][0] == "end"
    assert [record.getMessage() for record in caplog.records] == [
        f"--track Recorder stopped, and the training goes on without it: [Errno 28] no space left in {method}"
    ]


def test_a_log_that_can_no_longer_be_written_does_not_end_the_training(words, tmp_path, caplog):
    alone = moreish.train(words, "mlp", **SMALL)

    def remove(at):
        if at.step > 20 and (tmp_path / "logs").exists():
            (tmp_path / "logs" / "log.csv").unlink()
            (tmp_path / "logs").rmdir()

    (tmp_path / "file").write_text("")
    track = [f"csv:{tmp_path / 'logs' / 'log.csv'}", f"tensorboard:{tmp_path / 'file'}"]
    tracked = moreish.train(words, "mlp", track=track, on_progress=remove, **SMALL)
    assert tracked.model.params.tobytes() == alone.model.params.tobytes()
    told = [record.getMessage().partition(":")[0] for record in caplog.records]
    assert told == [f"--track {name} stopped, and the training goes on without it" for name in ("tensorboard", "csv")]


def test_a_tracker_ends_when_a_training_is_stopped(words):
    recorder = Recorder()
    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, "mlp", track=[recorder], on_progress=stop_at(30), **SMALL)
    assert recorder.calls[-1][0] == "end"


def test_a_counted_model_says_that_there_is_nothing_to_track(words, tmp_path, caplog):
    moreish.train(words, "ngram", out=tmp_path / "run", track="csv")
    assert [record.getMessage() for record in caplog.records] == [
        "nothing was tracked: a model that is counted has no steps"
    ]
    assert not (tmp_path / "run" / "history.csv").exists()


@pytest.mark.parametrize(
    ("track", "package", "message"),
    [
        ("tensorbord", "", "unknown tracker tensorbord; did you mean tensorboard? (known: tensorboard, csv, trackio, "),
        ("tensorboard", "tensorboardX", "--track tensorboard needs the package tensorboardX: "),
        ("trackio:p", "trackio", "--track trackio needs the package trackio: "),
        ("wandb", "wandb", "--track wandb needs the package wandb: "),
    ],
)
def test_a_wrong_request_is_refused_before_the_training(tmp_path, capsys, monkeypatch, track, package, message):
    if package:
        monkeypatch.setitem(sys.modules, package, None)
    assert run(["train", "--steps", "5", "--out", str(tmp_path / "run"), "--track", track]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"moreish: {message}")
    assert err.count("\n") == 1
    assert not package or " -m pip install " in err
    assert not (tmp_path / "run").exists()


def test_tensorboard_needs_a_folder(words):
    with pytest.raises(InputError, match="the run has no folder: name one for TensorBoard, as in --track tensorboard:"):
        moreish.train(words, "mlp", track="tensorboard", **SMALL)


def test_the_command_tracks_what_it_chooses_and_what_it_resumes(words, file, tmp_path):
    chosen = [file("\n".join(words)), "--recipe", "uncounted", "--epochs", "2", "--members", "1"]
    assert run(["train", *chosen, "--out", "chosen", "--track", "csv"]) == 0
    assert int(rows_of(Path("chosen", "history.csv"))[-1]["step"]) == moreish.load("chosen").options.steps
    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, "mlp", out="stopped", on_progress=stop_at(30), **SMALL)
    assert run(["train", "--resume", "stopped", "--track", "csv:a.csv", "--track", "csv:b.csv"]) == 0
    history = moreish.load("stopped").history
    for name in ("a.csv", "b.csv"):
        assert [int(row["step"]) for row in rows_of(Path(name))] == [line["step"] for line in history]


def command_in(folder: Path, *track: str, **environment: str) -> moreish.Run:
    """Train with trackers, in a process of its own, in a folder; return the run."""
    done = subprocess.run(
        [sys.executable, "-m", "moreish", "train", "--out", "tracked", "--diagnostics", *FLAGS, *track],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("mlp: "), "the output has only results"
    assert "goes on without it" not in done.stderr
    return moreish.load(folder / "tracked")


def check(logged: dict[int, dict[str, Any]], trained: moreish.Run) -> None:
    """Check what a service has logged, by step, against the history of a run."""
    assert list(logged) == [line["step"] for line in trained.history]
    for line, values in zip(trained.history, logged.values(), strict=True):
        expected = {name: line[name] for name in ("train", "val", "lr") if line[name] is not None}
        assert {name: values[name] for name in ("train", "val", "lr") if name in values} == pytest.approx(expected)
        for name, weight in trained.model.layout.views(trained.model.params).items():
            assert len(values[name]["bins"]) == len(values[name]["values"]) + 1
            assert sum(values[name]["values"]) == weight.size
    assert len(logged[60]["words"].split()) == 10


def test_trackio_gets_the_numbers_of_the_history(tmp_path):
    pytest.importorskip("trackio", exc_type=ImportError)
    trained = command_in(tmp_path, "--track", "trackio:words", TRACKIO_DIR=str(tmp_path / "logs"))
    with sqlite3.connect(tmp_path / "logs" / "words.db") as database:
        rows = database.execute("select step, run_name, metrics from metrics order by step").fetchall()
    assert {name for _, name, _ in rows} == {"tracked"}
    check({step: json.loads(metrics) for step, _, metrics in rows}, trained)


def test_wandb_gets_the_numbers_of_the_history_without_a_network(tmp_path):
    pytest.importorskip("wandb", exc_type=ImportError)
    trained = command_in(tmp_path, "--track", "wandb:words", WANDB_MODE="offline", WANDB_SILENT="true")
    (path,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    records = wandb_records(path)
    (begun,) = [record.run for record in records if record.WhichOneof("record_type") == "run"]
    assert (begun.project, begun.display_name, begun.run_group) == ("words", "tracked", "tracked")
    logged: dict[int, dict[str, Any]] = {}
    for record in records:
        if record.WhichOneof("record_type") == "history":
            values = logged.setdefault(record.history.step.num, {})
            for item in record.history.item:
                outer, *inner = item.nested_key or [item.key]
                value = json.loads(item.value_json)
                values[outer] = {**values.get(outer, {}), inner[0]: value} if inner else value
    check(logged, trained)


def wandb_records(path: Path) -> list[Any]:
    """The records of a file of wandb: after 7 bytes, blocks of 32 KB with pieces of records, as in LevelDB's log."""
    from wandb.proto import wandb_internal_pb2  # pyright: ignore[reportMissingImports]

    data, at, whole, records = path.read_bytes(), 7, b"", []
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:
            at += 32768 - at % 32768
            continue
        _, length, kind = struct.unpack_from("<IHB", data, at)
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # a whole record, or the last piece of one
            records.append(wandb_internal_pb2.Record.FromString(whole))
            whole = b""
    return records
