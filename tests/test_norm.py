"""BatchNorm: the layer against PyTorch's, its running statistics, calibration, folding. LayerNorm: its rows."""

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch

import moreish
from moreish import InputError, calibrate, fold
from moreish.cli import run
from moreish.engine.batches import Batches
from moreish.engine.protocol import Steps
from moreish.engine.tape import Tape
from moreish.engine.tape.compile import walks
from moreish.engine.torch.engine import Torch
from moreish.layers import (
    LAYERS,
    BatchNorm1d,
    Embedding,
    FlattenConsecutive,
    Layer,
    Linear,
    Residual,
    Tanh,
    layernorm,
    leaves,
    norm,
)
from moreish.layers.init import Normal
from moreish.layers.layout import Layout
from moreish.layers.norm import EPSILON
from moreish.layers.spec import Y
from moreish.models import MLP, WaveNet
from moreish.models.model import Model


@pytest.fixture(scope="module")
def normalised(words) -> moreish.Run:
    """A small trained wavenet with BatchNorm. Do not change it."""
    return moreish.train(words, "wavenet", block_size=4, n_embd=4, n_hidden=12, steps=150, batch_size=32)


def test_training_and_inference_are_those_of_pytorch():
    """Output, running statistics with Bessel's correction, and then the output by these, at (B, T, C)."""
    layers, generator = (
        [Embedding(7, 6), BatchNorm1d(6), FlattenConsecutive(4), Linear(24, 7)],
        np.random.default_rng(1),
    )
    contexts, params = generator.integers(0, 7, (9, 4)), Layout(layers).initial(2, np.float64)
    weights = Layout(layers).views(params)
    weights["1.batchnorm1d.gamma"][:], weights["1.batchnorm1d.beta"][:] = generator.uniform(0.5, 2, (2, 6))
    theirs = torch.nn.BatchNorm1d(6, dtype=torch.float64)
    with torch.no_grad():
        theirs.weight[:] = torch.from_numpy(weights["1.batchnorm1d.gamma"])
        theirs.bias[:] = torch.from_numpy(weights["1.batchnorm1d.beta"])
    x = torch.from_numpy(weights["0.embedding.C"].copy())[contexts].permute(0, 2, 1)  # PyTorch wants (B, C, T)
    for training in (True, True, False):
        theirs.train(training)
        ready = Tape(layers, 4, 7, np.float64).prepared(9, gradients=training, fuse=False)
        ready.take(contexts, np.zeros(9, np.int64))
        walks(np.float64)[0](ready.program, params, params)
        y = ready.buffer(ready.plan.operations[1], Y)
        np.testing.assert_allclose(y, theirs(x).permute(0, 2, 1).detach(), rtol=1e-12)
        np.testing.assert_allclose(weights["1.batchnorm1d.running_mean"], np.asarray(theirs.running_mean), rtol=1e-12)
        np.testing.assert_allclose(weights["1.batchnorm1d.running_var"], np.asarray(theirs.running_var), rtol=1e-12)
        if training:
            rows = y.reshape(-1, 6) - weights["1.batchnorm1d.beta"]
            np.testing.assert_allclose(rows.mean(0), 0, atol=1e-12)
            np.testing.assert_allclose(rows.std(0), weights["1.batchnorm1d.gamma"], rtol=1e-4)


