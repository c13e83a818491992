"""The hand-derived gradients and the whole training against PyTorch's autograd and optimizers."""

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from conftest import made_up_words
from networks import NETWORKS, B, T, V, batch, weights, worst

import moreish
import moreish.models
from moreish import InputError
from moreish.cli import run
from moreish.engine.batches import Batches
from moreish.engine.optim import OPTIMIZERS, zero_moments
from moreish.engine.protocol import Draw, Steps
from moreish.engine.tape import Tape, WordTape
from moreish.engine.tape.compile import walks
from moreish.engine.torch.engine import Torch
from moreish.engine.torch.words import WordTorch
from moreish.engine.words import WordBatches
from moreish.layers import (
    FUSED,
    GELU,
    LAYERS,
    Embedding,
    FlattenConsecutive,
    Layer,
    LayerNorm,
    Linear,
    NGramCrossEntropy,
    Residual,
    SoftCrossEntropy,
    SoftmaxCrossEntropy,
    TanhGELU,
)
from moreish.layers.layout import Layout
from moreish.layers.spec import Y
from moreish.models import NETS
from moreish.training.folder import MODEL


def test_every_layer_has_its_forward_pass_in_pytorch():
    """Except fused kinds, which stand for others, the losses, for which PyTorch has its own, and a sum of layers."""
    without = {kind for kind, kernels in LAYERS.items() if kernels.torch is None}
    assert without == {*FUSED.values(), SoftmaxCrossEntropy, SoftCrossEntropy, NGramCrossEntropy, Residual}


@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "unfused"])
@pytest.mark.parametrize("name", NETWORKS)
def test_layer_against_autograd(name, fuse):
    layers, (contexts, targets), params = NETWORKS[name], batch(B if not fuse else 40), weights(NETWORKS[name])
    counts = np.random.default_rng(5).integers(0, 4, targets.shape)
    for how_often in (None, counts):
        loss, grads = Tape(layers, T, V, np.float64).loss_and_grads(params, contexts, targets, how_often, fuse=fuse)
        expected_loss, expected = Torch(layers, T, V, np.float64).loss_and_grads(params, contexts, targets, how_often)
        assert loss == pytest.approx(expected_loss, rel=1e-12)
        assert worst(layers, grads, expected) <= 1e-8


@pytest.mark.parametrize(
    ("layer", "theirs"),
    [
        (LayerNorm(12), torch.nn.LayerNorm(12, dtype=torch.float64)),
        (GELU(), torch.nn.GELU()),
        (TanhGELU(), torch.nn.GELU(approximate="tanh")),
    ],
    ids=lambda layer: type(layer).__name__,
)
def test_layer_is_the_module_of_pytorch(layer: Layer, theirs):
    """Its output and every gradient, in a network that is otherwise made of PyTorch's functions."""
    layers = [Embedding(V, 12), layer, FlattenConsecutive(T), Linear(12 * T, V)]
    params, (contexts, targets) = 2 * weights(layers), batch(30)
    ready = Tape(layers, T, V, np.float64).prepared(30, fuse=False)
    ready.take(contexts, targets)
    grads = np.zeros_like(params)
    for walk in walks(np.float64):
        walk(ready.program, params, grads)
    C, *of_layer, W, b = (torch.from_numpy(view.copy()) for view in Layout(layers).views(params).values())
    with torch.no_grad():
        for theirs_of, ours in zip(theirs.parameters(), of_layer, strict=True):
            theirs_of.copy_(ours)
    inputs = [tensor.requires_grad_() for tensor in (C, W, b)]
    y = theirs(C[contexts])
    loss = torch.nn.functional.cross_entropy(y.flatten(1) @ W + b, torch.from_numpy(targets))
    dC, dW, db, *of_theirs = torch.autograd.grad(loss, [*inputs, *theirs.parameters()])
    np.testing.assert_allclose(ready.buffer(ready.plan.operations[1], Y), y.detach(), rtol=1e-10, atol=1e-12)
    expected = torch.cat([gradient.flatten() for gradient in (dC, *of_theirs, dW, db)]).numpy()
    assert worst(layers, grads, expected) <= 1e-8


