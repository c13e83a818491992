"""The session of the lab: its training is that of the command line, and its controls are the options."""

import dataclasses
import shlex
import threading

import numpy as np
import pytest
from conftest import made_up_words
from labs import SMALL, listed, opened_session, until, until_ended

import moreish
from moreish.cli import run as command
from moreish.errors import InputError
from moreish.lab.controls import controls
from moreish.models import MODELS
from moreish.training.options import TrainOptions
from moreish.training.summary import Summary, summaries


@pytest.fixture
def session(tmp_path):
    with opened_session(tmp_path) as session:
        yield session


@pytest.mark.parametrize("model", ["mlp", "gru"])
def test_a_training_that_is_played_paused_and_stepped_is_that_of_train(session, model):
    trainer = session.trainer
    training = session.configure("own", model, SMALL, play=False)
    until(lambda: trainer.status.training == training)
    for n in range(1, 4):
        trainer.step()
        until(lambda n=n: trainer.status.step == n)
    assert not trainer.status.playing
    assert trainer.snapshot.step == 3
    trainer.set_pace(300)
    trainer.play()
    until(lambda: trainer.status.step > 20)
    trainer.pause()
    trainer.set_pace(0)
    trainer.play()
    until_ended(session, training)
    run = moreish.train(listed(), model, **SMALL)
    assert np.array_equal(trainer.snapshot.run.model.params, run.model.params)
    assert trainer.status.losses == run.loss

    history = trainer.snapshot.run.history
    assert [line["step"] for line in history] == [line["step"] for line in run.history]
    for ours, line in zip(history, run.history, strict=True):
        assert (ours["val"], ours["lr"], ours["losses"]) == (line["val"], line["lr"], line["losses"])
        assert ours["train"] == pytest.approx(line["train"])  # a mean over other stretches of steps

    curve = trainer.training.curve
    assert [point[0] for point in curve] == sorted({point[0] for point in curve})
    losses = np.concatenate([line["losses"] for line in run.history])
    assert np.allclose([point[2] for point in curve[1:51]], losses[:50], atol=1e-4)
    assert {p[0]: p[3] for p in curve[1:] if p[3] is not None}.keys() >= {
        line["step"] for line in run.history if line["val"] is not None
    }


def test_the_command_line_that_is_shown_trains_the_same(session, tmp_path, monkeypatch):
    (tmp_path / "own.txt").write_text("\n".join(listed()))
    monkeypatch.chdir(tmp_path)
    options = SMALL | {
        "lr": 0.0123,
        "batch_norm": True,
        "activation": "relu",
        "init": "small",
        "seed": 7,
        "split_seed": 3,
    }
    training = session.configure("own", "mlp", options, play=True)
    until_ended(session, training)
    words = shlex.split(session.facts()["command"])
    assert words[:2] == ["moreish", "train"]
    assert command([*words[1:], "--out", "same"]) == 0
    assert np.array_equal(moreish.load("same").model.params, session.trainer.snapshot.run.model.params)


def test_controls_are_the_options_with_their_bounds():
    found = controls()
    assert list(found["models"]) == list(MODELS)
    for name, kind in MODELS.items():
        described = {each["name"]: each for each in found["models"][name]["options"]}
        assert list(described) == [f.name for f in dataclasses.fields(kind)]
        for f in dataclasses.fields(kind):
            control = described[f.name]
            assert [control[key] for key in ("help", "low", "high", "default")] == [
                *(f.metadata[key] for key in ("help", "low", "high")),
                f.default,
            ]
    training = {f.name: f for f in dataclasses.fields(TrainOptions)}
    for each in [*found["training"], *(o for m in found["models"].values() for o in m["options"])]:
        assert each["help"] == training[each["name"]].metadata["help"] if each["name"] in training else True
        if each["slider"]:
            low, high, log = each["slider"]
            assert low < high
            assert each["low"] is None or low >= each["low"]
            assert each["high"] is None or high <= each["high"]
            assert low > 0 or not log


@pytest.mark.parametrize(
    "wrong",
    [
        ("own", "mlp", {"n_hidden": 0}),
        ("own", "mlp", {"n_hiden": 3}),
        ("own", "mlp", {"engine": "torch"}),
        ("own", "mlp", {"called": "x"}),
        ("own", "mpl", {}),
        ("other", "mlp", {}),
        ("own", "mlp", {"lr": "fast"}),
        ("own", "ngram", {"lr": 0.1}),
    ],
)
def test_wrong_settings_change_nothing(session, wrong):
    training = session.configure("own", "mlp", SMALL, play=False)
    before = session.facts()
    with pytest.raises(InputError):
        session.configure(*wrong)
    assert session.facts() == before
    until(lambda: session.trainer.status.training == training)


