"""Nets trained with an n-gram inside: counts that leave the example out, the loss and its gradients, and the runs."""

import dataclasses
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from networks import SPREAD, V, word_stream
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

import moreish
from moreish import InputError
from moreish.cli import run
from moreish.engine.guide import Guide, prefix_keys
from moreish.engine.tape import WordTape
from moreish.engine.tape.compile import walks
from moreish.engine.words import Packed, WordBatches
from moreish.layers import GRU, Embedding, Linear, NGramCrossEntropy
from moreish.layers.layout import Layout
from moreish.layers.levels import N_PAIRS
from moreish.layers.random import bits_of
from moreish.layers.spec import DX, Y
from moreish.models import Mixture
from moreish.ngram import count_tables
from moreish.ngram.automaton import trace_stream
from moreish.ngram.leave_out import log_left_out
from moreish.training.ensemble import Member, Plan, train_members
from moreish.training.folder import CONFIG, MODEL

WORDS = ["anna", "ana", "nan", "anna", "bab", "a", "ban", "naab"]


def interpolated_by_hand(words, order, n_vocab, strengths, without=None) -> dict[tuple[int, int], np.ndarray]:
    """Return p(. | h) at every token (word, place) of words, by counting; or at one token, without its occurrence."""
    padded = [[0] * (order - 1) + word + [0] for word in words]
    places = [(i, j) for i, word in enumerate(words) for j in range(len(word) + 1)]
    counts = [Counter[tuple[int, ...]]() for _ in range(order)]
    for i, j in places:
        end = j + order - 1
        for k in range(order):
            counts[k][tuple(padded[i][end - k : end + 1])] += 1 - ((i, j) == without)
    found = {}
    for i, j in places if without is None else [without]:
        p, end = np.full(n_vocab, 1 / n_vocab), j + order - 1
        for k, (a, b, d) in enumerate(strengths.T):
            n = np.array([counts[k][(*padded[i][end - k : end], v)] for v in range(n_vocab)])
            N, t = n.sum(), (n > 0).sum()
            m = a * t + b
            p = (np.maximum(n - d, 0) + (m + d * t) * p) / (N + m) if N else p
        found[i, j] = p
    return found


@pytest.mark.parametrize("order", [1, 2, 4])
def test_leaving_a_token_out_is_to_count_the_words_without_it(order):
    corpus = moreish.Corpus([*WORDS, "nab"] * 2, "lecture")
    vocab, generator = corpus.vocab, np.random.default_rng(order)
    strengths = np.array([generator.uniform(*bounds, order) for bounds in ((0.3, 3), (0.1, 2), (0.1, 0.9))])
    stream = vocab.stream(WORDS)
    tables = count_tables(stream, order, len(vocab))
    nodes, entries = trace_stream(tables, stream)
    found = np.exp(log_left_out(tables, strengths, nodes, entries).astype(np.float64))
    encoded = [vocab.encode(word) for word in WORDS]
    places = [(i, j) for i, word in enumerate(encoded) for j in range(len(word) + 1)]
    for row, place in zip(found, places, strict=True):
        expected = interpolated_by_hand(encoded, order, len(vocab), strengths, without=place)[place]
        np.testing.assert_allclose(row, expected, rtol=1e-6)
    whole = interpolated_by_hand(encoded, order, len(vocab), strengths)
    assert max(np.abs(whole[place] - row).max() for place, row in zip(places, found, strict=True)) > 0.01


def guided_batch() -> tuple[list[Any], Packed]:
    """Layers to logits, and a batch of words with random log-probabilities for three quarters of its pairs."""
    generator, stream = np.random.default_rng(5), word_stream(40, V, 5)
    layers = [Embedding(V, 3), Linear(3, 15, SPREAD, SPREAD), GRU(5), Linear(5, V, SPREAD, SPREAD)]
    keys = np.unique(bits_of(prefix_keys(stream).view(np.uint64), stream[1:].astype(np.uint64)).astype(np.int64))
    keys = keys[generator.random(len(keys)) < 0.75]
    rows = np.log(generator.dirichlet(np.ones(V), len(keys))).astype(np.float32)
    batches = WordBatches.drawn(stream, 30, 1)
    return layers, dataclasses.replace(batches, guide=Guide(keys, rows, inside=True)).packed(0)


