"""The lecture's models compared: pairs that are the same function, or have the same gradients."""

import math
import random
from typing import Any

import numpy as np
import pytest
import torch
from conftest import made_up_words
from networks import differences

import moreish
from moreish import InputError, Model, Vocab
from moreish.engine.batches import Batches
from moreish.engine.tape import Tape
from moreish.engine.torch.engine import Torch
from moreish.layers import Embedding, FlattenConsecutive, Linear, Tanh, Unfold
from moreish.layers.layout import Layout
from moreish.models import MLP, WaveNet, WaveNetConv


def test_one_hot_times_a_matrix_is_a_lookup():
    """Forward and backward: W[token] is onehot(token) W, and its gradient onehot^T dy."""
    generator = np.random.default_rng(1)
    tokens, targets = generator.integers(0, 6, (2, 50))
    W = generator.standard_normal((6, 6))
    one_hot = np.eye(6)[tokens]
    logits = one_hot @ W
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    loss, dW = Tape([Embedding(6, 6)], 1, 6, np.float64).loss_and_grads(W.ravel(), tokens[:, None], targets)
    assert loss == pytest.approx(-np.log(p[np.arange(50), targets]).mean(), rel=1e-12)
    np.testing.assert_allclose(dW.reshape(6, 6), one_hot.T @ (p - np.eye(6)[targets]) / 50, atol=1e-15)


def test_the_bigram_net_ends_where_counting_begins(corpus):
    counted, trained = moreish.train(corpus, "bigram-counts", added=0.01), moreish.train(corpus, "bigram")
    for part in ("train", "val", "test"):
        assert trained.loss[part] == pytest.approx(counted.loss[part], abs=0.01)
    exact = moreish.train(corpus, "bigram", epochs=20_000, keep="last")
    bare = moreish.train(corpus, "bigram-counts", added=1e-9)
    assert exact.loss["train"] == pytest.approx(bare.loss["train"], abs=1e-3)


def probabilities(run: moreish.Run) -> np.ndarray:
    logits = run.model.weights["0.embedding.C"].astype(np.float64)
    p = np.exp(logits)
    return p / p.sum(1, keepdims=True)


def test_weight_decay_towards_zero_is_smoothing_towards_uniform(corpus):
    """Without either, the model gives the relative counts; the more of either, the nearer it is to uniform."""
    V, stream = len(corpus.vocab), corpus.stream("train").astype(np.int64)
    counts = np.bincount(stream[:-1] * V + stream[1:], minlength=V * V).reshape(V, V)
    shares = counts / counts.sum(1, keepdims=True)

    def decayed(decay: float) -> moreish.Run:
        return moreish.train(corpus, "bigram", weight_decay=decay, keep="last")

    def smoothed(smoothing: float) -> np.ndarray:
        model = moreish.train(corpus, "bigram-counts", added=smoothing).model
        pairs = np.stack(np.meshgrid(np.arange(V), np.arange(V)), -1).reshape(-1, 2)  # (second, first)
        nll = [
            model.nll(np.array([0, *first, second], np.int32))[-1]
            for second, first in ((b, [a] if a else []) for b, a in pairs)
        ]
        return np.exp(-np.array(nll)).reshape(V, V)

    for little, much, made in (
        (1e-9, 1e9, smoothed),
        (0.0, 100.0, lambda decay: probabilities(decayed(decay))),
    ):
        np.testing.assert_allclose(made(little), shares, atol=0.01)
        np.testing.assert_allclose(made(much), 1 / V, atol=0.01)
    for made, amounts in (
        (smoothed, [1, 10, 100, 1000]),
        (lambda d: probabilities(decayed(d)), [1e-4, 1e-3, 0.01, 0.1]),
    ):
        away = np.array([np.abs(made(amount) - 1 / V).max(axis=1) for amount in amounts])
        assert (np.diff(away, axis=0) < 0).all(), "every row comes nearer to uniform"
    run = decayed(0.01)  # the optimum that the docstring of the model gives
    W = run.model.weights["0.embedding.C"]
    slope = counts.sum(1, keepdims=True) / counts.sum() * (probabilities(run) - shares)
    np.testing.assert_allclose(slope, -0.01 * W, atol=1e-4)


