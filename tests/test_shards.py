"""Shards of a batch: their gradients add up to those of the whole, and no number of threads changes a bit."""

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moreish import set_threads
from moreish.engine.batches import Batches
from moreish.engine.optim import OPTIMIZERS, zero_moments
from moreish.engine.protocol import Steps
from moreish.engine.tape import Tape, engine
from moreish.engine.tape.planner import make_plan
from moreish.engine.tape.shards import MIN_SHARD_EXAMPLES, count_shards, count_word_shards, shard_bounds
from moreish.layers import Layer, LookupLinear, SoftmaxCrossEntropy
from moreish.layers.layout import Layout
from moreish.layers.spec import FIRST
from moreish.models import MLP, NETS, WaveNet, WaveNetConv

pytestmark = pytest.mark.usefixtures("threads_as_before")
SMALL: Any = {"n_embd": 5, "n_hidden": 22}
CONFIGS = {
    "mlp": MLP(block_size=3, **SMALL),
    "mlp, 5 tokens, BatchNorm": MLP(block_size=5, n_layer=2, batch_norm=True, **SMALL),
    "wavenet": WaveNet(block_size=4, **SMALL),
    "wavenet-conv": WaveNetConv(block_size=4, **SMALL),
}
# The rows of an example in the first Linear, if the fused kernel can replace it: it does so from 4 V rows in a shard.
FUSED_ROWS = {"mlp": 1, "mlp, 5 tokens, BatchNorm": 1, "wavenet": 2, "wavenet-conv": 0}


@given(st.integers(1, 700), st.integers(1, 20))
def test_the_shards_of_a_batch_are_all_of_it(B, shards):
    bounds = [shard_bounds(B, shard, shards) for shard in range(shards)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == B
    assert all(a[1] == b[0] for a, b in pairwise(bounds))
    assert max(b - a for a, b in bounds) - min(b - a for a, b in bounds) <= 32


@pytest.mark.parametrize("name", NETS)
def test_no_shard_is_too_small_for_a_thread(name):
    sizes = (1, 32, 256, 1024, 1 << 16)
    config = NETS[name]()
    layers, T = [*config.layers(27), SoftmaxCrossEntropy(27)], config.context
    counts = [count_word_shards(layers, B, 1) if T is None else count_shards(layers, B, T) for B in sizes]
    assert counts[0] == 1
    assert counts == sorted(counts)
    assert counts[-1] <= 16
    assert all(n == 1 or n * MIN_SHARD_EXAMPLES <= B for n, B in zip(counts, sizes, strict=True))


def test_batch_sizes_from_which_two_threads_are_faster():
    of_mlp = [*MLP(block_size=4, n_embd=10, n_hidden=200).layers(27), SoftmaxCrossEntropy(27)]
    of_tree = [*WaveNet(block_size=8, n_embd=24, n_hidden=128).layers(27), SoftmaxCrossEntropy(27)]
    assert [count_shards(of_mlp, B, 4) for B in (32, 64)] == [1, 1], "one thread is faster"
    assert count_shards(of_mlp, 256, 4) >= 2
    assert count_shards(of_tree, 128, 8) >= 2


@pytest.mark.parametrize("V", [27, 60, 100])
def test_shards_have_the_fused_kernels_of_the_whole(V):
    tape, found = Tape(MLP().layers(V), 6, V), []
    for B in (128, 256, 512, 1024, 2048, 4096):
        plan = tape.plan(B)
        kinds = {type(op.layer) for op in plan.operations}
        assert (LookupLinear in kinds) == (B >= 4 * V)
        if LookupLinear in kinds:
            found.append(plan.shards)
    assert found == sorted(found)
    assert found[-1] > 1


def test_a_row_has_the_first_shard_of_its_thread():
    plan = make_plan([*MLP().layers(27), SoftmaxCrossEntropy(27)], (256, 6, 1), shards=4)
    for threads, expected in {1: [0, 0, 0, 0], 2: [0, 0, 2, 2], 3: [0, 1, 2, 2], 4: [0, 1, 2, 3]}.items():
        assert (plan.ops(threads)[:, :, FIRST] == expected).all()


def gradients(tape: Tape, layers: list[Layer], batches: Batches, context: int) -> tuple[float, np.ndarray]:
    """The loss and the gradients of one batch, in float64."""
    params = Layout(layers).initial(1, np.float64)
    params += 0.1 * np.random.default_rng(2).standard_normal(params.size)
    batch = batches.room(context)
    batches.fill(3, *batch)
    return tape.loss_and_grads(params, *batch)


@pytest.mark.parametrize("B", [97, 250])
@pytest.mark.parametrize("name", CONFIGS)
def test_the_gradients_of_all_shards_are_those_of_the_whole(name, B, corpus):
    """With the fused kernels, and without them where a shard has too few rows."""
    config, V = CONFIGS[name], len(corpus.vocab)
    layers, context = config.layers(V), config.context
    batches = Batches.drawn(corpus.stream("train"), B, 1, context, config.whole_words)
    whole = gradients(Tape(layers, context, V, np.float64, shards=1), layers, batches, context)
    assert np.abs(whole[1]).max() > 1e-3
    for shards in (2, 3, 5):
        tape = Tape(layers, context, V, np.float64, shards=shards)
        plan = tape.plan(B, batches.n_places)
        assert plan.shards == shards
        fused = any(isinstance(op.layer, LookupLinear) for op in plan.operations)
        assert fused == (B // shards * FUSED_ROWS[name] >= 4 * V)
        loss, grads = gradients(tape, layers, batches, context)
        assert loss == pytest.approx(whole[0], rel=1e-12)
        np.testing.assert_allclose(grads, whole[1], rtol=1e-9, atol=1e-12)


def trained(
    config, corpus, batches, optimizer: str, dtype: type, shards: int, steps: int = 12, **settings: Any
) -> list[np.ndarray]:
    """Losses, weights and moments after some steps."""
    layers = config.layers(len(corpus.vocab))
    layout, average = Layout(layers), settings.get("average", 0.0)
    params, moments = layout.initial(1, dtype), zero_moments(optimizer, layout.n_trained, dtype, average)
    tape = Tape(layers, config.context, len(corpus.vocab), dtype, shards=shards)
    losses = tape.train(params, moments, batches, Steps(optimizer, 0.01, 0, np.full(steps, 0.05), **settings))
    assert losses[-1] < losses[0]
    return [losses, params, moments]


CLIPPED: dict[str, Any] = {"decay": "matrices", "grad_clip": 0.1, "average": 0.9}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("optimizer", "options"),
    [*((optimizer, {"decay": "all"}) for optimizer in OPTIMIZERS), ("adamw", CLIPPED)],
    ids=[*OPTIMIZERS, "clipped and averaged"],
)
@pytest.mark.parametrize("name", CONFIGS)
def test_training_is_the_same_bit_for_bit_with_any_number_of_threads(name, optimizer, options, dtype, corpus, made_by):
    config = CONFIGS[name]
    batches = Batches.drawn(corpus.stream("train"), 250, 1, config.context, config.whole_words)
    found, made = [], made_by(engine)
    for n in (1, 2, 3, 5, 8):
        set_threads(n)
        found.append(trained(config, corpus, batches, optimizer, dtype, shards=5, **options))
    assert made == [1, 2, 3, 5, 5], "a thread has at least one shard"
    for other in found[1:]:
        for one, another in zip(found[0], other, strict=True):
            assert np.array_equal(one, another)


def test_so_is_training_on_the_full_batch(corpus):
    config, found = CONFIGS["mlp"], []
    batches = Batches.of_all(corpus.stream("train"), config.context)
    for shards, n in ((1, 1), (3, 1), (3, 3)):
        set_threads(n)
        found.append(trained(config, corpus, batches, "sgd", np.float64, shards))
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-9, atol=1e-12)
    assert np.array_equal(found[2][1], found[1][1])


