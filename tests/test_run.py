"""Run folders: a saved run loads unchanged, and damage is reported."""

import dataclasses
import gzip
import json
import os
import shutil
import signal
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import moreish
from moreish import InputError
from moreish.files import alone_in
from moreish.training.checkpoint import CHECKPOINT, Checkpoint, load_checkpoint
from moreish.training.folder import CONFIG, HISTORY, MODEL, WORDS


def test_a_run_comes_back_as_it_was(saved_run):
    loaded = moreish.load(saved_run.path)
    assert loaded.model.params.tobytes() == saved_run.model.params.tobytes()
    assert loaded.model.config == saved_run.model.config
    assert loaded.options == saved_run.options
    assert loaded.corpus.parts == saved_run.corpus.parts
    assert loaded.history == saved_run.history
    assert moreish.evaluate(loaded.model, loaded.corpus).loss == saved_run.loss
    assert loaded.model.sample(5) == saved_run.model.sample(5)


def test_a_run_can_be_saved_later_and_with_any_alphabet(tmp_path):
    words = ["añb", "日本", "क़ि", "x y", "a.b", "👩‍🚀", "Ж"] * 3
    run = moreish.train(words, "bigram-counts").save(tmp_path / "run")
    loaded = moreish.load(tmp_path / "run")
    assert loaded.corpus.words == run.corpus.words
    assert loaded.model.sample(20) == run.model.sample(20)


def test_a_folder_in_use_is_refused(saved_run, tmp_path):
    with pytest.raises(InputError, match="already holds a run"):
        saved_run.save(saved_run.path)
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(InputError, match="already exists and is not empty"):
        saved_run.save(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    with pytest.raises(InputError, match="link is a link that leads nowhere: choose another folder"):
        saved_run.save(tmp_path / "link")
    with pytest.raises(InputError, match="note.txt is not a folder"):
        saved_run.save(tmp_path / "note.txt")
    assert (tmp_path / "note.txt").read_text() == "mine"


def test_no_file_of_a_run_is_a_pickle_or_names_a_path(saved_run):
    for path in filter(Path.is_file, saved_run.path.iterdir()):
        data = path.read_bytes()
        assert not data.startswith(b"\x80")
        assert str(saved_run.path).encode() not in data


@pytest.fixture
def copy(saved_run, tmp_path):
    return shutil.copytree(saved_run.path, tmp_path / "copy")


def edit_config(folder, **changes):
    config = json.loads((folder / CONFIG).read_text())
    (folder / CONFIG).write_text(json.dumps({**config, **changes}))


def cut(path, n=100):
    path.write_bytes(path.read_bytes()[:n])


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda f: (f / CONFIG).unlink(), "not a run folder"),
        (lambda f: cut(f / CONFIG), "config.json: damaged"),
        (lambda f: edit_config(f, format=99, versions={"moreish": "9.0"}), "written by a newer moreish (9.0"),
        (lambda f: edit_config(f, model="nothing"), "config.json: damaged"),
        (lambda f: edit_config(f, vocab="ab"), "config.json: damaged"),
        (lambda f: edit_config(f, split=5), "config.json: damaged"),
        (lambda f: edit_config(f, split={"kind": 5, "seed": 1}), "damaged"),
        (lambda f: edit_config(f, model_options={"n_hidden": None}), "config.json: damaged"),
        (lambda f: (f / CONFIG).write_text("[" * 100_000), "config.json: damaged"),
        (lambda f: edit_config(f, model_options={"n_hidden": 7}), "model.safetensors: damaged"),
        (lambda f: (f / MODEL).unlink(), "model.safetensors: damaged or incomplete (missing)"),
        (lambda f: cut(f / MODEL), "model.safetensors: damaged"),
        (lambda f: (f / MODEL).write_bytes(b""), "model.safetensors: damaged"),
        (lambda f: (f / WORDS).unlink(), "words.txt: damaged"),
        (lambda f: cut(f / WORDS), "words.txt: damaged"),
    ],
)
def test_damage_is_said_in_one_line(copy, damage, says):
    damage(copy)
    with pytest.raises(InputError) as caught:
        moreish.load(copy)
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def stopped_run(words, tmp_path_factory):
    """A run whose training was stopped after 50 of 100 steps."""
    folder = tmp_path_factory.mktemp("stopped") / "run"

    def stop(at):
        if at.step >= 50:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, n_hidden=8, n_embd=2, batch_size=16, steps=100, log_every=5, out=folder, on_progress=stop)
    return folder


