"""Soft targets: label smoothing and the distributions of a teacher, in the loss of both engines."""

# pyright: reportAttributeAccessIssue=false, reportArgumentType=false

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from networks import NETWORKS, T, V, batch, weights, word_stream, worst

import moreish
from moreish.engine.batches import Batches
from moreish.engine.guide import Guide, prefix_keys
from moreish.engine.optim import zero_moments
from moreish.engine.protocol import Steps
from moreish.engine.tape import PrefixTape, Tape, WordTape
from moreish.engine.tape.compile import walks
from moreish.engine.torch.engine import Torch
from moreish.engine.torch.words import PrefixTorch, WordTorch
from moreish.engine.words import WordBatches
from moreish.layers import SoftCrossEntropy
from moreish.layers.layout import Layout
from moreish.layers.levels import N_PAIRS
from moreish.models import make_config

STREAM = word_stream(40)
ENGINES = {"gru": (WordTape, WordTorch), "transformer": (PrefixTape, PrefixTorch)}
SMALL = {"gru": {"n_embd": 4, "n_hidden": 5}, "transformer": {"n_embd": 4, "n_head": 2, "n_layer": 1}}


def guide_for(stream: np.ndarray, labels: np.ndarray | None = None, share: float = 1.0) -> Guide:
    """Random distributions for a share of the prefixes of a stream."""
    generator = np.random.default_rng(3)
    keys = np.unique(prefix_keys(stream, labels))
    keys = keys[generator.random(len(keys)) < share]
    return Guide(keys, generator.dirichlet(np.full(V, 0.3), len(keys)).astype(np.float32))


@pytest.mark.parametrize("labelled", [False, True])
def test_the_keys_of_a_batch_are_those_of_the_prefixes_of_its_stream(labelled):
    labels = np.arange(40) % 3 if labelled else None
    packed = WordBatches.drawn(STREAM, 40, 1, labels).packed(0)
    keys = packed.levels.keys[: len(packed.contexts)]
    assert np.array_equal(np.unique(keys), np.unique(prefix_keys(STREAM, labels)))
    assert len(np.unique(keys)) == len(keys)


def test_equal_prefixes_have_one_key_and_others_have_others():
    prefixes, word = [], ()
    for token in STREAM[1:].tolist():
        prefixes.append(word)
        word = (*word, token) if token else ()
    keys = prefix_keys(STREAM)
    assert len(set(zip(prefixes, keys.tolist(), strict=True))) == len(set(prefixes)) == len(set(keys.tolist()))
    assert np.array_equal(keys[:-1], prefix_keys(STREAM[:-1])), "the end of the last word does not matter"


def test_an_entry_is_found_by_its_key():
    guide = Guide(np.array([-5, 0, 7]), np.zeros((3, 2), np.float32))
    assert guide.entries(np.array([7, -6, 0, 3, 8, -5])).tolist() == [2, -1, 1, -1, -1, 0]
    assert Guide(np.zeros(0, np.int64), np.zeros((0, 2), np.float32)).entries(np.array([1, 2])).tolist() == [-1, -1]


@pytest.mark.parametrize("softness", [0.125, 0.5, 1.0])
def test_label_smoothing_is_that_of_pytorch(softness):
    layers, (contexts, targets) = NETWORKS["SoftCrossEntropy"], batch()
    params = weights(layers)
    tape = Tape(layers, T, V, np.float64)
    loss, grads = tape.loss_and_grads(params, contexts, targets, softness=softness)
    logits = torch.from_numpy(tape.logits(params, contexts))
    expected = F.cross_entropy(logits, torch.from_numpy(targets), label_smoothing=softness)
    assert loss == pytest.approx(expected.item(), rel=1e-12)
    of_torch = Torch(layers, T, V, np.float64).loss_and_grads(params, contexts, targets, softness=softness)
    assert of_torch[0] == pytest.approx(loss, rel=1e-12)
    assert worst(layers, grads, of_torch[1]) <= 1e-10


def test_label_smoothing_of_counted_targets_is_that_of_each_target():
    """A row with several targets of its own counts is that many rows."""
    layers, (contexts, _) = NETWORKS["SoftCrossEntropy"], batch()
    params, generator = weights(layers), np.random.default_rng(5)
    targets, counts = generator.integers(0, V, (6, 3)), generator.integers(0, 4, (6, 3))
    rows, places = np.nonzero(counts)
    each = np.repeat(np.arange(len(rows)), counts[rows, places])
    for engine in (Tape(layers, T, V, np.float64), Torch(layers, T, V, np.float64)):
        loss, grads = engine.loss_and_grads(params, contexts, targets, counts, softness=0.25)
        expected_loss, expected = engine.loss_and_grads(
            params, contexts[rows[each]], targets[rows, places][each], softness=0.25
        )
        assert loss == pytest.approx(expected_loss, rel=1e-12)
        assert worst(layers, grads, expected) <= 1e-10


