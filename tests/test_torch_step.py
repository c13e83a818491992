"""PyTorch's training step over tensors that stay in place equals that of a plain loop, recorded or not."""

import contextlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import moreish
from moreish.engine.batches import Batches
from moreish.engine.optim import BETA1, BETA2, EPSILON, OPTIMIZERS, decay_segments, zero_moments
from moreish.engine.protocol import Steps
from moreish.engine.tape import Tape
from moreish.engine.torch import step
from moreish.engine.torch.distributed import BatchShard
from moreish.engine.torch.engine import Torch
from moreish.engine.torch.module import to_module
from moreish.engine.torch.step import Stepper, recorded
from moreish.layers.layout import Layout
from moreish.models import MLP, WaveNetConv

CONFIGS = {
    "mlp": MLP(block_size=3, n_embd=4, n_hidden=20),
    "mlp, BatchNorm": MLP(block_size=3, n_embd=4, n_hidden=20, batch_norm=True),
    "wavenet-conv": WaveNetConv(block_size=4, n_embd=4, n_hidden=12),
}
CLIPPED: dict[str, Any] = {"grad_clip": 0.1, "average": 0.9}
RATES, DECAY = np.linspace(0.02, 0.005, 30), 0.01
pytestmark = pytest.mark.usefixtures("one_torch_thread")
on_a_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


class Setting:
    """A model, its batches, and weights and moments to begin with."""

    def __init__(self, corpus, config, optimizer, **settings: Any):
        self.config, self.optimizer, self.V = config, optimizer, len(corpus.vocab)
        self.layers = config.layers(self.V)
        self.params = Layout(self.layers).initial(3)
        self.moments = zero_moments(optimizer, Layout(self.layers).n_trained, average=settings.get("average", 0.0))
        self.batches = Batches.drawn(corpus.stream("train"), 32, 7, config.context, config.whole_words)
        self.steps = Steps(optimizer, DECAY, first=0, rates=RATES, **settings)

    def batch(self, step):
        contexts, targets, counts = self.batches.room(self.config.context)
        self.batches.fill(step, contexts, targets, counts)
        return contexts, targets, counts

    def engine(self, **options: Any):
        return Torch(self.layers, self.config.context, self.V, **options)

    def trained(self, engine):
        params, moments = self.params.copy(), self.moments.copy()
        return engine.train(params, moments, self.batches, self.steps), params


@pytest.fixture(params=CONFIGS)
def config(request):
    return CONFIGS[request.param]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_it_is_the_plain_loop_bit_for_bit(corpus, config, optimizer, monkeypatch):
    monkeypatch.setattr(step, "STAGED_TOKENS", 1000)  # the batches of a few steps are sent together
    setting, losses = Setting(corpus, config, optimizer, decay="all"), []
    flat = torch.from_numpy(setting.params.copy())
    module = to_module(setting.layers, flat)
    trained = flat[: Layout(setting.layers).n_trained]
    if optimizer == "sgd":
        plain = torch.optim.SGD([trained], weight_decay=DECAY, fused=True)
    else:
        plain = torch.optim.AdamW([trained], betas=(BETA1, BETA2), eps=EPSILON, weight_decay=DECAY, fused=True)
    for number, rate in enumerate(RATES.tolist()):
        contexts, targets, counts = setting.batch(number)
        logits = module(torch.from_numpy(contexts)).view(-1, setting.V)
        nll = F.cross_entropy(logits, torch.from_numpy(targets).view(-1), reduction="none")
        loss = nll @ torch.from_numpy(counts / counts.sum()).view(-1).float()
        trained.grad = torch.cat([g.flatten() for g in torch.autograd.grad(loss, [*module.parameters()])])
        plain.param_groups[0]["lr"] = rate
        plain.step()
        losses.append(loss.item())
    found, params = setting.trained(setting.engine())
    assert found.tolist() == losses
    np.testing.assert_array_equal(params, flat.numpy())