@pytest.mark.parametrize("name", NETS)
def test_model_against_autograd(name):
    config = NETS[name]()
    layers, generator = config.layers(27), np.random.default_rng(3)
    params = Layout(layers).initial(3, np.float64)
    params[: Layout(layers).n_trained] += 0.1 * generator.standard_normal(Layout(layers).n_trained)
    if config.context is None:
        words = [np.append(generator.integers(1, 27, n), 0) for n in generator.integers(1, 9, 60)]
        packed = WordBatches.drawn(np.concatenate([[0], *words]).astype(np.int32), 40, 1).packed(0)
        engines = WordTape(layers, 1, 27, np.float64), WordTorch(layers, 1, 27, np.float64)
        (loss, grads), (expected_loss, expected) = (e.loss_and_grads_of_words(params, packed) for e in engines)
    else:
        contexts, targets = batch(200, config.context, 27)
        engines = (kind(layers, config.context, 27, np.float64) for kind in (Tape, Torch))
        (loss, grads), (expected_loss, expected) = (e.loss_and_grads(params, contexts, targets) for e in engines)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert worst(layers, grads, expected) <= 1e-8


CONFIGS = {
    "mlp": moreish.models.MLP(block_size=3, n_embd=4, n_hidden=20),
    "mlp, BatchNorm": moreish.models.MLP(block_size=3, n_embd=4, n_hidden=20, batch_norm=True),
    "wavenet-conv": moreish.models.WaveNetConv(block_size=4, n_embd=4, n_hidden=12),
}


ALL_SETTINGS: dict[str, Any] = {"decay": "matrices", "grad_clip": 0.2, "average": 0.98}


