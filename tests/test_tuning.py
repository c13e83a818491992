"""Tuning: the search space, the criterion, and studies that are resumed, shared by processes and never mixed up."""

import errno
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words, other_words_in, overlapping_ticks, taken_away
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

import moreish
from moreish import InputError, WorkError
from moreish.cli import run
from moreish.evaluation import evaluate
from moreish.models import MODELS, make_config
from moreish.plots import plot_study
from moreish.training.journal import Journal
from moreish.training.options import TrainOptions
from moreish.training.tuning import ended_well, space_of

QUICK: dict[str, Any] = {"steps": 60, "batch_size": 16, "block_size": 3, "n_layer": 1}
NONE: dict[str, Any] = {}


@pytest.fixture(scope="module")
def tuned(words, tmp_path_factory) -> moreish.Tuned:
    """A small study. Tests must not change it."""
    return moreish.tune(words, "mlp", out=tmp_path_factory.mktemp("tuned") / "study", trials=12, **QUICK)


def test_the_best_run_is_that_of_the_least_val_loss(tuned):
    trials = ended_well(tuned.study)
    assert len(tuned.study.trials) == 12
    losses = [loss for loss, _ in trials]
    assert losses == sorted(losses)
    best = trials[0][1]
    assert tuned.run.loss["val"] == pytest.approx(losses[0])
    for name, value in best.params.items():
        where = tuned.run.model.config if hasattr(tuned.run.model.config, name) else tuned.run.options
        assert getattr(where, name) == value
    first = tuned.study.trials[0]
    assert (first.params["n_embd"], first.params["n_hidden"]) == (24, 256), "the defaults come first"
    assert losses[0] <= (first.value or 0)
    folder = tuned.run.path.parent
    assert {path.name for path in folder.iterdir()} == {"study.journal", f"trial-{best.number}"}


@pytest.mark.parametrize(("model", "options"), [("mlp", QUICK), ("ngram", NONE)])
def test_test_words_play_no_part(model, options, tmp_path):
    words = list(dict.fromkeys(made_up_words(900)))
    losses, without_test, without_val = (
        [trial.value for trial in moreish.tune(listed, model, out=tmp_path / name, trials=2, **options).study.trials]
        for name, listed in {
            "all": words,
            "other test words": other_words_in(words, "test"),
            "other val words": other_words_in(words, "val"),
        }.items()
    )
    assert losses == without_test
    assert losses != without_val


@pytest.mark.parametrize("model", MODELS)
def test_every_model_says_what_is_searched(model, words):
    config = MODELS[model]
    options = TrainOptions()
    if config.defaults:
        options = options.resolved(config.defaults, 1000)
    space = space_of(config, options, ())
    assert space
    for name, values in space.items():
        default = getattr(config if hasattr(config, name) else options, name)
        within = default in values if isinstance(values, list) else values[0] <= default <= values[1]
        assert within, f"the default of {name} is among what is searched"
        for value in values:  # every value is allowed
            given: dict[str, Any] = {name: value}
            make_config(model, given) if hasattr(config, name) else TrainOptions(**given)
    for name in space:
        assert name not in space_of(config, options, [name])