def test_a_loss_that_is_not_finite_stops_all_threads(corpus):
    layers, V, found = CONFIGS["mlp"].layers(len(corpus.vocab)), len(corpus.vocab), []
    for n in (1, 3):
        set_threads(n)
        params = Layout(layers).initial(1)
        moments = zero_moments("sgd", Layout(layers).n_trained)
        batches = Batches.drawn(corpus.stream("train"), 150, 1, 3, whole_words=False)
        rates = np.r_[np.full(4, 0.1), np.full(30, 1e30)]
        losses = Tape(layers, 3, V, shards=3).train(params, moments, batches, Steps("sgd", 0.0, 0, rates))
        assert not np.isfinite(losses[-1])
        assert 4 < len(losses) < 34
        found.append(losses)
    assert np.array_equal(*found, equal_nan=True)


def test_trainings_at_the_same_time_give_what_each_gives_alone(corpus):
    tasks = [
        partial(
            trained,
            CONFIGS[name],
            corpus,
            Batches.drawn(corpus.stream("train"), 150, seed, CONFIGS[name].context, whole_words=False),
            "adamw",
            np.float32,
            shards=4,
            steps=40,
        )
        for seed in (1, 2)
        for name in ("mlp", "mlp, 5 tokens, BatchNorm", "wavenet")
    ]
    set_threads(1)
    alone = [task() for task in tasks]
    set_threads(4)
    with ThreadPoolExecutor(len(tasks)) as pool:
        together = [future.result(100) for future in [pool.submit(task) for task in tasks]]
    for one, other in zip(alone, together, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