@pytest.mark.parametrize("settings", [{"decay": "all"}, ALL_SETTINGS], ids=["plain", "clipped and averaged"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", CONFIGS)
def test_two_engines_stay_together(corpus, name, optimizer, settings):
    """In float64, over a thousand steps on the same batches, each with its own copy of the weights."""
    config, V, stream = CONFIGS[name], len(corpus.vocab), corpus.stream("train")
    layers, found = config.layers(V), []
    layout = Layout(layers)
    batches = Batches.drawn(stream, 16, 3, config.context, config.whole_words)
    for kind in (Tape, Torch):
        engine, params = kind(layers, config.context, V, np.float64), layout.initial(1, np.float64)
        moments = zero_moments(optimizer, layout.n_trained, np.float64, settings.get("average", 0.0))
        losses = [
            engine.train(params, moments, batches, Steps(optimizer, 0.1, i, np.full(250, 0.01), **settings))
            for i in range(0, 1000, 250)
        ]
        words = engine.generate(params, 30, Draw(seed=2, max_length=9))
        found.append((params, moments, np.concatenate(losses), engine.nll(params, corpus.stream("val")), words))
    (params, moments, losses, nll, words), (their_params, their_moments, their_losses, their_nll, their_words) = found
    assert losses.size == 1000
    assert losses[-50:].mean() < 0.95 * losses[0]
    assert np.abs(params - their_params).max() / np.abs(their_params).max() <= 1e-9
    if moments.size:
        assert np.abs(moments - their_moments).max() / np.abs(their_moments).max() <= 1e-9
    np.testing.assert_allclose(losses, their_losses, rtol=1e-9)
    np.testing.assert_allclose(nll, their_nll, rtol=1e-9)
    np.testing.assert_array_equal(words, their_words)


def test_a_run_trained_by_pytorch_is_a_run_like_any(words, tmp_path):
    options: dict[str, Any] = {"n_hidden": 16, "n_embd": 4, "batch_size": 32, "steps": 60}
    ours = moreish.train(words, **options)
    theirs = moreish.train(words, **options, engine="torch", device="cpu", out=tmp_path / "run")
    assert theirs.loss == pytest.approx(ours.loss, rel=1e-3)
    assert [line["step"] for line in theirs.history] == [line["step"] for line in ours.history]
    loaded = moreish.load(tmp_path / "run")  # which the tape evaluates
    assert moreish.evaluate(loaded.model, loaded.corpus).loss == pytest.approx(theirs.loss, rel=1e-5)
    assert run(["sample", str(tmp_path / "run"), "-n", "3"]) == 0


def test_a_training_by_pytorch_resumes(words, tmp_path):
    options: dict[str, Any] = {
        "n_hidden": 8,
        "n_embd": 2,
        "batch_size": 16,
        "steps": 40,
        "engine": "torch",
        "device": "cpu",
    }

    def stop(at):
        if at.step >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        moreish.train(words, **options, out=tmp_path / "stopped", on_progress=stop)
    moreish.resume(tmp_path / "stopped")
    moreish.train(words, **options, out=tmp_path / "whole")
    assert (tmp_path / "stopped" / MODEL).read_bytes() == (tmp_path / "whole" / MODEL).read_bytes()


def test_weights_move_both_ways(saved_run):
    model = moreish.load(saved_run.path).model
    module, (contexts, targets) = model.to_torch(), saved_run.corpus.windows("val", model.config.context)
    assert [name for name, _ in module.named_parameters()] == ["0.C", "2.W", "2.b", "4.W", "4.b"]
    loss = torch.nn.functional.cross_entropy(module(torch.from_numpy(contexts)), torch.from_numpy(targets))
    assert loss.item() == pytest.approx(saved_run.loss["val"], rel=1e-5)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.5)
    loss.backward()
    optimizer.step()
    assert model.nll(saved_run.corpus.stream("val")).mean() == pytest.approx(loss.item(), rel=1e-5), "it is a copy"
    after = torch.nn.functional.cross_entropy(module(torch.from_numpy(contexts)), torch.from_numpy(targets)).item()
    assert model.from_torch(module).nll(saved_run.corpus.stream("val")).mean() == pytest.approx(after, rel=1e-5)
    assert after < loss.item()
    with pytest.raises(InputError, match="not those of this model"):
        model.from_torch(torch.nn.Linear(2, 3))


@pytest.mark.skipif(torch.cuda.is_available(), reason="asks for a device that is there")
def test_a_device_that_is_not_there_falls_back_and_says_so(words, caplog):
    moreish.train(words[:50], n_hidden=4, steps=2, engine="torch", device="cuda")
    assert "device cuda is not available: using the CPU" in caplog.text


def test_without_pytorch_one_line_says_what_to_install(tmp_path):
    (tmp_path / "list.txt").write_text("\n".join(made_up_words(50)))
    code = (
        "import sys, importlib.util as u; found = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name == 'torch' else found(name, *rest)\n"
        "from moreish.cli import run; sys.exit(run(['train', sys.argv[1], '--engine', 'torch', '--out', sys.argv[2]]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "list.txt"), str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == f'moreish: --engine torch needs PyTorch: {sys.executable} -m pip install "torch>=2.6"\n'
    assert not (tmp_path / "run").exists()


def test_the_engine_is_chosen_on_the_command_line(words, tmp_path, capsys):
    (tmp_path / "list.txt").write_text("\n".join(words))
    options = ["--engine", "torch", "--device", "cpu", "--steps", "20", "--n-hidden", "8", "--batch-size", "16"]
    assert run(["train", str(tmp_path / "list.txt"), *options, "--out", str(tmp_path / "run")]) == 0
    capsys.readouterr()
    assert json.loads((tmp_path / "run" / "config.json").read_text())["train_options"]["engine"] == "torch"


@pytest.mark.parametrize("settings", [{}, {"grad_clip": 0.2, "average": 0.98}], ids=["plain", "clipped and averaged"])
def test_both_engines_in_lockstep(words, tmp_path, capsys, settings):
    """The run has the tape's weights. The log compares them with PyTorch's copy."""
    options: dict[str, Any] = {"n_hidden": 16, "n_embd": 4, "batch_size": 32, "steps": 100, "log_every": 20, **settings}
    both = moreish.train(words, **options, engine="both", device="cpu")
    assert both.model.params.tobytes() == moreish.train(words, **options).model.params.tobytes()
    lines = [line for line in both.history if "torch_loss" in line]
    assert [line["step"] for line in lines][-1] == 100
    for line in lines:
        assert line["tape_loss"] == pytest.approx(line["torch_loss"], rel=1e-3)
        assert 0 < line["gradient_difference"] < 1e-3
        assert 0 < line["weight_difference"] < 1e-3
    (tmp_path / "list.txt").write_text("\n".join(words))
    arguments = ["--engine", "both", "--device", "cpu", "--steps", "20", "--n-hidden", "8", "--batch-size", "16"]
    assert run(["train", str(tmp_path / "list.txt"), *arguments, "--out", str(tmp_path / "run")]) == 0
    printed = capsys.readouterr()
    assert "gradient difference" in printed.err
    assert "each on its own copy" in printed.out
