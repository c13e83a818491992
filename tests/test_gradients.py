"""Every hand-derived gradient against central differences, in float64, at random weights that are zero nowhere."""

import dataclasses

import numpy as np
import pytest
from networks import NETWORKS, SPREAD, B, T, V, always_fuse, batch, differences, weights, worst

from moreish.engine.tape import Tape
from moreish.layers import FUSED, LAYERS, Embedding, FlattenConsecutive, Linear, Tanh
from moreish.layers.layout import Layout
from moreish.models import MLP, NETS


@pytest.mark.parametrize("name", NETWORKS)
def test_layer_against_central_differences(name, monkeypatch):
    always_fuse(monkeypatch)
    layers, (contexts, targets) = NETWORKS[name], batch()
    tape, params = Tape(layers, T, V, np.float64), weights(layers)
    reference = differences(tape, params, contexts, targets)
    for fuse in (False, True):
        grads = tape.loss_and_grads(params, contexts, targets, fuse=fuse)[1]
        assert worst(layers, grads, reference) <= 1e-6


@pytest.mark.parametrize("kind", LAYERS, ids=lambda kind: kind.__name__)
def test_a_network_holds_the_layer_that_it_is_for(kind, monkeypatch):
    always_fuse(monkeypatch)
    plan = Tape(NETWORKS[kind.__name__], T, V).plan(B, fuse=kind in FUSED.values())
    assert kind in {type(op.layer) for op in plan.operations}


@pytest.mark.parametrize("fuse", [True, False], ids=["fused", "unfused"])
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("n_layer", [1, 3])
def test_mlp_against_central_differences(n_layer, activation, fuse, monkeypatch):
    if fuse:
        always_fuse(monkeypatch)
    config = MLP(block_size=3, n_embd=2, n_hidden=6, n_layer=n_layer, activation=activation)
    layers, (contexts, targets) = config.layers(V), batch(block_size=3)
    tape, params = Tape(layers, 3, V, np.float64), weights(layers)
    grads = tape.loss_and_grads(params, contexts, targets, fuse=fuse)[1]
    assert worst(layers, grads, differences(tape, params, contexts, targets)) <= 1e-6


@pytest.mark.parametrize("name", NETS)
def test_float32_follows_float64(name):
    """Float32 kernels, with their polynomials, agree with float64 ones to a few roundings, for every model."""
    config = NETS[name]()
    layers, (contexts, targets) = config.layers(27), batch(200, config.context, 27)
    generator = np.random.default_rng(3)
    params = Layout(layers).initial(3, np.float64)
    params[: Layout(layers).n_trained] += 0.01 * generator.standard_normal(Layout(layers).n_trained)
    exact_loss, exact = Tape(layers, config.context, 27, np.float64).loss_and_grads(params, contexts, targets)
    loss, grads = Tape(layers, config.context, 27).loss_and_grads(params.astype(np.float32), contexts, targets)
    assert loss == pytest.approx(exact_loss, rel=1e-5)
    assert worst(layers, grads.astype(np.float64), exact) <= 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_fused_is_unfused(name, monkeypatch):
    """Some networks group positions without joining the whole context."""
    always_fuse(monkeypatch)
    layers, (contexts, targets) = NETWORKS[name], batch(50)
    tape, params = Tape(layers, T, V, np.float64), weights(layers)
    grads = tape.loss_and_grads(params, contexts, targets)[1]
    assert worst(layers, grads, tape.loss_and_grads(params, contexts, targets, fuse=False)[1]) <= 1e-12


@pytest.mark.parametrize("block_size", [1, 2, 3, 4, 5, 8])
def test_fused_is_unfused(block_size, monkeypatch):
    always_fuse(monkeypatch)
    config = MLP(block_size=block_size, n_embd=3, n_hidden=20, n_layer=2)
    layers, (contexts, targets) = config.layers(V), batch(50, block_size)
    tape, params = Tape(layers, block_size, V, np.float64), weights(layers)
    assert any(type(op.layer) in FUSED.values() for op in tape.plan(50).operations)
    loss, grads = tape.loss_and_grads(params, contexts, targets)
    expected_loss, expected = tape.loss_and_grads(params, contexts, targets, fuse=False)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    assert worst(layers, grads, expected) <= 1e-12


def test_a_gradient_that_is_wrong_is_seen(monkeypatch):
    """The comparison can fail: it catches a backward pass that lacks a term."""
    from moreish.layers import activation

    def without_the_square(row, arena, params, grads, ints):
        n = row[activation.ROWS] * row[activation.S0]
        for i in range(n):
            arena[row[activation.DX] + i] = arena[row[activation.DY] + i]

    monkeypatch.setitem(LAYERS, Tanh, dataclasses.replace(LAYERS[Tanh], backward=without_the_square))
    layers, (contexts, targets) = NETWORKS["Tanh"], batch()
    tape, params = Tape(layers, T, V, np.float64), weights(layers)
    grads = tape.loss_and_grads(params, contexts, targets, fuse=False)[1]
    assert worst(layers, grads, differences(tape, params, contexts, targets)) > 1e-2


def test_layers_that_do_not_fit_are_refused():
    for layers in (
        [Embedding(V, 3), FlattenConsecutive(3)],
        [Embedding(V, 3), FlattenConsecutive(T), Linear(50, V, SPREAD)],
    ):
        with pytest.raises(ValueError, match="FlattenConsecutive|Linear"):
            Tape(layers, T, V).plan(B)