def test_the_gradients_of_the_loss_are_those_of_central_differences():
    layers, packed = guided_batch()
    tape, layout = WordTape(layers, 1, V, np.float64), Layout([*layers, NGramCrossEntropy(V)])
    params = np.random.default_rng(2).uniform(0.2, 1, layout.size)
    found = layout.views(tape.loss_and_grads_of_words(params, packed)[1])
    for name, gradient in found.items():
        expected = np.zeros(gradient.shape)
        for at in np.ndindex(gradient.shape):
            losses = []
            for step in (1e-5, -1e-5):
                moved = params.copy()
                layout.views(moved)[name][at] += step
                losses.append(tape.loss_and_grads_of_words(moved, packed)[0])
            expected[at] = (losses[0] - losses[1]) / 2e-5
        assert np.abs(expected).max() > 1e-4, f"{name}: a gradient of zero shows nothing"
        np.testing.assert_allclose(gradient, expected, rtol=1e-6, atol=1e-9 + 1e-6 * np.abs(expected).max())


def test_the_loss_and_its_gradients_are_those_of_autograd():
    torch = pytest.importorskip("torch")
    layers, packed = guided_batch()
    tape, layout = WordTape(layers, 1, V, np.float64), Layout([*layers, NGramCrossEntropy(V)])
    params = np.random.default_rng(2).uniform(0.2, 1, layout.size)
    ready = tape.prepared_words(packed)
    for walk in walks(np.float64):
        walk(ready.program, params, ready.grads)
    op, levels, N = ready.plan.operations[-1], packed.levels, len(packed.contexts)
    assert op.row is not None
    assert packed.guide is not None
    pairs = int(levels.head[N_PAIRS])
    rows, targets, counts = (x[:pairs] for x in (levels.rows, levels.targets, levels.counts))
    keys = bits_of(levels.keys[rows].view(np.uint64), targets.astype(np.uint64)).astype(np.int64)
    entries = packed.guide.entries(keys)
    assert 0 < (entries < 0).sum() < pairs
    g = np.where(entries[:, None] >= 0, packed.guide.rows[entries], 0).astype(np.float64)
    x = torch.tensor(ready.input_of(op).reshape(-1, V)[:N], requires_grad=True)
    log_strength = torch.tensor(params[-1], requires_grad=True)
    z = x[torch.tensor(rows)] + log_strength.exp() * torch.tensor(g)
    nll = torch.nn.functional.cross_entropy(z, torch.tensor(targets), reduction="none")
    shares = torch.tensor(counts / counts.sum())
    (nll * shares).sum().backward()
    np.testing.assert_allclose(ready.buffer(op, Y), nll.detach(), rtol=1e-12)
    np.testing.assert_allclose(ready.arena[op.row[DX] :][: N * V].reshape(N, V), x.grad, rtol=1e-10, atol=1e-15)
    np.testing.assert_allclose(layout.views(ready.grads)["4.ngramcrossentropy.log_strength"], log_strength.grad)


SMALL: dict[str, Any] = {"n_hidden": 12, "steps": 60, "batch_size": 32}


@pytest.fixture(scope="module")
def ngram(corpus) -> moreish.Run:
    return moreish.train(corpus, "ngram", order=3)


def test_the_first_loss_is_that_of_the_n_gram_with_the_example_left_out(corpus, ngram):
    """A net whose weights are zero says nothing: the loss is that of the n-gram to the power of its strength."""
    options: dict[str, Any] = {"n_hidden": 4, "init": "zero", "full_batch": True, "steps": 1, "log_every": 1}
    run = moreish.train(corpus, "gru", with_ngram=ngram, **options)
    stream = corpus.stream("train")
    tables = count_tables(stream, 3, len(corpus.vocab))
    logs = log_left_out(tables, ngram.model.weights["strengths"], *trace_stream(tables, stream)).astype(np.float64)
    z = 0.5 * logs
    nll = np.log(np.exp(z).sum(1)) - z[np.arange(len(z)), stream[1:]]
    assert run.history[0]["train"] == pytest.approx(nll.mean(), rel=1e-5)
    seen = np.log(np.exp(0.5 * -ngram.model.nll(stream)))
    assert abs(nll.mean() + seen.mean()) > 0.01, "leaving the example out makes a difference"