def change_checkpoint(folder, **changes):
    tensors = load_tensors((folder / CHECKPOINT).read_bytes())
    (folder / CHECKPOINT).write_bytes(save_tensors({**tensors, **{k: np.asarray(v) for k, v in changes.items()}}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: cut(f / CHECKPOINT),
        lambda f: (f / CHECKPOINT).write_bytes(b""),
        lambda f: change_checkpoint(f, moments=np.zeros((1, 3), np.float32)),
        lambda f: change_checkpoint(f, params=np.zeros(3, np.float32)),
        lambda f: change_checkpoint(f, best=np.float32(1)),
        lambda f: change_checkpoint(f, best=load_tensors((f / CHECKPOINT).read_bytes())["best"] * np.nan),
        lambda f: change_checkpoint(f, params=load_tensors((f / CHECKPOINT).read_bytes())["params"].astype(np.float64)),
        lambda f: change_checkpoint(f, step=-1),
        lambda f: change_checkpoint(f, step=101),
        lambda f: change_checkpoint(f, step=1.5),
        lambda f: change_checkpoint(f, more=1),
        lambda f: (f / HISTORY).write_text('{"a": 1}\n'),
        lambda f: (f / HISTORY).write_text("5\n"),
    ],
)
def test_a_damaged_state_is_not_resumed_and_nothing_is_lost(stopped_run, tmp_path, damage):
    folder = shutil.copytree(stopped_run, tmp_path / "copy")
    damage(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with pytest.raises(InputError, match="damaged or incomplete"):
        moreish.resume(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_checkpoint_comes_back_as_it_was(stopped_run):
    run = moreish.load(stopped_run)
    state = load_checkpoint(stopped_run, run.model, run.options)
    again = Checkpoint.from_bytes(state.to_bytes())
    for f in dataclasses.fields(Checkpoint):
        np.testing.assert_array_equal(getattr(again, f.name), getattr(state, f.name))
        assert type(getattr(again, f.name)) is type(getattr(state, f.name))
    assert 50 <= state.step < 100
    assert state.moments.any()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]), min_size=1), min_size=6))
def test_any_words_that_train_come_back(words):
    with tempfile.TemporaryDirectory() as folder:
        moreish.train(words, "bigram-counts", out=Path(folder) / "run")
        assert moreish.load(Path(folder) / "run").corpus.words == [unicodedata.normalize("NFC", word) for word in words]


@pytest.mark.skipif(os.name == "nt", reason="no locks of folders")
def test_a_run_is_trained_by_one_process_at_a_time(stopped_run, tmp_path):
    folder = shutil.copytree(stopped_run, tmp_path / "copy")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    with alone_in(folder), pytest.raises(InputError, match="another process is training this run: wait"):
        moreish.resume(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    moreish.resume(folder)
    assert moreish.load(folder).history[-1]["step"] == 100


@pytest.mark.skipif(os.name == "nt", reason="no pipes and devices")
@pytest.mark.parametrize("name", [CONFIG, WORDS, MODEL, HISTORY])
@pytest.mark.parametrize("make", [lambda path: os.mkfifo(path), os.mkdir, lambda path: path.symlink_to("/dev/zero")])
def test_what_is_no_regular_file_is_not_read(copy, name, make):
    (copy / name).unlink()
    make(copy / name)
    with pytest.raises(InputError, match=f"{name}: damaged or incomplete .*it is no regular file"):
        moreish.load(copy)


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(InputError, match="no such run folder"):
        moreish.load(tmp_path / "nothing")
    with pytest.raises(InputError, match="not a run folder"):
        moreish.load(tmp_path)


def test_weights_are_views_of_the_model(saved_run):
    model = moreish.load(saved_run.path).model
    names = list(model.weights)
    assert names == ["0.embedding.C", "2.linear.W", "2.linear.b", "4.linear.W", "4.linear.b"]
    assert sum(w.size for w in model.weights.values()) == model.params.size
    before = model.score("ba").nll
    model.weights["4.linear.b"][0] += 3
    assert model.score("ba").nll != before
    assert np.shares_memory(model.weights["2.linear.W"], model.params)


def test_a_run_knows_the_name_of_its_list(words, file, tmp_path):
    name = file(gzip.compress("".join(f"{word},{i % 7 + 1}\n" for i, word in enumerate(words)).encode()), "my.CSV.gz")
    listed = moreish.read_words(name, column="1", weights="2")
    assert listed.name == "my"
    saved = moreish.train(listed, "bigram-counts", out=tmp_path / "run")
    assert saved.corpus.name == moreish.load(tmp_path / "run").corpus.name == "my"
    assert moreish.bundled("dinosaurs").name == "dinosaurs"
    assert moreish.Corpus(words).name == ""


def test_a_run_of_an_older_version_has_a_list_without_a_name(saved_run):
    assert "list" not in json.loads((saved_run.path / CONFIG).read_text())
    assert moreish.load(saved_run.path).corpus.name == ""