def test_a_new_training_replaces_one_that_plays(session):
    session.configure("own", "mlp", SMALL | {"steps": 100_000}, play=True)
    until(lambda: session.trainer.status.step > 0)
    second = session.configure("own", "mlp", SMALL | {"lr": 0.02})
    until_ended(session, second)
    assert session.trainer.status.steps == SMALL["steps"]


def test_a_diverging_training_says_so(session):
    training = session.configure("own", "mlp", SMALL | {"lr": 1e6, "optimizer": "sgd"}, play=True)
    until(lambda: session.trainer.status.training == training and session.trainer.status.ended)
    status, curve = session.trainer.status, session.trainer.training.curve
    assert f"the loss is not finite at step {status.step}:" in status.trouble
    assert [point[0] for point in curve] == [*range(status.step + 2)]  # the loss of the next one is not finite
    assert curve[-1][2] is None
    assert all(point[2] is not None for point in curve[1:-1])
    assert not session.trainer.status.playing
    with pytest.raises(InputError, match="failed"):
        session.save()
    again = session.configure("own", "mlp", SMALL)
    until_ended(session, again)
    assert session.trainer.status.trouble == ""


def test_sizes_that_do_not_fit_into_memory_are_said(session):
    huge = {"n_embd": 1 << 16, "n_hidden": 1 << 20, "block_size": 1024}
    session.configure("own", "mlp", huge, play=True)
    until(lambda: session.trainer.status.trouble != "")
    assert "memory" in session.trainer.status.trouble
    until_ended(session, session.configure("own", "mlp", SMALL, play=True))


@pytest.mark.parametrize("model", ["mlp", "transformer", "ngram"])
def test_a_saved_training_is_a_run(session, model, capsys):
    options = {} if model == "ngram" else {"steps": 40, "n_embd": 8, "batch_size": 16}
    training = session.configure("own", model, options, play=False)
    until(lambda: session.trainer.status.training == training)
    if model != "ngram":
        with pytest.raises(InputError, match="before the first step"):
            session.save()
        for _ in range(25):
            session.trainer.step()
        until(lambda: session.trainer.status.step == 25)
    folder = session.save()
    loaded = moreish.load(folder)
    snapshot = session.trainer.snapshot
    (found,) = summaries(folder.parent)
    assert isinstance(found, Summary)
    assert (found.state, found.loss) == ("finished", pytest.approx(loaded.loss))
    assert loaded.options.steps == (None if model == "ngram" else 25)
    assert loaded.model.sample(5) == snapshot.run.model.sample(5)
    for verb in (["eval"], ["sample", "-n", "3"], ["plot", "word"], ["report", "--out", str(folder.parent / "r.html")]):
        assert command([verb[0], str(folder), *verb[1:]]) == 0, capsys.readouterr().err
    if model == "mlp":
        assert command(["diagnose", str(folder)]) == 0


def test_a_run_is_opened_with_its_options(session, tmp_path):
    run = moreish.train(listed(), "gru", n_hidden=16, steps=60, lr=0.02, seed=5, batch_size=8)
    training = session.open(run, "mine")
    until(lambda: session.trainer.status.training == training)
    facts = session.facts()
    assert (facts["model"], facts["run"]) == ("gru", "mine")
    assert facts["options"] == {"n_hidden": 16, "steps": 60, "lr": 0.02, "seed": 5, "batch_size": 8}
    assert session.trainer.status.losses == run.loss
    assert session.trainer.snapshot.run.model.sample(5) == run.model.sample(5)
    again = session.restart()
    until_ended(session, again)
    assert np.array_equal(session.trainer.snapshot.run.model.params, run.model.params)
    assert session.facts()["run"] == ""


@pytest.mark.parametrize("model", ["ngram", "mixture"])
def test_a_run_without_steps_is_opened_too(session, model):
    words = made_up_words(200)
    run = moreish.train(words, "ngram") if model == "ngram" else moreish.train(words)
    assert run.model.name == model
    training = session.open(run, "mine")
    until(lambda: session.trainer.status.training == training)
    assert session.trainer.status.ended
    assert session.trainer.snapshot.run.model.sample(5) == run.model.sample(5)


def test_the_baseline_is_the_n_gram_of_the_list_in_the_settings(session):
    for name in ("own", "dinosaurs"):
        session.configure(name, "mlp", SMALL, play=False)
        words = session.words_of(name)
        assert session.baseline() == moreish.train(words, "ngram").loss["val"]