def test_a_study_is_gone_on_with_and_not_taken_for_another(words, tmp_path):
    again = moreish.tune(words, "ngram", out=tmp_path / "study", trials=3)
    before = [trial.params for trial in again.study.trials]
    assert [t.params for t in moreish.tune(words, "ngram", out=tmp_path / "study", trials=3).study.trials] == before
    more = moreish.tune(words, "ngram", out=tmp_path / "study", trials=5).study.trials
    assert [trial.params for trial in more[:3]] == before
    assert len(more) == 5
    # The seed decides the trials of a study, until another process joins it.
    same = moreish.tune(words, "ngram", out=tmp_path / "same", trials=3)
    assert [trial.params for trial in same.study.trials] == before
    for what, call in {
        "model is ngram": lambda: moreish.tune(words, "bigram-counts", out=tmp_path / "study"),
        "data sha256 is": lambda: moreish.tune(words[:-1], "ngram", out=tmp_path / "study"),
        "split is": lambda: moreish.tune(words, "ngram", split_seed=3, out=tmp_path / "study"),
        "fixed is": lambda: moreish.tune(words, "ngram", order=3, out=tmp_path / "study"),
        "holds no study": lambda: moreish.tune(words, "ngram", out=tmp_path),
        "is left to search": lambda: moreish.tune(words, "bigram-counts", added=1.0, out=tmp_path / "none"),
        "at least 1": lambda: moreish.tune(words, "ngram", trials=0, out=tmp_path / "none"),
    }.items():
        with pytest.raises(InputError, match=what):
            call()


def begin(words, tmp_path, trials: int) -> subprocess.Popen:
    """Start a process that works on a study."""
    (tmp_path / "words.txt").write_text("\n".join(words), encoding="utf-8")
    options = [part for name, value in QUICK.items() for part in (f"--{name.replace('_', '-')}", str(value))]
    command = ["tune", str(tmp_path / "words.txt"), "--out", str(tmp_path / "study"), "--trials", str(trials), *options]
    return subprocess.Popen([sys.executable, "-m", "moreish", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_processes_share_a_study_and_one_may_be_killed(words, tmp_path):
    first = begin(words, tmp_path, 100)
    journal = tmp_path / "study" / "study.journal"
    end = time.monotonic() + 60
    while not journal.exists() or journal.read_bytes().count(b'"state":1') < 3:
        assert time.monotonic() < end, first.communicate()
        assert first.poll() is None, first.communicate()
        time.sleep(0.01)
    first.kill()
    first.communicate()
    pair = [begin(words, tmp_path, 20) for _ in range(2)]
    for process in pair:
        assert process.wait(timeout=120) == 0, process.communicate()
        process.communicate()
    tuned = moreish.tune(moreish.read_words(tmp_path / "words.txt"), out=tmp_path / "study", trials=1, **QUICK)
    done = [trial for trial in tuned.study.trials if trial.state.name in ("COMPLETE", "PRUNED")]
    assert 20 <= len(done) <= 21
    tried = [json.dumps(trial.params) for trial in tuned.study.trials[1:]]
    assert len(set(tried)) == len(tried), "no two draw the same"
    left = {path.name for path in (tmp_path / "study").glob("trial-*")}
    assert f"trial-{tuned.study.best_trial.number}" in left
    assert evaluate(tuned.run.model, tuned.run.corpus, ["val"]).loss["val"] == pytest.approx(tuned.study.best_value)


@pytest.fixture(scope="module")
def counted(words, tmp_path_factory) -> Path:
    """The folder of a small study. Tests must not change it."""
    folder = tmp_path_factory.mktemp("counted") / "study"
    moreish.tune(words, "ngram", out=folder, trials=3)
    return folder


def ended(study) -> int:
    return len(study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED]))


@pytest.mark.parametrize("cut", [1, 20, 10**9])
def test_a_line_that_was_cut_is_left_out(words, tmp_path, caplog, counted, cut):
    journal = shutil.copytree(counted, tmp_path / "study") / "study.journal"
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(lines[:-1]) + lines[-1][: -min(cut, len(lines[-1]) - 1)])
    study = moreish.tune(words, "ngram", out=tmp_path / "study", trials=4).study
    assert ended(study) == 4
    assert "the last line was cut while it was written" in caplog.text
    after = journal.read_bytes().splitlines(keepends=True)
    assert after[: len(lines) - 1] == lines[:-1]
    assert all(json.loads(line) for line in after)