def test_small_steps_give_what_the_fused_kernels_give():
    generator = np.random.default_rng(3)
    x, dy = generator.standard_normal((2, 11, 5))
    gamma, beta = generator.uniform(0.5, 2, (2, 5))
    steps, tensors = LAYERS[BatchNorm1d].steps, {}
    assert steps is not None
    y = steps.forward(lambda name, tensor: tensors.setdefault(name, tensor), np, x, gamma, beta)
    gradients = steps.backward(tensors, dy, gamma, beta)
    assert list(gradients) == list(reversed(tensors))
    by_steps = gradients["diff"] + gradients["mean"] / len(x)  # x reaches diff directly, and through the mean
    fused_y, xhat, dx = np.empty((3, *x.shape))
    mean, s, scale, dgamma, dbeta = np.empty((5, 5))
    totals, squares = np.empty((2, 1, 5))  # of one shard, which is the whole batch
    norm.statistics(x, totals[0], mean, squares[0])
    norm.forward(x, gamma, beta, np.zeros(5), np.ones(5), np.array([11]), totals, squares, xhat, s, mean, fused_y)
    norm.backward_statistics(xhat, dy, dgamma, dbeta)
    norm.backward(gamma, xhat, s, dy, len(x), dgamma, dbeta, scale, dx)
    np.testing.assert_allclose(fused_y, y, rtol=1e-12)
    np.testing.assert_allclose(dx, by_steps, rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(dgamma, (dy * tensors["xhat"]).sum(0), rtol=1e-9)


def test_both_engines_keep_the_same_running_statistics(corpus):
    config, V = MLP(block_size=3, n_embd=4, n_hidden=10, n_layer=2, batch_norm=True), len(corpus.vocab)
    layout, found = Layout(config.layers(V)), []
    batches = Batches.drawn(corpus.stream("train"), 8, 1, 3, whole_words=False)
    for kind in (Tape, Torch):
        engine, params = kind(config.layers(V), 3, V, np.float64), layout.initial(1, np.float64)
        engine.train(params, np.zeros((0, layout.n_trained)), batches, Steps("sgd", 0.5, 0, np.full(50, 0.1)))
        found.append(params[layout.n_trained :])
    np.testing.assert_allclose(*found, rtol=1e-9)
    assert np.abs(found[0] - layout.initial(1)[layout.n_trained :]).min() > 1e-6, "weight decay does not reach them"


@pytest.mark.parametrize("engine", ["tape", "torch"])
def test_a_batch_of_one_is_refused_in_one_line(words, tmp_path, capsys, engine):
    (tmp_path / "list.txt").write_text("\n".join(words))
    arguments = ["--model", "wavenet", "--batch-size", "1", "--engine", engine, "--out", str(tmp_path / "run")]
    assert run(["train", str(tmp_path / "list.txt"), *arguments]) == 2
    assert "one example has none: train with --batch-size 2 or more" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert moreish.train(words, "wavenet", batch_size=1, batch_norm=False, steps=3).loss["val"] > 0


def test_batch_norm_has_no_full_batch(words):
    with pytest.raises(InputError, match="--no-batch-norm"):
        moreish.train(words, "mlp", full_batch=True, batch_norm=True, steps=3)


def test_without_batch_norm_there_is_nothing_to_calibrate(words, capsys, tmp_path):
    (tmp_path / "list.txt").write_text("\n".join(words))
    assert run(["train", str(tmp_path / "list.txt"), "--calibrate", "--out", str(tmp_path / "run")]) == 2
    assert "--calibrate is for models with BatchNorm" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_calibration_takes_the_statistics_of_all_train_words(words):
    """Layer by layer: what the second one sees is normalised by the new statistics of the first."""
    options: dict[str, Any] = {"block_size": 3, "n_embd": 4, "n_hidden": 8, "n_layer": 2, "batch_norm": True}
    run = moreish.train(words, "mlp", **options, steps=30)
    before = run.loss["train"]
    calibrate(run.model, run.corpus)
    X, _ = run.corpus.windows("train", 3)
    w, x = run.model.weights, run.model.weights["0.embedding.C"][X].reshape(len(X), -1).astype(np.float64)
    for linear in (2, 5):
        h = x @ w[f"{linear}.linear.W"]
        norm = f"{linear + 1}.batchnorm1d"
        np.testing.assert_allclose(w[f"{norm}.running_mean"], h.mean(0), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(w[f"{norm}.running_var"], h.var(0, ddof=1), rtol=1e-3)
        x = np.tanh((h - h.mean(0)) / np.sqrt(h.var(0, ddof=1) + EPSILON) * w[f"{norm}.gamma"] + w[f"{norm}.beta"])
    assert moreish.evaluate(run.model, run.corpus).loss["train"] != before
    with pytest.raises(InputError, match="the corpus has the characters"):
        calibrate(run.model, moreish.Corpus(["xyz"] * 10))
    optioned = moreish.train(words, "mlp", **options, steps=30, calibrate=True)
    np.testing.assert_array_equal(optioned.model.params, run.model.params)


def test_the_folded_run_of_a_calibrated_training_can_be_diagnosed(words, capsys, tmp_path):
    options: dict[str, Any] = {"n_embd": 4, "n_hidden": 9, "block_size": 4, "batch_norm": True, "calibrate": True}
    moreish.train(words, "mlp", **options, steps=20, batch_size=16).save(tmp_path / "run")
    assert run(["fold", str(tmp_path / "run"), "--out", str(tmp_path / "folded")]) == 0
    assert run(["diagnose", str(tmp_path / "folded")]) == 0
    assert "at step 0" in capsys.readouterr().out


@pytest.mark.parametrize("model", ["mlp", "wavenet", "wavenet-conv"])
def test_a_folded_model_is_the_same_function(words, model):
    options: dict[str, Any] = {"n_embd": 4, "n_hidden": 9, "block_size": 4, "batch_norm": True}
    run = moreish.train(words, model, **options, steps=60, batch_size=16)
    folded = fold(run.model)
    assert not any(isinstance(layer, BatchNorm1d) for layer in folded.layers)
    for part in ("val", "test"):
        stream = run.corpus.stream(part)
        np.testing.assert_allclose(folded.nll(stream), run.model.nll(stream), rtol=1e-4, atol=1e-5)
    assert folded.layout.n_trained < run.model.layout.n_trained
    with pytest.raises(InputError, match="no BatchNorm to fold"):
        fold(folded)


@dataclass(frozen=True)
class Branched(MLP):
    """A net with BatchNorm in the branches of residuals."""

    def layers(self, n_vocab: int, n_labels: int = 0) -> list[Layer]:
        def norm() -> tuple[Layer, ...]:
            return (BatchNorm1d(8),) if self.batch_norm else ()

        branches = [Residual((Linear(8, 8, Normal(0.4)), *norm(), Tanh())) for _ in range(2)]
        return [Embedding(n_vocab, 4), FlattenConsecutive(2), *branches, Linear(8, n_vocab, Normal(0.4))]


def test_batch_norm_is_calibrated_and_folded_in_branches_too(words):
    corpus = moreish.Corpus(words)
    model = Model(Branched(block_size=2, batch_norm=True), corpus.vocab)
    calibrate(model, corpus)
    X, _ = corpus.windows("train", 2)
    w, x = model.weights, model.weights["0.embedding.C"][X].reshape(len(X), -1).astype(np.float64)
    for branch in (2, 3):
        h = x @ w[f"{branch}.0.linear.W"]
        norm = f"{branch}.1.batchnorm1d"
        np.testing.assert_allclose(w[f"{norm}.running_mean"], h.mean(0), rtol=1e-3, atol=1e-5)
        np.testing.assert_allclose(w[f"{norm}.running_var"], h.var(0, ddof=1), rtol=1e-3)
        x = x + np.tanh((h - h.mean(0)) / np.sqrt(h.var(0, ddof=1) + EPSILON))
    folded, stream = fold(model), corpus.stream("val")
    assert not any(isinstance(layer, BatchNorm1d) for _, layer in leaves(folded.layers))
    np.testing.assert_allclose(folded.nll(stream), model.nll(stream), rtol=1e-4, atol=1e-5)


def test_a_transformer_has_nothing_to_fold(words):
    run = moreish.train(words, "transformer", n_layer=1, n_head=2, n_embd=8, steps=2)
    before = run.model.params.copy()
    calibrate(run.model, run.corpus)
    np.testing.assert_array_equal(run.model.params, before)
    with pytest.raises(InputError, match="this transformer has no BatchNorm to fold"):
        fold(run.model)


def test_the_fold_command(normalised, tmp_path, capsys):
    normalised.save(tmp_path / "run")
    assert run(["fold", str(tmp_path / "run"), "--out", str(tmp_path / "folded")]) == 0
    assert "losses differ by at most" in capsys.readouterr().out
    folded = moreish.load(tmp_path / "folded")
    assert json.loads((tmp_path / "folded" / "config.json").read_text())["model_options"]["batch_norm"] is False
    assert folded.loss == pytest.approx(normalised.loss, rel=1e-5)
    assert run(["fold", str(tmp_path / "folded"), "--out", str(tmp_path / "again")]) == 2
    assert not (tmp_path / "again").exists()


def test_running_statistics_are_saved_and_resumed(words, tmp_path):
    options: dict[str, Any] = {"block_size": 4, "n_embd": 4, "n_hidden": 12, "steps": 40, "batch_size": 16}

    def stop(at):
        if at.step >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, "wavenet", **options, out=tmp_path / "stopped", on_progress=stop)
    resumed = moreish.resume(tmp_path / "stopped")
    whole = moreish.train(words, "wavenet", **options)
    np.testing.assert_array_equal(resumed.model.params, whole.model.params)
    loaded = moreish.load(tmp_path / "stopped").model
    np.testing.assert_array_equal(loaded.params, whole.model.params)


def test_they_move_to_pytorch_and_back(normalised):
    model, stream = normalised.model, normalised.corpus.stream("val")
    module = model.to_torch()
    X, Y = normalised.corpus.windows("val", 4)
    loss = torch.nn.functional.cross_entropy(module(torch.from_numpy(X)), torch.from_numpy(Y)).item()
    assert loss == pytest.approx(model.nll(stream).mean(), rel=1e-5)
    other = moreish.Model(model.config, model.vocab, seed=9).from_torch(module)
    np.testing.assert_array_equal(other.params, model.params)
    assert isinstance(model.config, WaveNet)


@pytest.mark.parametrize(("dtype", "rounding"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@pytest.mark.parametrize("C", [1, 7, 64, 100])
def test_a_row_of_layer_norm_has_mean_0_and_variance_1(C, dtype, rounding):
    """But for EPSILON: the variance is var / (var + EPSILON). A constant that is added to a row has no effect."""
    generator = np.random.default_rng(C)
    x = (generator.uniform(-3, 3, (9, 1)) + generator.standard_normal((9, C))).astype(dtype)
    gamma, beta = np.ones(C, dtype), np.zeros(C, dtype)

    def normalised(x):
        y, (mean, s) = np.empty_like(x), np.empty((2, len(x)), dtype)
        layernorm.forward(x, gamma, beta, mean, s, y)
        return y

    y, var = normalised(x), x.astype(np.float64).var(1)
    np.testing.assert_allclose(y.mean(1), 0, atol=rounding)
    np.testing.assert_allclose(y.var(1), var / (var + layernorm.EPSILON), rtol=10 * rounding)
    np.testing.assert_allclose(normalised(x + generator.uniform(1, 3, (9, 1)).astype(dtype)), y, atol=10 * rounding)
    gamma, beta = generator.uniform(0.5, 2, (2, C)).astype(dtype)
    np.testing.assert_allclose(normalised(x), gamma * y + beta, atol=10 * rounding)


def test_a_row_of_layer_norm_does_not_depend_on_the_others():
    x = np.random.default_rng(0).standard_normal((37, 50), np.float32)
    gamma, beta = np.random.default_rng(1).uniform(0.5, 2, (2, 50)).astype(np.float32)
    y, alone, (mean, s) = np.empty_like(x), np.empty((1, 50), np.float32), np.empty((2, 37), np.float32)
    layernorm.forward(x, gamma, beta, mean, s, y)
    for i in (0, 20, 36):
        layernorm.forward(x[i : i + 1], gamma, beta, mean[:1], s[:1], alone)
        assert alone.tobytes() == y[i : i + 1].tobytes()
