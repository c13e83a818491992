"""Parts of a batch: that they make the gradients of the whole, and the same ones whoever walks them."""

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
from moreish.engine.tape.fuse import fused
from moreish.engine.tape.plan import make_plan
from moreish.engine.tape.shards import EXAMPLES, part_of, parts_of
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


def in_parts(monkeypatch, parts: int) -> None:
    monkeypatch.setattr(engine, "parts_of", lambda *arguments: parts)


@given(st.integers(1, 700), st.integers(1, 20))
def test_the_parts_of_a_batch_are_all_of_it(B, parts):
    bounds = [part_of(B, parts, part) for part in range(parts)]
    assert bounds[0][0] == 0
    assert bounds[-1][1] == B
    assert all(a[1] == b[0] for a, b in pairwise(bounds))
    assert max(b - a for a, b in bounds) - min(b - a for a, b in bounds) <= 32


@pytest.mark.parametrize("name", NETS)
def test_no_part_is_too_small_to_be_worth_it(name):
    sizes = (1, 32, 256, 1024, 1 << 16)
    config = NETS[name]()
    counts = [parts_of([*config.layers(27), SoftmaxCrossEntropy(27)], B, config.context) for B in sizes]
    assert counts[0] == 1
    assert counts == sorted(counts)
    assert counts[-1] <= 16
    assert all(n == 1 or n * EXAMPLES <= B for n, B in zip(counts, sizes, strict=True))


def test_two_threads_have_work_from_these_sizes_on():
    of_mlp = [*MLP(block_size=4, n_embd=10, n_hidden=200).layers(27), SoftmaxCrossEntropy(27)]
    of_tree = [*WaveNet(block_size=8, n_embd=24, n_hidden=128).layers(27), SoftmaxCrossEntropy(27)]
    assert [parts_of(of_mlp, B, 4) for B in (32, 64)] == [1, 1], "one thread is faster"
    assert parts_of(of_mlp, 256, 4) >= 2
    assert parts_of(of_tree, 128, 8) >= 2