def test_a_line_that_another_process_leaves_cut_does_not_stop_the_study(words, tmp_path):
    def cut(study, trial):
        with (tmp_path / "study" / "study.journal").open("ab") as file:
            file.write(b'{"op_code":4,"worker')

    study = moreish.tune(words, "ngram", out=tmp_path / "study", trials=3, on_trial=cut).study
    assert ended(study) == 3


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[1,2]",
        "null",
        "[" * 100_000,
        "\x00\xff",
        '{"op_code":77,"worker_id":"x"}',
        '{"op_code":5,"worker_id":"x"}',
        '{"op_code":0,"worker_id":"x","study_name":"a","directions":[9]}',
        '{"op_code":4,"worker_id":"x","study_id":0,"datetime_start":7}',
        '{"op_code":2,"worker_id":"x","study_id":[]}',
    ],
)
@pytest.mark.parametrize("last", [True, False])
def test_a_damaged_line_is_named_and_nothing_is_written(words, tmp_path, counted, line, last):
    journal = shutil.copytree(counted, tmp_path / "study") / "study.journal"
    lines = journal.read_text().splitlines(keepends=True)
    at = len(lines) if last else 3
    lines.insert(at, f"{line}\n")
    journal.write_text("".join(lines), encoding="latin-1")
    before = journal.read_bytes()
    with pytest.raises(InputError, match=rf"study.journal is damaged at line {at + 1} \(.*--out\)$") as raised:
        moreish.tune(words, "ngram", out=tmp_path / "study", trials=4)
    assert "\n" not in str(raised.value)
    assert journal.read_bytes() == before


def test_a_best_run_that_was_removed_is_named(words, tmp_path, counted):
    shutil.copytree(counted, tmp_path / "study", ignore=shutil.ignore_patterns("trial-*"))
    with pytest.raises(InputError, match=r"study/trial-\d: the run of the best trial was removed: restore"):
        moreish.tune(words, "ngram", out=tmp_path / "study", trials=3)


def test_a_journal_that_is_a_folder_is_one_line(words, tmp_path):
    (tmp_path / "study" / "study.journal").mkdir(parents=True)
    with pytest.raises(InputError, match=r"study.journal: cannot be read .*--out"):
        moreish.tune(words, "ngram", out=tmp_path / "study")


@pytest.mark.skipif(sys.platform == "win32", reason="an open folder can be moved")
@pytest.mark.parametrize("how", ["moved", "deleted", "file", "folder"])
@pytest.mark.parametrize("when", ["in a trial", "between trials"])
def test_a_study_whose_folder_is_taken_away_ends_in_one_line(words, tmp_path, monkeypatch, how, when):
    folder, losses = tmp_path / "study", []

    def take_away(*_):
        taken_away(folder, how)

    def evaluate_and_take_away(*arguments):
        losses.append(evaluate(*arguments))
        if len(losses) == 2:
            take_away()
        return losses[-1]

    if when == "in a trial":
        monkeypatch.setattr("moreish.training.tuning.evaluate", evaluate_and_take_away)
    with pytest.raises(WorkError, match="study was moved, deleted or replaced during the study: the trial in progress"):
        moreish.tune(words, "ngram", out=folder, trials=4, on_trial=take_away if when == "between trials" else None)
    if how == "folder":
        assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    elif how != "file":
        assert not folder.exists()
    if how != "deleted":
        monkeypatch.undo()
        assert ended(moreish.tune(words, "ngram", out=tmp_path / "elsewhere", trials=4).study) == 4


def test_a_full_disk_is_one_line_and_the_study_continues(words, tmp_path, monkeypatch):
    append = JournalFileBackend.append_logs

    def full(journal, logs):
        if logs[0].get("state") == TrialState.COMPLETE:
            with (tmp_path / "study" / "study.journal").open("ab") as file:
                file.write(b'{"op_code":6,')
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(journal, logs)

    monkeypatch.setattr(JournalFileBackend, "append_logs", full)
    with pytest.raises(WorkError, match=r"study.journal: cannot be read or written \(No space left on device\)"):
        moreish.tune(words, "ngram", out=tmp_path / "study", trials=3)
    monkeypatch.undo()
    assert ended(moreish.tune(words, "ngram", out=tmp_path / "study", trials=3).study) == 3


