"""The optimizers against PyTorch's, and the learning-rate schedules."""

import math

import numpy as np
import pytest
import torch
from networks import SPREAD, T, V

from moreish.engine.batches import Batches
from moreish.engine.optim import BETA1, BETA2, EPSILON, OPTIMIZERS, Schedule, decay_segments, zero_moments
from moreish.engine.protocol import Steps
from moreish.engine.tape import Tape
from moreish.engine.tape.compile import optimizer
from moreish.layers import BatchNorm1d, Embedding, FlattenConsecutive, Linear, Tanh
from moreish.layers.layout import Layout

LAYERS = [
    Embedding(V, 6),
    FlattenConsecutive(T),
    Linear(6 * T, 30, SPREAD, bias=None),
    BatchNorm1d(30),
    Tanh(),
    Linear(30, V, SPREAD, SPREAD),
]


@pytest.mark.parametrize(("decay", "factor"), [(0.0, 1), (0.1, 1), (0.1, 0.3)])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_makes_the_steps_of_pytorchs(name, decay, factor):
    generator = np.random.default_rng(0)
    params = generator.standard_normal(37)
    start, hyper = params.copy(), np.array([decay, BETA1, BETA2, EPSILON, factor])
    theirs = torch.nn.Parameter(torch.from_numpy(params.copy()))
    if name == "adamw":
        reference = torch.optim.AdamW([theirs], betas=(BETA1, BETA2), eps=EPSILON, weight_decay=decay)
    else:
        reference = torch.optim.SGD([theirs], weight_decay=decay)
    step, moments = optimizer(name, np.float64), np.zeros((OPTIMIZERS[name].n_moments, 37))
    for number in range(1, 21):
        grads, rate = generator.standard_normal(37), 0.1 / number
        step(params, grads, moments, rate, number, hyper, 0, 37)
        reference.param_groups[0]["lr"] = rate
        theirs.grad = torch.from_numpy(factor * grads)
        reference.step()
        np.testing.assert_allclose(params, theirs.detach().numpy(), rtol=1e-12)
    assert np.abs(params - start).min() > 1e-4


def test_biases_and_gains_do_not_decay_by_default():
    layout = Layout(LAYERS)
    decays = np.full(layout.n_trained, np.nan)
    for begin, end, decay in decay_segments(layout, "matrices", 0.5):
        decays[begin:end] = decay
    found = {name: np.unique(values).tolist() for name, values in layout.views(decays).items()}
    assert found == {
        "0.embedding.C": [0.5],
        "2.linear.W": [0.5],
        "3.batchnorm1d.gamma": [0.0],
        "3.batchnorm1d.beta": [0.0],
        "5.linear.W": [0.5],
        "5.linear.b": [0.0],
    }
    assert decay_segments(layout, "all", 0.5) == [(0, layout.n_trained, 0.5)]
    assert decay_segments(layout, "matrices", 0.0) == [(0, layout.n_trained, 0.0)]


def batches(n: int = 40) -> Batches:
    stream = np.append(0, np.random.default_rng(3).integers(0, V, 2000)).astype(np.int32)
    return Batches.drawn(stream, n, 5, T, whole_words=False)


@pytest.mark.parametrize("clip", [0.05, 0.3, 1e6])
def test_a_long_gradient_is_scaled_to_the_largest_norm(clip):
    """With plain SGD at a rate of 1, the step is the gradient."""
    layout, tape = Layout(LAYERS), Tape(LAYERS, T, V, np.float64)
    assert layout.n_trained > 2 * 256, "several blocks"
    params = layout.initial(2, np.float64)
    contexts, targets, counts = batches().room(T)
    batches().fill(7, contexts, targets, counts)
    gradient = tape.loss_and_grads(params, contexts, targets, counts)[1]
    weights = torch.nn.Parameter(torch.zeros(layout.n_trained, dtype=torch.float64))
    weights.grad = torch.from_numpy(gradient.copy())
    norm = torch.nn.utils.clip_grad_norm_([weights], clip).item()
    assert 0.3 < norm < 1e6
    moved, moments = params.copy(), zero_moments("sgd", layout.n_trained, np.float64)
    tape.train(moved, moments, batches(), Steps("sgd", 0.0, 7, np.ones(1), grad_clip=clip))
    step = (params - moved)[: layout.n_trained]
    np.testing.assert_allclose(step, weights.grad.numpy(), rtol=1e-9, atol=1e-14)
    assert np.linalg.norm(step) == pytest.approx(min(norm, clip), rel=1e-4)


@pytest.mark.parametrize("average", [0.6, 0.9, 1.0])
def test_the_average_follows_the_weights_after_each_step(average):
    layout, tape = Layout(LAYERS), Tape(LAYERS, T, V, np.float64)
    n, params = layout.n_trained, layout.initial(2, np.float64)
    moments, expected, seen = zero_moments("adamw", n, np.float64, average), np.zeros(n), []
    assert moments.shape == (3, n)
    for t in range(1, 26):
        tape.train(params, moments, batches(), Steps("adamw", 0.1, t - 1, np.full(1, 0.02), average=average))
        decay = min(average, 1 - 10 / (t + 9))
        expected = decay * expected + (1 - decay) * params[:n]
        seen.append(params[:n].copy())
        np.testing.assert_allclose(moments[-1], expected, rtol=1e-10, atol=1e-12)
    assert np.abs(moments[-1] - params[:n]).max() > 1e-2
    if average == 1:  # weighted by the ninth powers of the steps, nearly
        weights = [math.prod(range(t, t + 9)) for t in range(1, 26)]
        np.testing.assert_allclose(moments[-1], np.average(seen, 0, weights), rtol=1e-9, atol=1e-12)


def test_schedules_have_their_shape():
    steps = 1000
    rates = {kind: Schedule(kind, 0.1, steps).rates(0, steps) for kind in ("constant", "step", "linear", "cosine")}
    assert (rates["constant"] == 0.1).all()
    assert rates["step"].tolist() == pytest.approx([0.1] * 500 + [0.01] * 500)
    np.testing.assert_allclose(rates["linear"], 0.1 * (1 - np.arange(steps) / steps))
    np.testing.assert_allclose(rates["cosine"], [0.05 * (1 + math.cos(math.pi * s / steps)) for s in range(steps)])
    warm = Schedule("linear", 0.1, steps, warmup=0.1)
    assert (np.diff(warm.rates(0, 100)) > 0).all()
    assert warm.rates(100, 101)[0] == pytest.approx(0.1)
    np.testing.assert_array_equal(warm.rates(37, 611), warm.rates(0, steps)[37:611])
