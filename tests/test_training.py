"""Training: the same seed gives the same bytes, a stopped or killed run can be resumed, and a failure loses nothing."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from typing import Any

import numpy as np
import pytest

import moreish
from moreish import InputError, WorkError
from moreish.training.checkpoint import CHECKPOINT, load_checkpoint
from moreish.training.folder import CONFIG, HISTORY, MODEL

SMALL: dict[str, Any] = {"n_hidden": 16, "n_embd": 4, "batch_size": 32}


def test_the_same_seed_gives_the_same_bytes(words, tmp_path):
    for name in ("one", "other"):
        moreish.train(words, **SMALL, steps=150, out=tmp_path / name)
    assert (tmp_path / "one" / MODEL).read_bytes() == (tmp_path / "other" / MODEL).read_bytes()
    different = moreish.train(words, **SMALL, steps=150, seed=43)
    assert different.model.params.tobytes() != moreish.load(tmp_path / "one").model.params.tobytes()


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_training_learns(words, optimizer):
    run = moreish.train(words, **SMALL, steps=1000, optimizer=optimizer, lr=0.01 if optimizer == "adamw" else 0.1)
    assert run.loss["train"] < 0.75 * np.log(len(run.corpus.vocab))
    assert run.history[-1]["train"] < run.history[0]["train"]


def run_cli(*arguments):
    """Start `moreish train` in a process that saves its state ten times a second."""
    script = (
        "import signal; from moreish.training import fit; fit.CHECKPOINT_SECONDS = 0.1\n"
        "signal.signal(signal.SIGHUP, signal.SIG_DFL)  # nohup ignores it\n"
        "from moreish.__main__ import main; main()"
    )
    command = [sys.executable, "-c", script, "train", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_progress(process, folder, seconds=60):
    """Wait until a process has saved its state once more, then for a random time, short compared with the run."""

    def saved():
        return (folder / CHECKPOINT).stat().st_mtime_ns if (folder / CHECKPOINT).exists() else 0

    end, before = time.monotonic() + seconds, saved()
    while saved() in (0, before):
        before = before or saved()
        assert time.monotonic() < end
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.005)
    time.sleep(random.uniform(0, 0.2))  # without a seed: every run of this test stops at another moment


def checkpoint_step(folder):
    run = moreish.load(folder)
    return load_checkpoint(folder, run.model, run.options).step


@pytest.fixture
def words_file(words, tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("\n".join(words), encoding="utf-8")
    return path


LONG = ["--n-hidden", "64", "--batch-size", "64", "--steps", "200000", "--keep", "last"]


@pytest.fixture(scope="module")
def never_stopped(words, tmp_path_factory):
    """Weights, as bytes, of a run of LONG that was never stopped."""
    folder = tmp_path_factory.mktemp("whole")
    (folder / "words.txt").write_text("\n".join(words), encoding="utf-8")
    process = run_cli(folder / "words.txt", *LONG, "--out", folder / "run")
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    return (folder / "run" / MODEL).read_bytes()


posix_signals = pytest.mark.skipif(sys.platform == "win32", reason="sends POSIX signals to a process")


@posix_signals
def test_a_run_killed_at_random_moments_ends_with_the_same_bytes(words_file, tmp_path, never_stopped):
    folder = tmp_path / "killed"
    first = (words_file, *LONG, "--out", folder)
    for attempt in range(3):
        process = run_cli(*(first if attempt == 0 else ("--resume", folder)))
        wait_for_progress(process, folder)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    assert not (folder / MODEL).exists(), "the machine was too fast: the run ended before it was killed"
    steps = checkpoint_step(folder)
    assert 0 < steps < 200_000
    run = moreish.resume(folder)
    assert (folder / MODEL).read_bytes() == never_stopped
    assert not (folder / CHECKPOINT).exists()
    lines = [json.loads(line)["step"] for line in (folder / HISTORY).read_text().splitlines()]
    assert lines == sorted(set(lines)) == [line["step"] for line in run.history]
    assert lines[-1] == 200_000


@posix_signals
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_ctrl_c_saves_and_says_how_to_go_on(words_file, tmp_path, never_stopped, name):
    folder = tmp_path / "stopped"
    process = run_cli(words_file, *LONG, "--out", folder)
    wait_for_progress(process, folder)
    process.send_signal(getattr(signal, name))
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert err.strip().splitlines()[-1] == f"moreish: stopped and saved; continue with: moreish train --resume {folder}"
    assert len(moreish.load(folder).model.sample(3)) == 3
    assert checkpoint_step(folder) > 0
    moreish.resume(folder)
    assert (folder / MODEL).read_bytes() == never_stopped
    with pytest.raises(InputError, match="its training is complete"):
        moreish.resume(folder)


def test_the_best_weights_are_kept_or_the_last(tmp_path):
    """A long training on few words overfits: the best val loss comes before the end."""
    words = [
        f"{a}{b}{c}" for a, b, c in zip("abcde" * 8, "fghij" * 8, random.Random(1).choices("klmno", k=40), strict=True)
    ]
    kept = {keep: moreish.train(words, n_hidden=64, steps=2000, keep=keep) for keep in ("best", "last")}
    vals = [line["val"] for line in kept["best"].history if line["val"] is not None]
    assert len(vals) == 20
    assert kept["best"].loss["val"] == pytest.approx(min(vals), rel=1e-6)
    assert kept["last"].loss["val"] == pytest.approx(vals[-1], rel=1e-6)
    assert min(vals) < vals[-1]


AVERAGED: dict[str, Any] = {
    **SMALL,
    "steps": 400,
    "batch_size": 8,
    "lr": 0.1,
    "schedule": "constant",
    "grad_clip": 0.5,
    "average": 0.98,
}


def test_the_average_is_evaluated_and_kept_if_it_is_better(words):
    """At a constant rate the weights swing around a minimum, and their average is nearer to it."""
    runs = {keep: moreish.train(words, **AVERAGED, keep=keep, batch_norm=True) for keep in ("best", "last")}
    without: dict[str, Any] = {**AVERAGED, "average": 0.0}
    plain = moreish.train(words, **without, batch_norm=True)
    both = {
        name: [line[f"val_of_{name}"] for line in runs["best"].history if line["val"] is not None]
        for name in ("weights", "average")
    }
    assert len(both["average"]) == 20
    assert both["weights"] == [line["val"] for line in plain.history if line["val"] is not None]
    assert min(both["average"]) < min(both["weights"]) - 0.01
    assert runs["best"].loss["val"] == pytest.approx(min(both["average"]), rel=1e-6)
    assert runs["last"].loss["val"] == pytest.approx(both["average"][-1], rel=1e-6)
    assert [line["val"] for line in runs["last"].history if line["val"] is not None] == both["average"]
    assert [line["val"] for line in runs["best"].history if line["val"] is not None] == [
        min(pair) for pair in zip(*both.values(), strict=True)
    ]


def test_after_a_training_that_falls_to_the_end_the_weights_are_kept(words):
    run = moreish.train(words, **SMALL, steps=100, schedule="linear", average=1.0)
    vals = [(line["val_of_weights"], line["val_of_average"]) for line in run.history if line["val"] is not None]
    assert run.loss["val"] == pytest.approx(vals[-1][0], rel=1e-6)
    assert vals[-1][0] < vals[-1][1]


def stopped_at(step: int):
    """A function that stops a training after a step."""

    def stop(at):
        if at.step >= step:
            raise KeyboardInterrupt

    return stop


@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
def test_a_clipped_and_averaged_training_resumes_to_the_same_bytes(words, tmp_path, optimizer):
    options: dict[str, Any] = {**AVERAGED, "optimizer": optimizer, "keep": "last", "n_layer": 2, "batch_norm": True}
    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, **options, out=tmp_path / "stopped", on_progress=stopped_at(120))
    assert 0 <= checkpoint_step(tmp_path / "stopped") < 400
    moreish.resume(tmp_path / "stopped")
    moreish.train(words, **options, out=tmp_path / "whole")
    assert (tmp_path / "stopped" / MODEL).read_bytes() == (tmp_path / "whole" / MODEL).read_bytes()


def test_a_training_of_a_model_with_labels_is_averaged(words):
    labels = [("one", "other")[len(word) % 2] for word in words]
    run = moreish.train(words, **AVERAGED, labels=labels, keep="last")
    assert run.loss["val"] == pytest.approx(run.history[-1]["val_of_average"], rel=1e-5)
    assert run.history[-1]["val_of_average"] != run.history[-1]["val_of_weights"]


def test_a_run_of_an_earlier_version_decays_all_its_parameters(words, tmp_path):
    """Its options name neither what decays nor an average."""
    options: dict[str, Any] = {**SMALL, "steps": 200, "weight_decay": 5.0}
    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, **options, decay="all", out=tmp_path / "stopped", on_progress=stopped_at(60))
    config = json.loads((tmp_path / "stopped" / CONFIG).read_text())
    assert config["format"] == 1
    assert not {"decay", "grad_clip", "average", "label_smoothing"} & config["train_options"].keys()
    assert moreish.load(tmp_path / "stopped").options.decay == "all"
    found = moreish.resume(tmp_path / "stopped").model.params.tobytes()
    assert found == moreish.train(words, **options, decay="all").model.params.tobytes()
    spared = moreish.train(words, **options, out=tmp_path / "spared")
    assert spared.model.params.tobytes() != found
    assert json.loads((tmp_path / "spared" / CONFIG).read_text())["format"] == 2, "0.1 does not know the option"
    assert moreish.load(tmp_path / "spared").options == spared.options


def test_a_short_list_does_not_overfit_to_speak_of(words):
    """With 100 words, the defaults beat counts of pairs and do not memorise the train words."""
    run = moreish.train(words[:100], "mlp")
    assert run.options.batch_size == 16
    assert run.loss["val"] < moreish.train(words[:100], "bigram-counts").loss["val"]
    assert run.loss["val"] - run.loss["train"] < 0.3


def test_steps_and_epochs_give_the_length(words):
    tokens = moreish.Corpus(words).stream("train").size - 1
    cases: list[tuple[dict[str, Any], int]] = [
        ({"steps": 7}, 7),
        ({"epochs": 2, "batch_size": 10}, round(2 * tokens / 10)),
        ({"epochs": 0.001, "batch_size": 10}, 1),
    ]
    for options, steps in cases:
        assert moreish.train(words, n_hidden=8, **options).options.steps == steps


@pytest.mark.parametrize("keep", ["best", "last"])
@pytest.mark.parametrize("lr", [1e3, 1e6])
def test_a_loss_that_is_not_finite_stops_and_keeps_good_weights(words, tmp_path, keep, lr):
    folder = tmp_path / "run"
    with pytest.raises(WorkError, match=r"not finite at step \d+: try --lr .* keeps the best weights until then"):
        moreish.train(
            words,
            **SMALL,
            steps=500,
            optimizer="sgd",
            lr=lr,
            schedule="constant",
            activation="relu",
            n_layer=3,
            keep=keep,
            out=folder,
        )
    run = moreish.load(folder)
    assert np.isfinite(run.model.params).all()
    assert np.isfinite(moreish.evaluate(run.model, run.corpus).loss["val"])


@pytest.mark.parametrize("writes", range(4))
@pytest.mark.parametrize("model", ["mlp", "bigram-counts"])
def test_a_run_that_cannot_begin_leaves_nothing(words, tmp_path, monkeypatch, writes, model):
    """The disk is full after 0 to 3 files. The folder is removed, and can be used again."""
    folder, calls, fsync = tmp_path / "run", [], os.fsync

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > writes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    options = SMALL if model == "mlp" else {}
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(WorkError, match="No space left on device"):
        moreish.train(words, model, **options, out=folder)
    monkeypatch.undo()
    assert not folder.exists()
    moreish.train(words, model, **options, out=folder)


def test_a_full_disk_is_said_and_the_last_state_is_kept(words, tmp_path, monkeypatch):
    folder, calls, fsync = tmp_path / "run", [], os.fsync

    def full_after_a_while(descriptor):
        calls.append(descriptor)
        if len(calls) > 5:  # there is room for the beginning: words, config, history and the first checkpoint
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full_after_a_while)
    with pytest.raises(WorkError, match="No space left on device"):
        moreish.train(words, **SMALL, steps=100, out=folder)
    monkeypatch.undo()
    assert not list(folder.glob("*.part"))
    assert checkpoint_step(folder) == 0
    resumed = moreish.resume(folder)
    assert resumed.model.params.tobytes() == moreish.train(words, **SMALL, steps=100).model.params.tobytes()


def test_threads_may_share_a_model(saved_run):
    """Threads take turns: each gets the same results as alone."""
    model, stream = moreish.load(saved_run.path).model, saved_run.corpus.stream("train")
    expected = (model.nll(stream).tobytes(), model.sample(300, seed=3))
    found = []
    threads = [
        threading.Thread(
            target=lambda: found.extend((model.nll(stream).tobytes(), model.sample(300, seed=3)) for _ in range(20))
        )
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 80


def test_trainings_run_side_by_side(words):
    """Several trainings in one process: each gives the same weights as alone."""
    alone = moreish.train(words, **SMALL, steps=300).model.params.tobytes()
    together = []
    threads = [
        threading.Thread(
            target=lambda: together.append(moreish.train(words, **SMALL, steps=300).model.params.tobytes())
        )
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == [alone] * 3


def test_progress_is_reported_as_it_goes(words):
    seen = []
    moreish.train(words, **SMALL, steps=200, log_every=50, on_progress=seen.append)
    assert [p.step for p in seen if p.is_line] == [50, 100, 150, 200]
    assert [p.step for p in seen if p.val is not None] == list(range(10, 201, 10))
    assert all(p.steps == 200 and np.isfinite(p.loss) for p in seen)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "mpl"}, "unknown model mpl; did you mean mlp"),
        ({"n_hiden": 3}, "unknown option of mlp --n-hiden; did you mean --n-hidden"),
        ({"model": "bigram-counts", "n_hidden": 3}, "unknown option of bigram-counts --n-hidden"),
        ({"seed": None}, "--seed is None"),
        ({"epochs": float("inf")}, "--epochs is inf"),
        ({"model": "bigram-counts", "lr": 0.1}, "counted, not trained by steps: it has no option --lr"),
        ({"steps": 5, "epochs": 2}, "give only one"),
        ({"lr": "fast"}, "--lr is 'fast': it must be a number"),
        ({"steps": 2.5}, "--steps is 2.5: it must be a whole number"),
        ({"n_layer": 0}, "--n-layer is 0: it must be between 1 and"),
        ({"schedule": "cosinus"}, "did you mean cosine"),
        ({"lr": float("nan")}, "--lr is nan"),
        ({"decay": "bias"}, "unknown --decay bias"),
        ({"grad_clip": -1.0}, "--grad-clip is -1: it must be between 0 and"),
        ({"label_smoothing": 1}, "--label-smoothing is 1: it must be between 0 and 0.99"),
        (
            {"model": "ngram", "label_smoothing": 0.1},
            "counted, not trained by steps: it has no option --label-smoothing",
        ),
        ({"average": 1.5}, "--average is 1.5: it must be between 0 and 1"),
        ({"model": "ngram", "average": 0.9}, "counted, not trained by steps: it has no option --average"),
        ({"model": "bigram-counts", "decay": "all"}, "counted, not trained by steps: it has no option --decay"),
    ],
)
def test_wrong_options_are_refused_before_anything_is_written(words, tmp_path, options, says):
    with pytest.raises(InputError) as caught:
        moreish.train(words, **options, out=tmp_path / "run")
    assert says in str(caught.value)
    assert not (tmp_path / "run").exists()