@pytest.mark.parametrize("model", ["gru", "transformer"])
def test_the_run_is_a_mixture_with_the_losses_of_its_training(model, corpus, ngram, tmp_path):
    options: dict[str, Any] = SMALL if model == "gru" else {"n_embd": 8, "n_head": 2, "steps": 60, "batch_size": 32}
    options |= {"keep": "last", "average": 0.0}
    run = moreish.train(corpus, model, with_ngram=ngram, out=tmp_path / "run", **options)
    config, weights = run.model.config, run.model.weights["weights"]
    assert isinstance(config, Mixture)
    assert config.kind == "log-linear"
    assert [part["model"] for part in config.parts or []] == [model, "ngram"]
    assert weights[0] == 1
    assert 0 < weights[1] != 0.5
    assert run.history[-1]["strength"] == pytest.approx(weights[1], rel=1e-6)
    assert run.history[-1]["val"] == pytest.approx(run.loss["val"], rel=1e-5)
    assert run.loss["val"] < ngram.loss["val"] + 0.1
    loaded = moreish.load(tmp_path / "run")
    assert loaded.loss == run.loss
    assert loaded.options == run.options
    assert loaded.model.sample(20, seed=1) == run.model.sample(20, seed=1)
    assert sum(loaded.model.next("ga").values()) == pytest.approx(1)
    assert not {"ngram.safetensors", "checkpoint.safetensors"} & {path.name for path in (tmp_path / "run").iterdir()}
    with pytest.raises(InputError, match="nothing to resume"):
        moreish.resume(tmp_path / "run")
    assert moreish.mix([loaded, ngram]).loss["val"] <= run.loss["val"] + 1e-6


def stopped(corpus, ngram, folder, **options) -> None:
    def stop(at):
        if at.step >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moreish.train(corpus, "gru", with_ngram=ngram, out=folder, on_progress=stop, **options)


def test_a_stopped_training_is_resumed_to_the_same_bytes(corpus, ngram, tmp_path):
    options: dict[str, Any] = {**SMALL, "dropout": 0.2, "average": 0.9, "grad_clip": 1.0}
    folder = ngram.save(tmp_path / "ngram").path
    whole = moreish.train(corpus, "gru", with_ngram=folder, out=tmp_path / "whole", **options)
    stopped(corpus, ngram, tmp_path / "stopped", **options)
    unfinished = moreish.load(tmp_path / "stopped")
    assert unfinished.model.name == "mixture"
    assert len(unfinished.model.sample(5)) == 5
    resumed = moreish.resume(tmp_path / "stopped")
    assert (tmp_path / "stopped" / MODEL).read_bytes() == (tmp_path / "whole" / MODEL).read_bytes()
    assert resumed.loss == whole.loss
    assert {path.name for path in (tmp_path / "stopped").iterdir()} == {p.name for p in (tmp_path / "whole").iterdir()}


@pytest.fixture(scope="module")
def unfinished(corpus, ngram, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("inside") / "stopped"
    stopped(corpus, ngram, folder, **SMALL)
    return folder


def changed(path: Path, **changes: Any) -> None:
    path.write_bytes(save_tensors({**load_tensors(path.read_bytes()), **changes}))


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "ngram.safetensors").write_bytes(b"x" * 40),
        lambda f: (f / "ngram.safetensors").unlink(),
        lambda f: changed(f / "ngram.safetensors", strengths=np.ones((3, 2))),
        lambda f: changed(f / "ngram.safetensors", strengths=np.full((3, 3), np.nan)),
        lambda f: changed(f / "ngram.safetensors", p=np.zeros(3)),
        lambda f: changed(f / "checkpoint.safetensors", best=np.zeros(3, np.float32)),
        lambda f: changed(
            f / "checkpoint.safetensors",
            best=np.full_like(load_tensors((f / "checkpoint.safetensors").read_bytes())["best"], 1000),
        ),
        lambda f: (f / CONFIG).write_text((f / CONFIG).read_text().replace("log-linear", "linear")),
        lambda f: (f / CONFIG).write_text((f / CONFIG).read_text().replace('"at_least": 1', '"at_least": 2')),
        lambda f: (f / CONFIG).write_text((f / CONFIG).read_text().replace('"model": "ngram"', '"model": "mlp"')),
    ],
)
@pytest.mark.parametrize("reads", [moreish.load, moreish.resume])
def test_a_damaged_unfinished_run_is_refused(unfinished, tmp_path, damage, reads):
    folder = shutil.copytree(unfinished, tmp_path / "copy")
    damage(folder)
    with pytest.raises(InputError, match="damaged or incomplete"):
        reads(folder)


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("mlp", {}, "nets over whole words"),
        ("ngram", {}, "nets over whole words"),
        ("gru", {"engine": "torch"}, "without --engine torch"),
        ("gru", {"diagnostics": True}, "without --diagnostics"),
        ("gru", {"label_smoothing": 0.1}, "without --label-smoothing"),
        ("gru", {"split": "distinct"}, "another split"),
        ("gru", {"labels": True}, "without --labels"),
        ("gru", {"weights": True}, "without --weights"),
    ],
)
def test_what_does_not_go_together_is_refused_in_one_line(model, options, message, words, ngram, tmp_path):
    of_words: dict[str, Any] = {
        name: [1 + len(word) % 2 for word in words] for name in ("labels", "weights") if name in options
    }
    with pytest.raises(InputError, match=message) as error:
        moreish.train(words, model, with_ngram=ngram, out=tmp_path / "run", **{**options, **of_words})
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_other_n_grams_are_refused(corpus, words, ngram, monkeypatch):
    def message(other: moreish.Run) -> str:
        with pytest.raises(InputError) as error:
            moreish.train(corpus, "gru", with_ngram=other, **SMALL)
        return str(error.value)

    assert "--smoothing kneser-ney" in message(moreish.train(corpus, "ngram", smoothing="kneser-ney"))
    assert "--at-least 2" in message(moreish.train(corpus, "ngram", at_least=2))
    assert "other words" in message(moreish.train(words[1:], "ngram"))
    assert "needs an n-gram" in message(moreish.train(corpus, "gru", **SMALL))
    monkeypatch.setattr("moreish.training.inside.MOST_NUMBERS", 1000)
    assert "train on fewer words" in message(ngram)