def test_full_batches_and_mini_batches_are_for_every_model(corpus, words):
    mini = moreish.train(corpus, "bigram", batch_size=64, epochs=3.0)
    assert mini.options.full_batch is False
    assert mini.options.steps == round(3 * (corpus.stream("train").size - 1) / 64)
    assert mini.options.lr == 0.1
    assert moreish.train(corpus, "bigram", full_batch=False, steps=5).options.batch_size == 256
    full = moreish.train(corpus, "mlp", full_batch=True, n_hidden=10, epochs=30)
    assert (full.options.steps, full.options.batch_size) == (30, None)
    assert full.history[-1]["train"] < full.history[0]["train"]
    with pytest.raises(InputError, match="leave out --batch-size"):
        moreish.train(corpus, "mlp", full_batch=True, batch_size=64)


MANY_LETTERS = "".join(map(chr, range(ord("一"), ord("一") + 70)))


@pytest.mark.parametrize(
    ("words", "context"),
    [
        *((made_up_words(400), context) for context in (1, 3, 40)),
        *((made_up_words(80_000), context) for context in (1, 3)),
        (["".join(random.Random(i).choices(MANY_LETTERS, k=10)) for i in range(32_000)], 10),
    ],
    ids=lambda value: f"{len(value)} words" if isinstance(value, list) else None,
)
def test_the_full_batch_holds_every_window_once(words, context):
    """Long lists are processed in pieces. Windows of many tokens or letters do not fit into one number."""
    corpus = moreish.Corpus(words)
    X, Y = corpus.windows("train", context)
    expected, expected_counts = np.unique(np.column_stack([X, Y]), axis=0, return_counts=True)
    batch = Batches.of_all(corpus.stream("train"), context).fixed
    assert batch is not None
    contexts, targets, counts = batch
    present = counts > 0
    rows = np.column_stack([np.repeat(contexts, present.sum(1), axis=0), targets[present]])
    np.testing.assert_array_equal(rows, expected)
    np.testing.assert_array_equal(counts[present], expected_counts)
    assert len(np.unique(contexts, axis=0)) == len(contexts)


def test_full_batch_gradients_are_the_plain_sums(corpus):
    """The sum over distinct contexts, weighted by the counts of their targets, is the sum over all windows."""
    config, V = MLP(block_size=2, n_embd=3, n_hidden=5), len(corpus.vocab)
    tape, params = Tape(config.layers(V), 2, V, np.float64), Layout(config.layers(V)).initial(1, np.float64)
    fixed = Batches.of_all(corpus.stream("train"), 2).fixed
    assert fixed is not None
    loss, grads = tape.loss_and_grads(params, *fixed)
    X, Y = corpus.windows("train", 2)
    expected_loss, expected = tape.loss_and_grads(params, X, Y)
    assert len(fixed[1]) < len(Y) / 5
    assert fixed[1].shape[1] > 1
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(grads, expected, rtol=1e-9, atol=1e-15)
    theirs = Torch(config.layers(V), 2, V, np.float64)
    loss, grads = theirs.loss_and_grads(params, *fixed)
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(grads, expected, rtol=1e-9, atol=1e-15)


