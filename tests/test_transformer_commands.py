"""Runs of the transformer and the bow: options, training to the same bytes, lists of all kinds, and commands."""

import dataclasses
import itertools
import json
import math
import re
from typing import Any

import numpy as np
import pytest
from along_words import steps, train
from conftest import made_up_words
from networks import weights as random_weights
from test_recurrent_commands import LABELS_AND_WEIGHTS, flags, given

import moreish
from moreish.cli import run as command
from moreish.engine.optim import zero_moments
from moreish.engine.states import LONGEST_PREFIX
from moreish.engine.tape import engine, shards
from moreish.layers import CausalSelfAttention, leaves
from moreish.models.transformer import TransformerConfig
from moreish.training.checkpoint import CHECKPOINT
from moreish.training.fit import first_state
from moreish.training.folder import MODEL
from moreish.training.loop import Loop
from moreish.training.prepare import engine_of, prepare
from moreish.training.saving import begin_folder

NET: dict[str, dict[str, Any]] = {
    "transformer": {"n_layer": 1, "n_head": 2, "n_embd": 8, "dropout": 0.1},
    "bow": {"n_embd": 8, "n_hidden": 8},
}
TRAINED: dict[str, Any] = {"batch_size": 64, "steps": 40, "lr": 0.03, "schedule": "constant"}
ALL: dict[str, Any] = {**TRAINED, "average": 0.8, "grad_clip": 0.1, "n_positions": 4}
WAYS = ["drawn", "full batch", LABELS_AND_WEIGHTS]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--n-embd", "10", "--n-head", "4"], "--n-embd is 10: it must be a multiple of --n-head, which is 4"),
        (["--n-head", "0"], "--n-head"),
        (["--n-layer", "0"], "--n-layer"),
        (["--n-layer", "101"], "--n-layer"),
        (["--n-positions", "0"], "--n-positions is 0: it must be between 1 and"),
        (["--dropout", "1"], "--dropout"),
        (["--n-hidden", "8"], "--n-hidden"),
    ],
    ids=" ".join,
)
def test_a_wrong_option_gives_one_clear_line(options, says, file, tmp_path, capsys):
    name = file("\n".join(made_up_words(30)))
    assert command(["train", name, "--model", "transformer", *options, "--out", str(tmp_path / "run")]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert says in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize("what", WAYS)
@pytest.mark.parametrize("model", NET)
def test_no_number_of_threads_changes_a_byte(model, what, words, tmp_path, made_by, monkeypatch):
    monkeypatch.setattr(shards, "MIN_SHARD_TOKENS", 40)
    monkeypatch.setattr(shards, "SHARD_FLOPS", 100.0)
    listed, more = given(words, what)
    made, found = made_by(engine), []
    for n in (1, 2, 3):
        moreish.set_threads(n)
        run = moreish.train(listed, model, **{**ALL, **NET[model], **more}, out=tmp_path / str(n))
        found.append((tmp_path / str(n) / MODEL).read_bytes())
        assert run.loss["train"] < math.log(len(run.corpus.vocab))
    assert found[0] == found[1] == found[2]
    assert set(made) == {1, 2, 3}


@pytest.mark.parametrize("what", WAYS)
@pytest.mark.parametrize("model", NET)
def test_a_stopped_run_is_resumed_to_the_same_bytes(model, what, words, tmp_path):
    """And a run that is loaded has the same nll and draws the same words."""
    listed, more = given(words, what)
    options = {**ALL, **NET[model], **more}
    whole = moreish.train(listed, model, **options, out=tmp_path / "whole")
    task = prepare(listed, model, options)
    stopped = task.start()
    state = first_state(stopped)
    for at in Loop(stopped, state, task.need_steps(), engine_of(stopped)):
        if at.step >= 15:
            break
    assert 0 < state.step < ALL["steps"]
    begin_folder(stopped, tmp_path / "stopped", CHECKPOINT, state.to_bytes())
    resumed = moreish.resume(tmp_path / "stopped")
    assert (tmp_path / "stopped" / MODEL).read_bytes() == (tmp_path / "whole" / MODEL).read_bytes()
    loaded = moreish.load(tmp_path / "whole")
    assert resumed.loss == whole.loss == loaded.loss
    assert loaded.model.config == whole.model.config
    nlls = [run.model.nll_of_words(listed[:40])[0] for run in (whole, resumed, loaded)]
    np.testing.assert_array_equal(nlls[0], nlls[1])
    np.testing.assert_array_equal(nlls[0], nlls[2])
    assert resumed.model.sample(20, seed=3) == whole.model.sample(20, seed=3) == loaded.model.sample(20, seed=3)


@pytest.mark.parametrize(
    "changed", [{"dropout": 0.4}, {"n_head": 4}, {"n_positions": 2}, {"init": "naive"}, {"n_layer": 2}], ids=str
)
def test_these_options_change_what_is_learnt(changed, words):
    options: dict[str, Any] = {**NET["transformer"], **TRAINED, "steps": 10}
    plain, other = (moreish.train(words, "transformer", **dict(options, **more)) for more in ({}, changed))
    assert plain.loss["val"] != other.loss["val"]


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("labelled", [False, True], ids=["", "labels"])
@pytest.mark.parametrize("model", NET)
def test_the_loss_of_a_step_on_the_full_batch_is_the_train_loss(model, labelled, weighted, words):
    distinct = list(dict.fromkeys(words))
    options: dict[str, Any] = {**NET[model], "full_batch": True, "steps": 5, "lr": 0.01}
    options |= {"dropout": 0.0} if model == "transformer" else {}
    if labelled:
        options["labels"] = ["ab"[word < "d"] for word in distinct]
    if weighted:
        options["weights"] = np.random.default_rng(1).uniform(0.2, 30, len(distinct))
    task = prepare(distinct if labelled or weighted else words, model, options)
    run, batches = task.start(), task.need_steps()
    run.model.params[:] = 0.4 * random_weights(run.model.layers, np.float32)
    expected = moreish.evaluate(run.model, run.corpus, ["train"]).loss["train"]
    moments = zero_moments("sgd", run.model.params.size)
    losses = train(engine_of(run), run.model.params, moments, batches, steps(3, "sgd"))
    assert losses[0] == pytest.approx(expected, rel=1e-6)
    assert losses[2] < losses[0]


LISTS: dict[str, list[str]] = {
    "two letters": ["".join(w) for n in range(1, 6) for w in itertools.product("ab", repeat=n)],
    "one-character words": [*"abcdefghijklmnopqrstuvwxyz"] * 3,
    "one character in two lengths": ["a", "aa"] * 20,
    "3,000 tokens": ["".join(chr(0x4E00 + 3 * n + k) for k in range(3)) for n in range(1000)],
    "a word of 400 characters": [*made_up_words(60), "ab" * 200],
}


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("model", NET)
def test_lists_of_all_kinds_are_learnt_and_drawn_from(model, name, tmp_path):
    words = LISTS[name]
    options: dict[str, Any] = {**NET[model], "steps": 25, "batch_size": 32, "lr": 0.02}
    run = moreish.train(words, model, **options, out=tmp_path / "run")
    V = len(run.corpus.vocab)
    assert {"two letters": V == 3, "3,000 tokens": V == 3001}.get(name, True)
    assert run.loss["train"] < math.log(V)
    drawn = run.model.sample(20, seed=1)
    assert all(set(word) <= set("".join(words)) for word in drawn)
    assert moreish.load(tmp_path / "run").model.sample(20, seed=1) == drawn


@pytest.mark.parametrize(
    "options", [{"n_layer": 12}, {"n_positions": 1}, {"n_head": 8}, {"n_embd": 1, "n_head": 1}], ids=str
)
def test_sizes_at_their_ends(options, words):
    sized: dict[str, Any] = {**NET["transformer"], **TRAINED, "steps": 20, "lr": 0.003, **options}
    run = moreish.train(words, "transformer", **sized)
    assert math.isfinite(run.loss["val"])
    assert run.loss["train"] < math.log(len(run.corpus.vocab)) + 0.1
    assert len(run.model.sample(10, seed=1)) == 10


def test_an_epoch_of_a_transformer_is_better_than_counts_of_single_characters(words):
    run = moreish.train(words, "transformer", n_layer=1, n_head=2, n_embd=16, steps=300, batch_size=32)
    counts = moreish.train(words, "ngram", order=1)
    assert run.loss["val"] < counts.loss["val"]


def test_training_goes_on_from_a_run_with_more_characters(words, tmp_path):
    moreish.train(words, "transformer", **NET["transformer"], **TRAINED, out=tmp_path / "run")
    others = made_up_words(80, seed=9, alphabet="aekmz")
    begun = moreish.train(others, from_run=tmp_path / "run", steps=30, batch_size=32)
    assert begun.model.config == moreish.load(tmp_path / "run").model.config
    assert set("".join(begun.model.sample(200))) & set("kmz")


@pytest.fixture(scope="module")
def folders(words, tmp_path_factory):
    """Small runs of both models and of an n-gram model, made by the command."""
    path = tmp_path_factory.mktemp("runs")
    (path / "words.txt").write_text("\n".join(words), encoding="utf-8")
    for model, options in {**NET, "ngram": {"order": 3}}.items():
        more = TRAINED if model != "ngram" else {}
        trained = flags({**options, **more, "model": model})
        assert command(["train", str(path / "words.txt"), *trained, "--out", str(path / model)]) == 0
    return path


def answer(capsys, *arguments: object) -> Any:
    """Run a command with --json and return what it prints."""
    assert command([*map(str, arguments), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize("model", NET)
def test_show_counts_the_work_of_every_layer_once(model, folders, capsys):
    """A Residual's row has its sum alone: the layers of its branch have rows of their own."""
    run = moreish.load(folders / model)
    capsys.readouterr()
    assert command(["show", str(folders / model)]) == 0
    table, rest = capsys.readouterr().out.split("\n\n", 1)
    operations = [line.split() for line in table.splitlines()[1:]]
    names = ["Residual", *(type(layer).__name__ for _, layer in leaves(run.model.layers))]
    assert {row[1] for row in operations} == {*names, "SoftmaxCrossEntropy"}
    rows = int(re.findall(r"([\d,]+) rows: equal prefixes", rest)[0].replace(",", ""))
    found = [re.findall(r"([\d,]+) arena", " ".join(row))[0] for row in operations]
    flops = [int(number.replace(",", "")) for number in found]
    loss = flops.pop()
    shape, total = (1,), 0
    for layer in run.model.layers:
        total += layer.flops(shape, rows)
        shape = layer.out_shape(shape)
    assert sum(flops) == total
    assert loss > 0


@pytest.mark.parametrize("model", NET)
def test_a_notebook_shows_the_parameters_of_every_layer(model, folders):
    loaded = moreish.load(folders / model).model
    sizes = re.findall(r">([\d,]+)</td></tr>", loaded._repr_html_())
    assert sum(int(size.replace(",", "")) for size in sizes) == loaded.n_parameters


def test_gradcheck_names_what_is_inside_a_residual(capsys):
    found = answer(capsys, "gradcheck", "transformer", *flags({**NET["transformer"], "n_embd": 4}))["models"]
    assert found["transformer"]["ok"]
    names = {tensor["name"] for tensor in found["transformer"]["tensors"]}
    assert names >= {"0.embedding.C", "1.positionalembedding.P", "3.2.causalselfattention.weights", "4.1.linear.W"}


@pytest.mark.parametrize("model", NET)
def test_words_longer_than_can_be_read_one_by_one(model, folders, tmp_path, capsys):
    """They are drawn and scored whole; what reads a word character by character says so in one line."""
    long = "ba" * (LONGEST_PREFIX // 2 + 1)
    scored = answer(capsys, "score", folders / model, long, "--false-positive-rate", 0.1)
    assert len(scored["chars"]) == len(long) + 1
    run = moreish.load(folders / model)
    assert len(run.model.next(long[:LONGEST_PREFIX])) == len(run.corpus.vocab)
    assert all(word.startswith(long) for word in run.model.sample(3, prefix=long, seed=1, max_length=600))
    moreish.mix([run, moreish.load(folders / "ngram")]).save(tmp_path / "mixed")
    with pytest.raises(moreish.InputError, match="a word of over 255 characters is too long"):
        run.model.next(long)
    capsys.readouterr()
    assert command(["sample", str(tmp_path / "mixed"), "--prefix", long, "--max-length", "600"]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]  # after notes on what is compiled
    assert last.startswith("moreish: a word of over 255 characters is too long")


@pytest.mark.parametrize("model", NET)
def test_labels_are_told_apart(model, words, capsys, tmp_path):
    """The label is the first letter's half of the alphabet: a net that has learnt it classifies well."""
    distinct = list(dict.fromkeys(words))
    labels = ["early" if word < "d" else "late" for word in distinct]
    options: dict[str, Any] = {**NET[model], "steps": 150, "batch_size": 64, "lr": 0.03}
    moreish.train(distinct, model, labels=labels, **options, out=tmp_path / "run")
    assert answer(capsys, "eval", tmp_path / "run")["accuracy"]["val"] > 0.9
    found = answer(capsys, "classify", tmp_path / "run", "bada")
    assert found["label"] == "early"
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    drawn = moreish.load(tmp_path / "run").model.sample(100, label="late", seed=2)
    assert np.mean([word >= "d" for word in drawn]) > 0.9


def test_tuning_leaves_out_options_that_do_not_fit_together(words, tmp_path):
    """Rows of 12 numbers have no 8 heads."""
    fixed: dict[str, Any] = {"n_embd": 12, "n_layer": 1, "steps": 2, "batch_size": 16}
    tuned = moreish.tune(words[:100], "transformer", out=tmp_path / "study", trials=14, **fixed)
    states = {(trial.params["n_head"], trial.state.name) for trial in tuned.study.trials}
    assert {heads for heads, state in states if state == "COMPLETE"} <= {2, 4}
    assert (8, "PRUNED") in states
    assert isinstance(tuned.run.model.config, TransformerConfig)
    assert tuned.run.model.config.n_embd == 12


def test_a_config_is_the_one_that_was_given():
    config = TransformerConfig(n_layer=2, n_head=2, n_embd=6, n_positions=5, dropout=0.25)
    attention = [layer for _, layer in leaves(config.layers(9)) if isinstance(layer, CausalSelfAttention)]
    assert [(layer.n_embd, layer.n_head, layer.dropout) for layer in attention] == [(6, 2, 0.25)] * 2
    salts = [getattr(layer, "salt") for _, layer in leaves(config.layers(9)) if hasattr(layer, "salt")]  # noqa: B009
    assert len(set(salts)) == len(salts) == 7
    assert not [layer for layer in dataclasses.replace(config, dropout=0.0).layers(9) if hasattr(layer, "p")]
