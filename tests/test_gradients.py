"""Every hand-derived gradient against central differences, in float64, at random weights of which none is zero."""

import dataclasses

import numpy as np
import pytest
from networks import NETWORKS, SPREAD, B, T, V, always_fuse, batch, differences, weights, word_stream, worst

from moreish.engine.tape import Tape, WordTape, make_plan
from moreish.engine.words import WordBatches
from moreish.layers import FUSED, LAYERS, Dropout, Embedding, FlattenConsecutive, Linear, SoftCrossEntropy, Tanh
from moreish.layers.layout import Layout
from moreish.layers.spec import AUX, PARAMETERS, SHARD, SHARDS, SHARED, SIZES, Parameter, Shape
from moreish.models import MLP, NETS, NetConfig


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
def test_a_network_contains_the_layer_that_it_is_for(kind, monkeypatch):
    always_fuse(monkeypatch)
    softness = 0.5 if kind is SoftCrossEntropy else 0.0
    plan = Tape(NETWORKS[kind.__name__], T, V).plan(B, fuse=kind in FUSED.values(), softness=softness)
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


def of_a_batch(config: NetConfig, params: np.ndarray) -> tuple[float, np.ndarray]:
    """Loss and gradients of a model with 27 tokens on 200 examples, in the type of its weights."""
    layers, dtype = config.layers(27), params.dtype.type
    if config.context is None:
        packed = WordBatches.drawn(word_stream(200, 27), 200, 1).packed(0)
        return WordTape(layers, 1, 27, dtype).loss_and_grads_of_words(params, packed)
    return Tape(layers, config.context, 27, dtype).loss_and_grads(params, *batch(200, config.context, 27))


@pytest.mark.parametrize("name", NETS)
def test_float32_follows_float64(name):
    """Float32 kernels, with their polynomials, agree with float64 ones to a few roundings, for every model."""
    config = NETS[name]()
    layers, generator = config.layers(27), np.random.default_rng(3)
    params = Layout(layers).initial(3, np.float64)
    params[: Layout(layers).n_trained] += 0.01 * generator.standard_normal(Layout(layers).n_trained)
    exact_loss, exact = of_a_batch(config, params)
    loss, grads = of_a_batch(config, params.astype(np.float32))
    assert loss == pytest.approx(exact_loss, rel=1e-5)
    assert worst(layers, grads.astype(np.float64), exact) <= 1e-4


@pytest.mark.parametrize("name", NETWORKS)
def test_every_network_fused_is_unfused(name, monkeypatch):
    """Also where a group of positions is not the whole context."""
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


def test_a_wrong_gradient_is_found(monkeypatch):
    """The comparison can fail: a backward pass that lacks a term is found."""
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
        [Embedding(V, 3), FlattenConsecutive(T), Dropout(0.5)],  # its masks are those of positions
        [Embedding(V, 3), FlattenConsecutive(3)],
        [Embedding(V, 3), FlattenConsecutive(T), Linear(50, V, SPREAD)],
    ):
        with pytest.raises(ValueError, match="FlattenConsecutive|Linear|Dropout"):
            Tape(layers, T, V).plan(B)


@dataclasses.dataclass(frozen=True)
class Many:
    """A layer with a number of each thing that has columns in a row of the plan."""

    n_parameters: int = 0
    n_sizes: int = 0
    n_scratch: int = 0
    n_shared: int = 0

    def parameters(self) -> tuple[Parameter, ...]:
        return tuple(Parameter(f"p{i}", (i + 1,), SPREAD) for i in range(self.n_parameters))

    def out_shape(self, in_shape: Shape) -> Shape:
        return in_shape

    def sizes(self, in_shape: Shape) -> tuple[int, ...]:
        return tuple(range(100, 100 + self.n_sizes))

    def flops(self, in_shape: Shape, batch_size: int) -> int:
        return 0


@pytest.fixture
def many(monkeypatch) -> None:
    """The layer above in the registry, with kernels that are never run."""
    kernels = dataclasses.replace(
        LAYERS[Tanh],
        scratch=lambda layer, in_shape, rows: [rows * in_shape[0] + i for i in range(layer.n_scratch)],
        shared=lambda layer: range(1, 1 + layer.n_shared),
    )
    monkeypatch.setitem(LAYERS, Many, kernels)


@pytest.mark.usefixtures("many")
def test_a_row_has_room_for_eight_parameters_and_sizes_and_ten_scratch_arrays():
    plan = make_plan([Linear(5, 6), Many(8, 8, 10, 4)], (64, 5, 1), shards=2)
    op = plan.operations[1]
    for shard in range(2):
        row = op.rows[0, shard]
        assert row[list(PARAMETERS)].tolist() == [slot.start for slot in op.slots]
        assert row[list(SIZES)].tolist() == list(range(100, 108))
        assert np.diff(row[list(AUX)]).tolist() == [32 * 6 + i for i in range(9)], "one after another"
        assert np.diff(row[list(SHARED)]).tolist() == [2 * n for n in (1, 2, 3)], "a row for each shard"
        assert row[SHARD] == shard
        assert row[SHARDS] == 2


@pytest.mark.usefixtures("many")
@pytest.mark.parametrize(
    ("layer", "what"),
    [
        (Many(n_parameters=9), "9 parameters: a row of the plan has room for 8"),
        (Many(n_sizes=9), "9 sizes: a row of the plan has room for 8"),
        (Many(n_scratch=11), "11 scratch arrays: a row of the plan has room for 10"),
        (Many(n_shared=5), "5 shared arrays: a row of the plan has room for 4"),
    ],
)
def test_a_layer_that_needs_more_is_refused(layer, what):
    with pytest.raises(ValueError, match=f"Many has {what}"):
        make_plan([layer], (64, 5, 1))