def test_unfold_and_linear_are_a_dilated_convolution():
    generator, (B, T, C, M, d) = np.random.default_rng(4), (3, 9, 2, 5, 4)
    layers = [Embedding(8, C), Unfold(d), Linear(2 * C, M)]
    assert layers[1].out_shape((T, C)) == (T - d, 2 * C)
    tokens, params = generator.integers(0, 8, (B, T)), Layout(layers).initial(1, np.float64)
    weights = Layout(layers).views(params)
    W = torch.from_numpy(weights["2.linear.W"].copy()).view(2, C, M).permute(2, 1, 0)  # (out, in, tap)
    x = torch.from_numpy(weights["0.embedding.C"].copy())[tokens].transpose(1, 2)
    conv = torch.nn.functional.conv1d(x, W, torch.from_numpy(weights["2.linear.b"].copy()), dilation=d)
    from moreish.engine.torch.module import to_module

    ours = to_module(layers, torch.from_numpy(params))(torch.from_numpy(tokens))
    torch.testing.assert_close(ours, conv.transpose(1, 2), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("block_size", [2, 4, 8, 16])
@pytest.mark.parametrize("batch_norm", [False, True])
def test_the_convolution_with_the_trees_weights_is_the_tree(words, block_size, batch_norm):
    """Both take the same weights. The logits of the convolution at its last position are those of the tree."""
    options: dict[str, Any] = {"block_size": block_size, "n_embd": 5, "n_hidden": 7, "batch_norm": batch_norm}
    run = moreish.train(words, "wavenet", **options, steps=50, batch_size=16)
    tree, vocab, stream = run.model, run.model.vocab, run.corpus.stream("val")
    conv = Model(WaveNetConv(**options), vocab, tree.params)
    conv.longest = tree.longest
    np.testing.assert_allclose(conv.nll(stream), tree.nll(stream), rtol=1e-5, atol=1e-6)
    contexts, _ = run.corpus.windows("val", block_size)
    logits = [m.to_torch()(torch.from_numpy(contexts)).view(len(contexts), -1) for m in (tree, conv)]
    torch.testing.assert_close(*logits, rtol=1e-5, atol=1e-5)
    assert tree.sample(20, seed=3) == conv.sample(20, seed=3)


def test_training_the_convolution_over_all_positions_gives_the_trees_gradients(corpus):
    """A batch of words for the convolution is a batch of all their contexts for the tree."""
    options: dict[str, Any] = {"block_size": 4, "n_embd": 3, "n_hidden": 6, "batch_norm": False}
    V = len(corpus.vocab)
    tree, conv = (Tape(kind(**options).layers(V), 4, V, np.float64) for kind in (WaveNet, WaveNetConv))
    params = Layout(tree.layers).initial(3, np.float64)
    params += 0.1 * np.random.default_rng(1).standard_normal(params.size)
    batches = Batches.drawn(corpus.stream("train"), 30, 1, 4, whole_words=True)
    assert batches.n_places > 1
    contexts, targets, counts = batches.room(4)
    batches.fill(0, contexts, targets, counts)
    assert 0 < counts.mean() < 1, "some words are shorter than others"
    loss, grads = conv.loss_and_grads(params, contexts, targets, counts)
    windows = np.lib.stride_tricks.sliding_window_view(contexts, 4, axis=1)[counts == 1]
    expected_loss, expected = tree.loss_and_grads(params, windows, targets[counts == 1])
    assert loss == pytest.approx(expected_loss, rel=1e-12)
    np.testing.assert_allclose(grads, expected, rtol=1e-9, atol=1e-13)


def test_several_targets_against_central_differences():
    """Targets have counts of 0, 1 and 3."""
    layers = [Embedding(5, 3), Unfold(1), Linear(6, 4), Tanh(), Unfold(2), Linear(8, 5)]
    generator = np.random.default_rng(6)
    contexts, targets = generator.integers(0, 5, (6, 4 - 1 + 3)), generator.integers(0, 5, (6, 3))
    counts = generator.choice([0, 1, 3], (6, 3))
    tape, params = Tape(layers, 4, 5, np.float64), 0.5 * Layout(layers).initial(2, np.float64)

    class Counted:
        layers = tape.layers

        def loss_and_grads(self, params, contexts, targets, fuse):
            return tape.loss_and_grads(params, contexts, targets, counts, fuse=fuse)

    grads = tape.loss_and_grads(params, contexts, targets, counts)[1]
    reference = differences(Counted(), params, contexts, targets)  # type: ignore[arg-type]
    assert np.abs(grads - reference).max() / np.abs(reference).max() <= 1e-6


@pytest.mark.parametrize("block_size", [1, 3, 6, 12])
def test_a_tree_has_a_power_of_two(block_size):
    with pytest.raises(InputError, match="power of two"):
        WaveNet(block_size=block_size)


def test_the_published_tree_has_the_published_size():
    vocab = Vocab("abcdefghijklmnopqrstuvwxyz")
    assert Model(WaveNet(block_size=8, n_embd=24, n_hidden=128), vocab).layout.n_trained == 76_579
    shapes, shape = [], (8,)
    for layer in WaveNet(block_size=8, n_embd=24, n_hidden=128).layers(27):
        shape = layer.out_shape(shape)
        if isinstance(layer, FlattenConsecutive):
            shapes.append(shape)
    assert shapes == [(4, 48), (2, 256), (256,)]


def test_six_layers_train_and_naive_weights_show_what_goes_wrong(corpus):
    options: dict[str, Any] = {"n_layer": 6, "n_hidden": 60, "steps": 300, "batch_size": 32, "keep": "last", "seed": 1}
    plain = moreish.train(corpus, "mlp", **options, lr=0.003)
    normalised = moreish.train(corpus, "mlp", **options, batch_norm=True)
    naive = moreish.train(corpus, "mlp", **options, lr=0.003, init="naive")
    counted = moreish.train(corpus, "bigram-counts").loss["val"]
    assert plain.loss["val"] < counted
    assert normalised.loss["val"] < counted
    assert naive.history[0]["train"] > 3 * math.log(len(corpus.vocab))
    assert naive.loss["val"] > plain.loss["val"] + 0.1