def test_the_command_trains_stops_and_resumes(file, words, capsys):
    name = file("\n".join(words))
    assert run(["train", name, "--model", "ngram", "--out", "counted"]) == 0
    small = ["--n-hidden", "8", "--steps", "20", "--samples", "2"]
    assert run(["train", name, "--model", "gru", "--with-ngram", "counted", "--out", "both", *small]) == 0
    out = capsys.readouterr().out
    assert "with an n-gram inside (strength 0." in out
    assert "usually has the lowest loss" not in out
    assert "strength" in out
    assert run(["eval", "both"]) == 0
    assert run(["train", name, "--model", "mlp", "--with-ngram", "counted", *small]) == 2
    assert "--with-ngram is for nets over whole words" in capsys.readouterr().err
    assert run(["train", "--resume", "both", "--with-ngram", "counted"]) == 2
    assert run(["train", "--help"]) == 0
    assert "--with-ngram" in capsys.readouterr().out


def test_an_n_gram_with_default_options_is_counted_on_request(corpus):
    counted, given = (
        moreish.train(corpus, "gru", with_ngram=source, **SMALL) for source in (True, moreish.train(corpus, "ngram"))
    )
    assert counted.model.config == given.model.config
    for name, array in given.model.weights.items():
        np.testing.assert_array_equal(counted.model.weights[name], array)


def test_a_net_with_an_n_gram_inside_can_be_a_member_of_an_ensemble(corpus, tmp_path):
    members = Member("gru", {**SMALL, "with_ngram": True}), Member("gru", {**SMALL, "seed": 7})
    whole = train_members(Plan(members), corpus, out=tmp_path / "whole")

    def stop(at):
        if at.step >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_members(Plan(members), corpus, out=tmp_path / "stopped", on_progress=stop)
    assert moreish.load(tmp_path / "stopped").model.name == "mixture"
    moreish.resume(tmp_path / "stopped")
    assert (tmp_path / "stopped" / MODEL).read_bytes() == (tmp_path / "whole" / MODEL).read_bytes()
    parts = whole.model.config.parts  # pyright: ignore[reportAttributeAccessIssue]
    assert [part["model"] for part in parts] == ["mixture", "gru"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"within": 1}, "leave out --with-ngram"),
        ({"model": "gru", "members": 2}, "leave out --with-ngram"),
        ({"from_run": "gru"}, "leave out --from"),
    ],
)
def test_other_ways_of_training_are_refused(options: dict[str, Any], message, corpus, ngram):
    if "from_run" in options:
        options = {"from_run": moreish.train(corpus, "gru", **SMALL)}
    with pytest.raises(InputError, match=message):
        moreish.train(corpus, with_ngram=ngram, **options)


def test_a_learning_rate_can_be_found_for_it_but_it_is_no_student(corpus, ngram):
    found = moreish.find_lr(corpus, "gru", with_ngram=ngram, n_hidden=8, batch_size=16)
    assert found.loss[0] < np.log(len(corpus.vocab)) - 0.1, "the n-gram helps from the first step"
    with pytest.raises(InputError, match="leave out with_ngram"):
        moreish.distill(ngram, "gru", with_ngram=True)