def soft_loss(params: np.ndarray, tape: WordTape, packed) -> float:
    """The loss of a batch by its definition, with the logits of each row."""
    plain = tape.prepared_words(packed._replace(softness=0.0, guide=None))
    walks(np.float64)[0](plain.program, params, np.zeros(len(params)))
    logits = plain.input_of(plain.plan.operations[-1]).reshape(-1, V)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    q, n = np.full_like(log_p, 1 / V), packed.levels.head[N_PAIRS]
    softness = np.full(len(q), packed.softness)
    if packed.guide is not None:
        entries = packed.guide.entries(packed.levels.keys[: len(q)])
        q, softness = packed.guide.rows[entries].astype(np.float64), np.where(entries >= 0, packed.softness, 0.0)
    rows, targets, counts = (a[:n] for a in (packed.levels.rows, packed.levels.targets, packed.levels.counts))
    of_pairs = -(1 - softness[rows]) * log_p[rows, targets] - softness[rows] * (q * log_p).sum(1)[rows]
    return float(np.average(of_pairs, weights=counts))


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("share", [None, 0.6, 1.0])
@pytest.mark.parametrize("model", ENGINES)
def test_the_loss_of_words_and_its_gradient(model, share, labelled):
    """Against the definition, central differences, and autograd."""
    labels = np.arange(40) % 3 if labelled else None
    layers = make_config(model, SMALL[model]).layers(V, 3 if labelled else 0)
    guide = None if share is None else guide_for(STREAM, labels, share)
    batches = dataclasses.replace(WordBatches.drawn(STREAM, 30, 1, labels), softness=0.375, guide=guide)
    packed, params, columns = batches.packed(0), 0.5 * weights(layers), 2 if labelled else 1
    ours, theirs = (kind(layers, columns, V, np.float64) for kind in ENGINES[model])
    loss, grads = ours.loss_and_grads_of_words(params, packed)
    assert loss == pytest.approx(soft_loss(params, ours, packed), rel=1e-7)
    assert loss != pytest.approx(ours.loss_and_grads_of_words(params, packed._replace(softness=0.0))[0], rel=1e-6)
    expected_loss, expected = theirs.loss_and_grads_of_words(params, packed)
    assert loss == pytest.approx(expected_loss, rel=1e-7)
    assert worst(layers, grads, expected) <= 1e-6
    for i in np.argsort(-np.abs(grads))[:: len(grads) // 7]:
        moved = [params.copy(), params.copy()]
        moved[0][i] += 1e-5
        moved[1][i] -= 1e-5
        above, below = (ours.loss_and_grads_of_words(p, packed)[0] for p in moved)
        assert grads[i] == pytest.approx((above - below) / 2e-5, rel=1e-5, abs=1e-9)


def test_a_prefix_without_an_entry_has_hard_targets_only():
    layers = make_config("gru", SMALL["gru"]).layers(V)
    batches, params = WordBatches.drawn(STREAM, 30, 1), 0.5 * weights(layers)
    tape, plain = WordTape(layers, 1, V, np.float64), batches.packed(0)
    known, all_prefixes = plain.levels.keys[: len(plain.contexts)], guide_for(word_stream(90, longest=9))
    others = ~np.isin(all_prefixes.keys, known)
    guide = Guide(all_prefixes.keys[others], all_prefixes.rows[others])
    assert len(guide.keys) > 0
    found = tape.loss_and_grads_of_words(params, plain._replace(softness=0.9, guide=guide))
    expected = tape.loss_and_grads_of_words(params, plain)
    assert found[0] == expected[0]
    assert np.array_equal(found[1], expected[1])


@pytest.mark.parametrize("full", [False, True])
def test_steps_on_words_with_a_guide_are_the_same_in_both_engines(full):
    layers = make_config("gru", SMALL["gru"]).layers(V)
    plain = WordBatches.of_all(STREAM, 1) if full else WordBatches.drawn(STREAM, 20, 1)
    batches = dataclasses.replace(plain, softness=0.5, guide=guide_for(STREAM, share=0.7))
    check_steps(WordTape(layers, 1, V, np.float64), WordTorch(layers, 1, V, np.float64), layers, batches, plain)


@pytest.mark.parametrize("full", [False, True])
def test_steps_on_contexts_with_label_smoothing_are_the_same_in_both_engines(full):
    layers = NETWORKS["SoftCrossEntropy"]
    plain = Batches.of_all(STREAM, T) if full else Batches.drawn(STREAM, 50, 1, T, False)
    batches = dataclasses.replace(plain, softness=0.25)
    check_steps(Tape(layers, T, V, np.float64), Torch(layers, T, V, np.float64), layers, batches, plain)


def check_steps(tape, reference, layers, batches, plain):
    found, steps = [], Steps("adamw", 0.01, 0, np.full(5, 0.02))
    for engine, source in ((tape, batches), (reference, batches), (tape, plain)):
        params = 0.5 * weights(layers)
        moments = zero_moments("adamw", Layout(layers).n_trained, np.float64)
        found.append((engine.train(params, moments, source, steps), params))
    (losses, params), (expected_losses, expected), (plain_losses, _) = found
    assert losses == pytest.approx(expected_losses, rel=1e-6)
    assert params == pytest.approx(expected, rel=1e-4, abs=1e-6)
    assert losses != pytest.approx(plain_losses, rel=1e-3)


def test_another_guide_of_the_same_size_replaces_the_first():
    layers = make_config("gru", SMALL["gru"]).layers(V)
    tape, first = WordTape(layers, 1, V, np.float64), guide_for(STREAM)
    second = Guide(first.keys, np.ascontiguousarray(first.rows[::-1]))
    losses = []
    for guide in (first, second, first):
        batches = dataclasses.replace(WordBatches.drawn(STREAM, 20, 1), softness=0.5, guide=guide)
        params, moments = 0.5 * weights(layers), zero_moments("sgd", Layout(layers).n_trained, np.float64)
        losses.append(tape.train(params, moments, batches, Steps("sgd", 0.0, 0, np.full(1, 0.1)))[0])
    assert losses[0] == losses[2]
    assert losses[1] != pytest.approx(losses[0], rel=1e-4)


def test_without_softness_the_plan_has_the_plain_loss():
    layers = make_config("gru", SMALL["gru"]).layers(V)
    tape, batches = WordTape(layers, 1, V), WordBatches.drawn(STREAM, 20, 1)
    for softness in (0.0, 1e-6, 0.1):
        plan = tape.plan_of(dataclasses.replace(batches, softness=softness))
        assert isinstance(plan.operations[-1].layer, SoftCrossEntropy) == (softness == 0.1)


TRAINED: dict[str, Any] = {"steps": 60, "batch_size": 16, "lr": 0.02, "seed": 3}


@pytest.mark.parametrize("model", ["mlp", "wavenet", "gru"])
def test_a_training_with_label_smoothing(model, tmp_path):
    """Both engines make the same steps, and evaluated losses are those of the words alone."""
    words = moreish.bundled("minerals")[:200]
    options: dict[str, Any] = {**TRAINED, "model": model, "n_hidden": 16}
    run = moreish.train(words, **options, label_smoothing=0.2, engine="both", out=tmp_path / "run")
    assert max(line["gradient_difference"] for line in run.history) < 1e-3
    assert max(line["weight_difference"] for line in run.history) < 1e-2
    assert run.history[-1]["tape_loss"] == pytest.approx(run.history[-1]["torch_loss"], rel=1e-4)
    plain = moreish.train(words, **options)
    assert plain.history[0]["losses"] != run.history[0]["losses"]
    vals = [line["val"] for line in run.history if line["val"] is not None]
    assert min(vals) >= run.loss["val"] > 0
    again = moreish.load(tmp_path / "run")
    assert again.options.label_smoothing == 0.2
    assert np.mean(again.model.nll(again.corpus.stream("val"))) == pytest.approx(run.loss["val"], rel=1e-6)
    assert moreish.diagnose(again).end_trace.loss > 0


def test_smoothed_labels_make_a_trained_model_less_certain():
    """The optimum of a bigram model is known: (1 - s) times the shares of the list, and s spread evenly."""
    words = [*["ab"] * 30, *["ba"] * 10] * 2
    s = 0.3
    options: dict[str, Any] = {"steps": 400, "lr": 0.1, "full_batch": True, "optimizer": "adamw", "weight_decay": 0}
    run = moreish.train(words, "bigram", **options, keep="last", label_smoothing=s)
    counts = np.zeros((3, 3))
    stream = run.corpus.stream("train")
    np.add.at(counts, (stream[:-1], stream[1:]), 1)
    p = (1 - s) * counts / counts.sum(1, keepdims=True) + s / 3
    for prefix, token in (("", 0), ("a", 1), ("b", 2)):
        assert [*run.model.next(prefix).values()] == pytest.approx(p[token], rel=1e-2)