def test_ctrl_c_while_a_result_is_noted_says_how_to_continue(words, tmp_path, monkeypatch):
    append = Journal.append_logs

    def interrupted(journal, logs):
        if logs[0].get("state") == TrialState.COMPLETE:
            raise KeyboardInterrupt
        append(journal, logs)

    monkeypatch.setattr(Journal, "append_logs", interrupted)
    with pytest.raises(KeyboardInterrupt, match="the study is saved in .*: the same command continues it"):
        moreish.tune(words, "ngram", out=tmp_path / "study", trials=3)
    monkeypatch.undo()
    assert ended(moreish.tune(words, "ngram", out=tmp_path / "study", trials=3).study) == 3


def test_a_rate_that_ends_in_no_number_is_pruned(words, tmp_path):
    with pytest.raises(InputError, match="no trial has finished"):
        moreish.tune(words, "mlp", out=tmp_path / "study", trials=3, optimizer="sgd", lr=1e5, init="naive", steps=40)
    assert (tmp_path / "study" / "study.journal").read_text().count('"state":2') == 3, "all three are pruned"


def test_the_picture_shows_every_trial(tuned):
    made = plot_study(tuned.study)
    labels = [ax.get_xlabel() for ax in made.axes]
    assert labels[:2] == ["trial", "percentage of the training"]
    assert set(labels[2:6]) == {"n-embd", "n-hidden", "lr", "weight-decay"}
    trials = ended_well(tuned.study)
    points, best = (np.asarray(line.get_xydata()).tolist() for line in made.axes[0].lines[:2])
    assert sorted(points) == sorted([t.number, loss] for loss, t in trials)
    assert min(loss for _, loss in best) == trials[0][0]
    assert len(made.axes[1].lines) == 12
    pruned = len(trials) < 12
    legend: Any = made.axes[0].get_legend()
    assert [text.get_text() for text in legend.get_texts()] == ["trial", "best so far", *["pruned"] * pruned]
    assert made.get_suptitle().endswith("dotted curves were pruned") == pruned
    assert not overlapping_ticks(made)
    finished = tuned.study.get_trials(states=[TrialState.COMPLETE])
    study = SimpleNamespace(get_trials=lambda **_: finished, best_trial=tuned.study.best_trial)
    none_pruned: Any = plot_study(study).axes[0].get_legend()  # pyright: ignore[reportArgumentType]
    assert [text.get_text() for text in none_pruned.get_texts()] == ["trial", "best so far"]
    in_bits = plot_study(tuned.study, "bits", title="letters, mlp")
    assert in_bits.get_suptitle().startswith("letters, mlp: ")
    assert in_bits.axes[0].get_ylabel() == "val loss (bits per token)"
    heights = np.asarray(in_bits.axes[0].lines[0].get_ydata())
    assert sorted(heights) == pytest.approx([loss / np.log(2) for loss, _ in trials])


def test_the_command(words, tmp_path, capsys, monkeypatch):
    (tmp_path / "words.txt").write_text("\n".join(words), encoding="utf-8")
    command = ["tune", str(tmp_path / "words.txt"), "--model", "ngram", "--out", str(tmp_path / "study")]
    assert run([*command, "--trials", "4"]) == 0
    shown = capsys.readouterr()
    assert "the best run is saved in" in shown.out
    assert shown.err.count("trial-") == 4
    assert (tmp_path / "study" / "study.png").stat().st_size > 10_000
    assert run([*command, "--trials", "4", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["loss"]["val"] == min(trial["val"] for trial in found["trials"])
    assert moreish.load(found["run"]).loss["val"] == pytest.approx(found["loss"]["val"])
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert run(command) == 2
    assert 'pip install "optuna' in capsys.readouterr().err