def test_lists_of_pages_are_read_and_described_as_by_the_commands(session):
    data = "\n".join(["Ann", "bob", *made_up_words(60)]).encode()
    found = session.read_list(data, "some names.txt")
    assert found["name"] == "some names"
    assert found["words"] == 62
    assert any("capital" in issue["message"] for issue in found["issues"])
    training = session.configure("some names", "mlp", SMALL, play=False)
    until(lambda: session.trainer.status.training == training)
    assert "'some names.txt'" in session.facts()["command"]
    table = b"name,sex,n\n" + b"".join(f"{w},f,{i}\n".encode() for i, w in enumerate(made_up_words(60), 1))
    with pytest.raises(InputError, match="column"):
        session.read_list(table, "t.csv")
    assert session.read_list(table, "t.csv", column="name", weights="n", labels="")["weights"] == 60 * 61 / 2
    with pytest.raises(InputError):
        session.read_list(b"", "empty.txt")
    with pytest.raises(InputError):
        session.read_list(b"one\n", "one.txt")
    assert "one" not in session.facts()["lists"]


def test_lists_of_one_name_are_told_apart(session):
    one, other = ("\n".join(made_up_words(30, seed)).encode() for seed in (1, 2))
    assert session.read_list(one, "words.txt")["name"] == "words"
    assert session.read_list(other, "words.txt")["name"] == "words 2"
    assert session.read_list(one, "words.txt")["name"] == "words"
    assert list(session.words_of("words 2")) == other.decode().split()
    names = "\n".join(moreish.bundled("names")).encode()
    assert session.read_list(names, "mine.txt")["name"] == "mine"
    assert session.read_list(names, "names.txt")["name"] == "names"
    assert session.read_list(one, "names.txt")["name"] == "names 2"
    assert session.read_list("\n".join(["Ünal", *made_up_words(30)]).encode("utf-16"), "wide.txt")["words"] == 31


def test_the_command_line_of_a_list_names_no_other_and_no_option(session):
    data = "\n".join(made_up_words(40)).encode()
    for file in ("--help", "-x.txt", "dinosaurs"):
        session.configure(session.read_list(data + b"\n" + file[-3:].encode(), file)["name"], "ngram", {})
        assert shlex.split(session.facts()["command"])[2] == f"./{file}"
    training = session.open(moreish.train(made_up_words(60), "ngram", labels=["a", "b"] * 30), "run")
    until(lambda: session.trainer.status.training == training)
    assert session.facts()["command"] == ""  # a list with labels has no file


def test_few_lists_of_pages_are_kept_but_never_the_one_in_use(session):
    training = session.configure("own", "mlp", SMALL, play=False)
    until(lambda: session.trainer.status.training == training)
    for i in range(20):
        session.read_list("\n".join(made_up_words(30)).encode(), f"list{i}.txt")
    assert "own" in session.facts()["lists"]
    assert "list19" in session.facts()["lists"]
    assert len(session.facts()["lists"]) < 16


def test_without_pages_a_training_that_plays_takes_no_snapshots(session):
    training = session.configure("own", "mlp", SMALL | {"steps": 100_000}, play=True)
    trainer = session.trainer
    until(lambda: trainer.status.training == training and trainer.status.step > 0)
    first = trainer.snapshot
    until(lambda: trainer.status.step > 200)
    assert trainer.snapshot is first
    trainer.watch(1)
    until(lambda: trainer.snapshot is not first)
    trainer.watch(-1)


def test_a_snapshot_is_as_new_as_the_status_that_tells_of_it(session):
    trainer, training = session.trainer, session.configure("own", "mlp", SMALL, play=False)
    until(lambda: trainer.status.training == training)
    for step in range(1, SMALL["steps"]):
        trainer.step()
        while trainer.status.step < step:
            pass
        assert trainer.snapshot.step == step


def test_many_threads_may_command_at_once(session):
    """No order of commands stops the training thread."""
    commands = [
        session.trainer.play,
        session.trainer.pause,
        session.trainer.step,
        lambda: session.trainer.set_pace(1000),
        lambda: session.configure("own", "mlp", SMALL),
        lambda: session.trainer.watch(1),
    ]

    def all_of_them(seed):
        for i in np.random.default_rng(seed).integers(0, len(commands), 40):
            commands[i]()

    threads = [threading.Thread(target=all_of_them, args=[seed]) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session.trainer.set_pace(0)
    last = session.configure("own", "mlp", SMALL, play=True)
    until_ended(session, last)
