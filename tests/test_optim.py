"""The optimizers against PyTorch's, and the learning-rate schedules."""

import math

import numpy as np
import pytest
import torch

from moreish.engine.optim import BETA1, BETA2, EPSILON, OPTIMIZERS, Schedule
from moreish.engine.tape.compile import optimizer


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_makes_the_steps_of_pytorchs(name, decay):
    generator = np.random.default_rng(0)
    params, start = generator.standard_normal(37), None
    start = params.copy()
    theirs = torch.nn.Parameter(torch.from_numpy(params.copy()))
    if name == "adamw":
        reference = torch.optim.AdamW([theirs], betas=(BETA1, BETA2), eps=EPSILON, weight_decay=decay)
    else:
        reference = torch.optim.SGD([theirs], weight_decay=decay)
    step, moments = optimizer(name, np.float64), np.zeros((OPTIMIZERS[name].n_moments, 37))
    for number in range(1, 21):
        grads, rate = generator.standard_normal(37), 0.1 / number
        step(params, grads, moments, rate, number, np.array([decay, BETA1, BETA2, EPSILON]), 0, 37)
        reference.param_groups[0]["lr"] = rate
        theirs.grad = torch.from_numpy(grads)
        reference.step()
        np.testing.assert_allclose(params, theirs.detach().numpy(), rtol=1e-12)
    assert np.abs(params - start).min() > 1e-3


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