@pytest.mark.parametrize("V", [27, 60, 100])
def test_parts_have_the_fused_kernels_of_the_whole(V):
    layers, found = [*MLP().layers(V), SoftmaxCrossEntropy(V)], []
    for B in (128, 256, 512, 1024, 2048, 4096):
        parts = parts_of(layers, B, 6)
        whole, of_part = ([type(layer) for layer, _ in fused(layers, n, 6)] for n in (B, B // parts))
        assert whole == of_part
        assert (LookupLinear in whole) == (B >= 4 * V)
        if LookupLinear in whole:
            found.append(parts)
    assert found == sorted(found)
    assert found[-1] > 1


def test_a_row_tells_which_part_its_thread_walks_first():
    plan = make_plan([*MLP().layers(27), SoftmaxCrossEntropy(27)], (256, 6, 1), parts=4)
    for threads, expected in {1: [0, 0, 0, 0], 2: [0, 0, 2, 2], 3: [0, 1, 2, 2], 4: [0, 1, 2, 3]}.items():
        assert (plan.ops(threads)[:, :, FIRST] == expected).all()


def gradients(layers: list[Layer], batches: Batches, context: int, V: int) -> tuple[float, np.ndarray, np.ndarray]:
    """Loss, gradients and what is kept beside them, in float64, from one batch."""
    params = Layout(layers).initial(1, np.float64)
    params += 0.1 * np.random.default_rng(2).standard_normal(params.size)
    batch = batches.room(context)
    batches.fill(3, *batch)
    return *Tape(layers, context, V, np.float64).loss_and_grads(params, *batch), params


@pytest.mark.parametrize("B", [97, 250])
@pytest.mark.parametrize("name", CONFIGS)
def test_the_gradients_of_all_parts_are_those_of_the_whole(name, B, corpus, monkeypatch):
    config, V = CONFIGS[name], len(corpus.vocab)
    batches = Batches.drawn(corpus.stream("train"), B, 1, config.context, config.whole_words)
    whole = gradients(config.layers(V), batches, config.context, V)
    for parts in (2, 3, 5):
        kinds = {op.name for op in make_plan(config.layers(V), (B, config.context, 1), parts=parts).operations}
        assert "LookupLinear" in kinds or name == "wavenet-conv" or B == 97, "the fused kernel is to be among them"
        in_parts(monkeypatch, parts)
        loss, grads, _ = gradients(config.layers(V), batches, config.context, V)
        assert loss == pytest.approx(whole[0], rel=1e-12)
        np.testing.assert_allclose(grads, whole[1], rtol=1e-9, atol=1e-12)
        assert np.abs(whole[1]).max() > 1e-3


def trained(config, corpus, batches, optimizer: str, dtype: type, steps: int = 12) -> list[np.ndarray]:
    """Losses, weights and moments after some steps."""
    layers = config.layers(len(corpus.vocab))
    layout = Layout(layers)
    params, moments = layout.initial(1, dtype), zero_moments(optimizer, layout.n_trained, dtype)
    tape = Tape(layers, config.context, len(corpus.vocab), dtype)
    losses = tape.train(params, moments, batches, Steps(optimizer, 0.01, 0, np.full(steps, 0.05)))
    assert losses[-1] < losses[0]
    return [losses, params, moments]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", CONFIGS)
def test_training_is_the_same_bit_for_bit_by_all_threads(name, optimizer, dtype, corpus, monkeypatch, made_by):
    in_parts(monkeypatch, 5)
    config = CONFIGS[name]
    batches = Batches.drawn(corpus.stream("train"), 250, 1, config.context, config.whole_words)
    found, made = [], made_by(engine)
    for n in (1, 2, 3, 5, 8):
        set_threads(n)
        found.append(trained(config, corpus, batches, optimizer, dtype))
    assert made == [1, 2, 3, 5, 5], "a thread has at least one part"
    for other in found[1:]:
        for one, another in zip(found[0], other, strict=True):
            assert np.array_equal(one, another)


def test_the_gradient_over_all_data_is_the_same_too(corpus, monkeypatch):
    config, found = CONFIGS["mlp"], []
    batches = Batches.of_all(corpus.stream("train"), config.context)
    for parts, n in ((1, 1), (3, 1), (3, 3)):
        in_parts(monkeypatch, parts)
        set_threads(n)
        found.append(trained(config, corpus, batches, "sgd", np.float64))
    np.testing.assert_allclose(found[1][1], found[0][1], rtol=1e-9, atol=1e-12)
    assert np.array_equal(found[2][1], found[1][1])


def test_a_loss_that_is_not_finite_stops_all_threads(corpus, monkeypatch):
    in_parts(monkeypatch, 3)
    config, layers, found = CONFIGS["mlp"], CONFIGS["mlp"].layers(len(corpus.vocab)), []
    for n in (1, 3):
        set_threads(n)
        params = Layout(layers).initial(1)
        moments = zero_moments("sgd", Layout(layers).n_trained)
        batches = Batches.drawn(corpus.stream("train"), 150, 1, config.context, whole_words=False)
        rates = np.r_[np.full(4, 0.1), np.full(30, 1e30)]
        losses = Tape(layers, 3, len(corpus.vocab)).train(params, moments, batches, Steps("sgd", 0.0, 0, rates))
        assert not np.isfinite(losses[-1])
        assert 4 < len(losses) < 34
        found.append(losses)
    assert np.array_equal(*found, equal_nan=True)


def test_several_trainings_in_one_process_come_to_what_each_comes_to_alone(corpus, monkeypatch):
    in_parts(monkeypatch, 4)
    tasks = [
        partial(
            trained,
            CONFIGS[name],
            corpus,
            Batches.drawn(corpus.stream("train"), 150, seed, CONFIGS[name].context, whole_words=False),
            "adamw",
            np.float32,
            40,
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