@pytest.mark.parametrize("settings", [{}, CLIPPED], ids=["plain", "clipped and averaged"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_steps_before_a_recording_change_nothing(corpus, config, optimizer, settings):
    setting, recordings = Setting(corpus, config, optimizer, **settings), []

    def record(work):
        for _ in range(3):
            work()
        recordings.append(work)
        return work

    found = []
    for how in (None, record):
        flat, grads = torch.zeros(len(setting.params)), torch.zeros(Layout(setting.layers).n_trained)
        module = to_module(setting.layers, flat)
        contexts, targets, _ = setting.batch(0)
        shape = (32, contexts.shape[1], targets.shape[1])
        segments = decay_segments(Layout(setting.layers), setting.steps.decay, DECAY)
        stepper = Stepper(module, flat, grads, shape, setting.steps, segments, how)
        for parameter in module.parameters():
            parameter.grad = grads[parameter.storage_offset() :][: parameter.numel()].view(parameter.shape)
        for _ in range(2):  # twice from the same weights
            losses = stepper.run(setting.params, setting.moments, setting.batches, setting.steps, BatchShard())
            found.append((losses.numpy(), flat.numpy().copy(), stepper.moments.numpy().copy()))
    assert len(recordings) == 1
    for arrays in found[1:]:
        for array, expected in zip(arrays, found[0], strict=True):
            np.testing.assert_array_equal(array, expected)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_step_whose_loss_is_not_finite_is_not_made(corpus, optimizer):
    setting = Setting(corpus, CONFIGS["mlp"], optimizer)
    rates = np.full(12, 0.01)
    rates[6] = 1e300  # after which weights are infinite
    found = []
    for make in (Torch, Tape):
        setting.steps = Steps(optimizer, DECAY, first=0, rates=rates)
        losses, params = setting.trained(make(setting.layers, setting.config.context, setting.V))
        assert np.isfinite(losses).tolist() == [True] * 7 + [False]
        setting.steps = Steps(optimizer, DECAY, first=0, rates=rates[:7])
        np.testing.assert_array_equal(params, setting.trained(make(setting.layers, 3, setting.V))[1])
        found.append(losses[:7])
    np.testing.assert_allclose(*found, rtol=1e-4)


@pytest.fixture
def fake_gpu(monkeypatch):
    """A substitute for the GPU in `recorded`: a list of the calls, and a switch that makes recording fail."""
    done: list[str] = []
    can = {"record": True}

    class Stream:
        def wait_stream(self, other):
            done.append("wait")

    class Graph:
        def replay(self):
            done.append("replay")

    @contextlib.contextmanager
    def graph(into, stream):
        done.append("record")
        if not can["record"]:
            raise RuntimeError("operation not permitted when stream is capturing\nmore")
        yield
        done.append("recorded")

    for name, what in {
        "current_stream": Stream,
        "Stream": Stream,
        "stream": lambda stream: contextlib.nullcontext(),
        "set_stream": lambda stream: done.append("back"),
        "CUDAGraph": Graph,
        "graph": graph,
    }.items():
        monkeypatch.setattr(torch.cuda, name, what)
    return done, can


def test_a_recording_comes_after_a_warm_up(fake_gpu):
    done, _ = fake_gpu
    recorded(lambda: done.append("work"))()
    assert done == ["wait", *["work"] * 3, "wait", "record", "work", "recorded", "replay"]


def test_work_that_cannot_be_recorded_is_done_each_time(fake_gpu, caplog):
    done, can = fake_gpu
    can["record"] = False
    recorded(lambda: done.append("work"))()
    assert done == ["wait", *["work"] * 3, "wait", "record", "back", "work"]
    assert "a step cannot be recorded as a CUDA graph (operation not permitted when stream is capturing)" in caplog.text


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, and it would be measured")
def test_without_a_gpu_its_benchmark_says_so():
    script = Path(__file__).parents[1] / "benchmarks" / "gpu.py"
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "there is no GPU here that PyTorch can use: nothing is measured\n"


@on_a_gpu
@pytest.mark.parametrize("settings", [{}, CLIPPED], ids=["plain", "clipped and averaged"])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.filterwarnings("ignore:.torch.jit.*is deprecated:DeprecationWarning")  # torch.compile's own
def test_a_gpu_replays_what_it_would_launch(corpus, config, optimizer, compiled, settings, caplog, monkeypatch):
    monkeypatch.setattr(step, "STAGED_TOKENS", 1000)
    setting = Setting(corpus, config, optimizer, **settings)
    eager, eager_params = setting.trained(setting.engine(device="cuda", graph=False))
    graph, graph_params = setting.trained(setting.engine(device="cuda", compile=compiled))
    np.testing.assert_allclose(graph, eager, rtol=1e-4)
    np.testing.assert_allclose(graph_params, eager_params, atol=1e-3)
    assert "cannot be recorded" not in caplog.text


@on_a_gpu
def test_a_gpu_trains_to_the_losses_of_the_tape(words):
    options: dict[str, Any] = {"n_hidden": 16, "n_embd": 4, "batch_size": 32, "steps": 60}
    ours = moreish.train(words, **options)
    assert moreish.train(words, **options, engine="torch", device="cuda").loss == pytest.approx(ours.loss, rel=1e-3)
