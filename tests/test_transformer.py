"""Transformers and bags of words: their formulas, gradients, sharing of prefixes and dropout."""

import dataclasses
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import test_gradcheck
from along_words import (
    STREAM,
    nll_by,
    read,
    relative,
    steps,
    stream_of,
    train,
    words_in,
)
from networks import SPREAD, V, weights, worst
from test_gradcheck import Mistake, mistaken

from moreish import set_threads
from moreish.analysis.gradcheck import check_layers, first_wrong
from moreish.engine.optim import zero_moments
from moreish.engine.protocol import Draw
from moreish.engine.tape import PrefixTape, Tape, word_tape
from moreish.engine.tape import engine as tape_engine
from moreish.engine.tape.compile import walks
from moreish.engine.words import WordBatches, pack_words, sorted_words
from moreish.layers import (
    GRU,
    LAYERS,
    LSTM,
    RNN,
    BatchNorm1d,
    CausalAverage,
    CausalSelfAttention,
    ChoGRU,
    Dropout,
    Embedding,
    FlattenConsecutive,
    Layer,
    LayerNorm,
    Linear,
    PositionalEmbedding,
    Residual,
    Tanh,
)
from moreish.layers.layout import Layout
from moreish.layers.spec import DY, P0, P1, Y
from moreish.models import NetConfig
from moreish.models.bow import BagOfWords
from moreish.models.transformer import TransformerConfig

E, PLACES = 8, 3  # words are longer than the table of places
SMALL: dict[str, Any] = {"n_embd": E, "n_head": 2, "n_positions": PLACES, "dropout": 0.0}
CONFIGS: dict[str, NetConfig] = {
    "transformer, 1 layer": TransformerConfig(**SMALL, n_layer=1),
    "transformer, 2 layers": TransformerConfig(n_embd=E, n_head=4, n_positions=20, dropout=0.0, n_layer=2),
    "bow": BagOfWords(n_embd=E, n_hidden=9, n_positions=PLACES),
}
TRANSFORMERS = [name for name in CONFIGS if name != "bow"]


def wet(name: str, p: float = 0.3) -> list[Layer]:
    """The layers of a config with dropout, if it has any."""
    config = CONFIGS[name]
    return (dataclasses.replace(config, dropout=p) if isinstance(config, TransformerConfig) else config).layers(V)


# The formulas


def normalised(x, own, name):
    centred = x - x.mean(1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(1, keepdims=True) + 1e-5) * own[f"{name}.gamma"] + own[f"{name}.beta"]


def affine(x, own, name):
    return x @ own[f"{name}.W"] + own[f"{name}.b"]


def attended(qkv, n_head):
    """All heads of a word (T, 3E), by the matrices of Vaswani et al. 2017, equation 1, with the future masked."""
    T, found = len(qkv), []
    q, k, v = (np.split(part, n_head, 1) for part in np.split(qkv, 3, 1))
    for head in range(n_head):
        scores = q[head] @ k[head].T / math.sqrt(q[head].shape[1])
        scores[np.triu_indices(T, 1)] = -np.inf
        p = np.exp(scores - scores.max(1, keepdims=True))
        found.append(p / p.sum(1, keepdims=True) @ v[head])
    return np.concatenate(found, 1)


def logits_of_word(config: NetConfig, params: np.ndarray, word: list[int]) -> np.ndarray:
    """Logits after each prefix of a word, (n + 1, V), in plain NumPy."""
    own, T = Layout(config.layers(V)).views(params), len(word) + 1
    places = own["1.positionalembedding.P"]
    x = own["0.embedding.C"][[0, *word]] + places[np.minimum(np.arange(T), len(places) - 1)]
    if isinstance(config, BagOfWords):
        x = x + np.cumsum(x, 0) / np.arange(1, T + 1)[:, None]
        x = x + affine(np.tanh(affine(x, own, "3.0.linear")), own, "3.2.linear")
        return affine(x, own, "4.linear")
    assert isinstance(config, TransformerConfig)
    for n in range(2, 2 + 2 * config.n_layer, 2):
        qkv = affine(normalised(x, own, f"{n}.0.layernorm"), own, f"{n}.1.linear")
        x = x + affine(attended(qkv, config.n_head), own, f"{n}.3.linear")
        h = affine(normalised(x, own, f"{n + 1}.0.layernorm"), own, f"{n + 1}.1.linear")
        h = 0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
        x = x + affine(h, own, f"{n + 1}.3.linear")
    last = 2 + 2 * config.n_layer
    return affine(normalised(x, own, f"{last}.layernorm"), own, f"{last + 1}.linear")


@pytest.mark.parametrize("name", CONFIGS)
def test_the_forward_pass_is_the_formula_word_by_word(name):
    """With rows of equal prefixes as one, with each word alone, and with a word read state by state."""
    layers = CONFIGS[name].layers(V)
    params, tape = weights(layers), PrefixTape(layers, 1, V, np.float64)
    formula = partial(logits_of_word, CONFIGS[name], params)
    expected = nll_by(formula, STREAM)
    assert relative(tape.nll(params, STREAM), expected) <= 1e-12
    batches = WordBatches.of_all(STREAM, 1)
    for shared in (True, False):
        packed = pack_words(batches.words(0), 0, batches.size, shared=shared)
        loss, _ = tape.loss_and_grads_of_words(params, packed)
        assert loss == pytest.approx(expected.mean(), rel=1e-12)
    for word in words_in(STREAM)[:5]:
        assert relative(tape.nll(params, stream_of([word])), nll_by(formula, stream_of([word]))) <= 1e-12
        assert relative(read(tape, params, word), formula(word)) <= 1e-12


# Gradients


@pytest.mark.parametrize(
    ("name", "dry"), [("transformer, 1 layer", True), ("transformer, 2 layers", False), ("bow", True)]
)
def test_every_gradient_is_that_of_autograd(name, dry):
    """In float64, and that of differences: parameters, outputs of layers, and steps inside them such as weights."""
    pytest.importorskip("torch")
    layers = CONFIGS[name].layers(V) if dry else wet(name)
    checks = check_layers(layers, None, V)
    assert first_wrong(checks) is None
    names = {c.name for c in checks}
    assert names >= {slot.name for slot in Layout(layers)}
    if name != "bow":
        attention = f"{2 if dry else 3}.2.causalselfattention"
        assert names >= {f"{attention}.{step}" for step in ("out", "weights", "scores", "q", "k", "v")}
    for check in checks:
        if (check.dtype, check.against) == ("float64", "autograd"):
            assert check.max_rel <= 1e-8


@pytest.mark.parametrize("name", CONFIGS)
def test_with_labels_every_gradient_is_that_of_autograd(name):
    """A word's prefixes are shared only with words of its label."""
    pytest.importorskip("torch")
    from moreish.engine.torch.words import gradients_of_words

    layers, generator = CONFIGS[name].layers(V, 3), np.random.default_rng(5)
    params = 0.5 * weights(layers)
    packed = WordBatches.drawn(STREAM, 50, 1, generator.integers(0, 3, 60)).packed(3)
    grads = PrefixTape(layers, 2, V, np.float64).loss_and_grads_of_words(params, packed)[1]
    known = gradients_of_words(layers, params, packed)
    for slot, gradient in Layout(layers).views(grads).items():
        assert relative(gradient, known[slot]) <= 1e-8, slot


def affine_layer(n_in: int, n_out: int) -> Linear:
    return Linear(n_in, n_out, SPREAD, SPREAD)


def recurrent(kind: Any) -> Residual:
    return Residual((affine_layer(6, kind.blocks * 6), kind(6, SPREAD, learn_start=True)))


SQUARE = affine_layer(6, 6)
NORMED = (Linear(6, 6, SPREAD, None), BatchNorm1d(6))
BRANCHES: dict[str, tuple[list[Layer], bool]] = {  # with True if they go along words
    "a residual first": ([Residual((Residual((SQUARE, Tanh())), SQUARE))], False),
    "a residual last": ([Residual((SQUARE, Residual((SQUARE, Tanh()))))], False),
    "a residual alone": ([Residual((Residual((SQUARE, Tanh())),))], False),
    "three deep": ([Residual((Tanh(), Residual((SQUARE, Residual((Tanh(),))))))], False),
    "BatchNorm": ([Residual((*NORMED, Tanh()))], False),
    "BatchNorm last": ([Residual(NORMED), Residual(NORMED)], False),
    "BatchNorm on words": ([Residual((*NORMED, CausalAverage()))], True),
    "dropout last": ([Residual((CausalAverage(), Dropout(0.3, 1)))], True),
    "dropout alone": ([Residual((Dropout(0.3, 1),)), Residual((CausalAverage(),))], True),
    **{kind.__name__: ([recurrent(kind)], True) for kind in (RNN, GRU, ChoGRU, LSTM)},
    "attention in a state": (
        [recurrent(GRU), affine_layer(6, 18), CausalSelfAttention(6, 3, 0.2, 1), recurrent(LSTM)],
        True,
    ),
}


def around(name: str) -> tuple[list[Layer], int | None]:
    """Layers to logits with a branch inside, and the length of their contexts; None for whole words."""
    inner, words = BRANCHES[name]
    first = [Embedding(V, 6)] if words else [Embedding(V, 3), FlattenConsecutive(4), affine_layer(12, 6)]
    return [*first, *inner, affine_layer(6, V)], None if words else 4


@pytest.mark.parametrize("name", ["a residual last", "BatchNorm", "attention in a state"])
def test_every_gradient_inside_a_residual_holds(name):
    layers, context = around(name)
    checks = check_layers(layers, context, V)
    assert first_wrong(checks) is None
    assert {c.name for c in checks} >= {slot.name for slot in Layout(layers) if slot.parameter.trained}


@pytest.mark.parametrize("name", BRANCHES)
def test_a_residual_takes_any_layers(name):
    """Also in evaluation, where its dropout does nothing, and BatchNorm and layers along words compute otherwise."""
    pytest.importorskip("torch")
    from moreish.engine.torch.engine import Torch, gradients
    from moreish.engine.torch.words import PrefixTorch, gradients_of_words

    (layers, context), generator = around(name), np.random.default_rng(1)
    params = 0.5 * weights(layers)
    if context is None:
        tape, packed = PrefixTape(layers, 1, V, np.float64), WordBatches.drawn(STREAM, 40, 1).packed(0)
        grads = tape.loss_and_grads_of_words(params, packed)[1]
        known, other = gradients_of_words(layers, params, packed), PrefixTorch(layers, 1, V, np.float64)
    else:
        contexts, targets = generator.integers(0, V, (30, context)), generator.integers(0, V, (30, 1))
        tape, counts = Tape(layers, context, V, np.float64), np.ones_like(targets)
        grads = tape.loss_and_grads(params, contexts, targets, counts)[1]
        known = gradients(layers, params, contexts, targets, counts)
        other = Torch(layers, context, V, np.float64)
    for slot, gradient in Layout(layers).views(grads).items():
        assert relative(gradient, known[slot]) <= 1e-8, slot
    params[Layout(layers).n_trained :] = generator.uniform(0.5, 1.5, len(params) - Layout(layers).n_trained)
    assert relative(tape.nll(params, STREAM), other.nll(params, STREAM)) <= 1e-12


@pytest.mark.parametrize("name", ["BatchNorm last", "a residual last"])
def test_a_residual_on_several_shards_is_that_on_one(name):
    layers, context = around(name)
    assert context is not None
    found, generator = [], np.random.default_rng(1)
    contexts, targets = generator.integers(0, V, (100, context)), generator.integers(0, V, 100)
    for shards in (1, 2, 3):
        tape = Tape(layers, context, V, np.float64, shards=shards)
        found.append((*tape.loss_and_grads(weights(layers), contexts, targets),))
    for loss, grads in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-12)
        assert worst(layers, grads, found[0][1]) <= 1e-10


@pytest.mark.parametrize("layers", [(), (FlattenConsecutive(1),)], ids=["none", "no work"])
def test_a_residual_of_nothing_is_refused(layers):
    with pytest.raises(ValueError, match="Residual compute nothing"):
        Tape([Embedding(V, 3), Residual(layers), FlattenConsecutive(4), affine_layer(12, V)], 4, V).plan(32)


def test_a_residual_must_keep_the_shape():
    with pytest.raises(ValueError, match=r"turn \(1, 6\) into \(1, 5\): the shape must stay"):
        Tape([Embedding(V, 6), Residual((affine_layer(6, 5),)), affine_layer(6, V)], 1, V).plan(32)


LOOKING_BACK = (CausalSelfAttention, CausalAverage, PositionalEmbedding, LayerNorm, Residual)


@pytest.mark.filterwarnings("ignore:Cannot cache compiled function")  # a wrong kernel must not be cached
@pytest.mark.parametrize(
    ("kind", "what", "column"),
    [mistake for mistake in test_gradcheck.MISTAKES if mistake[0] in LOOKING_BACK],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_backward_pass_that_is_wrong_on_words_by_1_percent_is_named_first(kind, what, column, monkeypatch):
    name = "bow" if kind in (CausalAverage, PositionalEmbedding) else "transformer, 1 layer"
    layers = wet(name)
    ways = PrefixTape(layers, 1, V).plan_words(200, 8, fuse=False).operations
    place = max(n for n, op in enumerate(ways) if type(op.layer) is kind)
    if what == "x":
        before = [op for op in ways[:place] if op.row is not None]
        if kind is Residual:  # it adds to the gradient where its branch begins
            (begin,) = (op for op in ways if op.begins and op.path == ways[place].path)
            before = [op for op in before if op.row is not None and op.row[DY] == begin.rows[0, 0, column]]
        mistake, first = Mistake(column, 0, 10 * E, 1.01), f"{before[-1].name}.out"  # numbers of the first rows
    else:
        slot = next(slot for slot in ways[place].slots if slot.parameter.name == what)
        mistake, first = Mistake(column, slot.start, slot.parameter.size, 1.01), slot.name
    monkeypatch.setattr(test_gradcheck, "mistake", mistake)
    monkeypatch.setitem(LAYERS, kind, dataclasses.replace(LAYERS[kind], backward=mistaken(kind)))
    bad = first_wrong(check_layers(layers, None, V))
    assert bad is not None
    assert bad.name == first


def test_these_layers_have_mistakes_to_make():
    found = {(kind, column) for kind, _, column in test_gradcheck.MISTAKES}
    assert {(LayerNorm, P0), (LayerNorm, P1), (PositionalEmbedding, P0)} <= found
    assert {kind for kind, _ in found} >= {*LOOKING_BACK}


@pytest.mark.parametrize("labelled", [False, True], ids=["", "labels"])
@pytest.mark.parametrize("name", CONFIGS)
def test_sharing_prefixes_changes_neither_loss_nor_gradient(name, labelled):
    layers = CONFIGS[name].layers(V, 3 * labelled)
    params, tape, found = weights(layers), PrefixTape(layers, 1 + labelled, V, np.float64), []
    labels = np.random.default_rng(1).integers(0, 3, 60) if labelled else None
    for shared in (True, False):
        packed = WordBatches.drawn(STREAM, 60, 1, labels, shared=shared).packed(0)
        found.append((len(packed.contexts), *tape.loss_and_grads_of_words(params, packed)))
    assert found[0][0] < found[1][0] == len(STREAM) - 1
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-12)
    assert worst(layers, found[0][2], found[1][2]) <= 1e-10


@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_on_several_shards_is_the_step_on_one(name):
    """Plain SGD, so that the weights differ by the gradient; with dropout, whose masks are the same."""
    layers, batches, found = wet(name), WordBatches.drawn(STREAM, 45, 2), []
    for shards in (1, 2, 3, 5):
        params = 0.5 * weights(layers)
        tape = PrefixTape(layers, 1, V, np.float64, shards=shards)
        assert tape.plan_of(batches).shards == shards
        losses = train(tape, params, zero_moments("sgd", params.size, np.float64), batches, steps(4, "sgd", 0.1))
        found.append((losses, params))
    for losses, params in found[1:]:
        np.testing.assert_allclose(losses, found[0][0], rtol=1e-11)
        np.testing.assert_allclose(params, found[0][1], rtol=1e-9, atol=1e-11)
    loss, _ = PrefixTape(layers, 1, V, np.float64).loss_and_grads_of_words(0.5 * weights(layers), batches.packed(0))
    assert found[0][0][0] == pytest.approx(loss, rel=1e-12)


@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CONFIGS)
def test_training_is_the_same_bit_for_bit_with_any_number_of_threads(name, dtype, made_by):
    layers, batches, found, made = wet(name), WordBatches.drawn(STREAM, 45, 2), [], made_by(tape_engine)
    for n in (1, 2, 3, 5, 8):
        set_threads(n)
        params = Layout(layers).initial(1, dtype)
        moments = zero_moments("adamw", params.size, dtype, 0.9)
        tape = PrefixTape(layers, 1, V, dtype, shards=5)
        losses = train(tape, params, moments, batches, steps(12, grad_clip=0.2, average=0.9))
        assert losses[-1] < losses[0]
        found.append((losses, params, moments))
    assert made == [1, 2, 3, 5, 5]
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


@pytest.mark.parametrize("name", CONFIGS)
def test_float32_follows_float64(name):
    """With dropout, whose masks are the same."""
    layers, packed = wet(name), WordBatches.drawn(STREAM, 45, 2).packed(0)
    params = Layout(layers).initial(3, np.float64) + 0.1 * weights(layers)
    loss, grads = PrefixTape(layers, 1, V, np.float64).loss_and_grads_of_words(params, packed)
    single, of_single = PrefixTape(layers, 1, V).loss_and_grads_of_words(params.astype(np.float32), packed)
    assert single == pytest.approx(loss, rel=1e-5)
    assert worst(layers, of_single.astype(np.float64), grads) <= 1e-4


# What a character sees


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_prediction_depends_on_the_characters_before_it_alone(name, dtype, monkeypatch):
    """Bit for bit: not on later characters, other words, how many rows are computed at a time, or their order."""
    layers = CONFIGS[name].layers(V)
    params, tape = (0.5 * weights(layers)).astype(dtype), PrefixTape(layers, 1, V, dtype)
    whole, words = tape.nll(params, STREAM), words_in(STREAM)
    alone = np.concatenate([tape.nll(params, stream_of([word])) for word in words[:8]])
    np.testing.assert_array_equal(alone, whole[: len(alone)])
    word = [3, 1, 4, 1, 5, 2]
    before = tape.nll(params, stream_of([word, [2, 2], [3, 1]]))
    for changed in range(6):
        other = [*word[:changed], 6, *word[changed + 1 :], 1, 1]
        after = tape.nll(params, stream_of([other, [5, 3, 3], [3, 1]]))
        np.testing.assert_array_equal(after[:changed], before[:changed])
        np.testing.assert_array_equal(after[-3:], before[-3:])
        assert (after[changed:6] != before[changed:6]).all()
    back = np.concatenate([tape.nll(params, stream_of([*words[::-1]]))])
    of_words = np.split(back, np.cumsum([len(word) + 1 for word in words[::-1]])[:-1])[::-1]
    np.testing.assert_array_equal(np.concatenate(of_words), whole)
    monkeypatch.setattr(word_tape, "EVALUATION_ROWS", 32)  # enough for the same fused kernels
    np.testing.assert_array_equal(PrefixTape(layers, 1, V, dtype).nll(params, STREAM), whole)


@pytest.mark.parametrize(
    ("name", "places", "sees"),
    [
        ("transformer, 1 layer", 1, False),  # a mean, weighted by what the characters are
        ("transformer, 1 layer", 20, True),
        ("transformer, 2 layers", 1, True),  # the second layer attends to what the first one found on the way
        ("transformer, 2 layers", 20, True),
        ("bow", 1, False),
        ("bow", 20, False),  # the mean of all places is the same
    ],
)
def test_who_sees_the_order_of_the_characters_before_the_last(name, places, sees):
    layers = dataclasses.replace(CONFIGS[name], n_positions=places).layers(V)  # pyright: ignore[reportCallIssue]
    tape, params = PrefixTape(layers, 1, V, np.float64), 0.5 * weights(layers)
    first, reordered, other = (read(tape, params, word)[-1] for word in ([1, 2, 3, 4], [3, 1, 2, 4], [2, 2, 3, 4]))
    assert relative(other, first) > 1e-3
    if sees:
        assert relative(reordered, first) > 1e-4
    else:
        assert relative(reordered, first) <= 1e-12


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_words_beyond_the_table_have_its_last_place(name):
    layers = dataclasses.replace(CONFIGS[name], n_positions=PLACES).layers(V)  # pyright: ignore[reportCallIssue]
    longer = dataclasses.replace(CONFIGS[name], n_positions=40).layers(V)  # pyright: ignore[reportCallIssue]
    params = 0.5 * weights(layers)
    own, other = Layout(layers).views(params), np.zeros(Layout(longer).size)
    for view, place in zip(own.values(), Layout(longer).views(other).values(), strict=True):
        place[: len(view)] = view
        place[len(view) :] = view[-1]
    word = np.random.default_rng(2).integers(1, V, 38).tolist()
    one, two = (read(PrefixTape(a, 1, V, np.float64), p, word) for a, p in ((layers, params), (longer, other)))
    assert relative(one, two) <= 1e-12


# Dropout


HEADS = 3


def factors_of_weights(words: list[list[int]], key: int, p: float = 0.25, salt: int = 5) -> dict[Any, np.ndarray]:
    """For each prefix of words without a repeated character, the factors of its weights of attention (n, HEADS).

    Queries and keys are zero, so all weights are equal; values are one-hot, so a row gives each weight by itself.
    """
    layers: list[Layer] = [Embedding(V, 3 * HEADS * V), CausalSelfAttention(HEADS * V, HEADS, p, salt)]
    layers += [Linear(HEADS * V, V, SPREAD)]
    params = weights(layers)
    table = Layout(layers).views(params)["0.embedding.C"]
    table[:] = np.concatenate([np.zeros((V, 2 * HEADS * V)), np.tile(np.eye(V), HEADS)], 1)
    ordered = sorted_words(stream_of(words))
    packed = pack_words(ordered, 0, len(words), key=key)
    ready = PrefixTape(layers, 1, V, np.float64).prepared_words(packed)
    walks(np.float64)[0](ready.program, params, params)
    y, found = ready.buffer(ready.plan.operations[1], Y).reshape(-1, HEADS, V), {}
    for row in range(len(y)):
        prefix, at = [], row
        while at >= 0:
            prefix.insert(0, int(packed.contexts[at, 0]))
            at = packed.levels.before[at]
        others = np.setdiff1d(np.arange(V), prefix)
        assert not y[row][:, others].any()
        found[tuple(prefix)] = len(prefix) * y[row][:, prefix].T
    return found


PERMUTATIONS = [np.random.default_rng(n).permutation(np.arange(1, V)).tolist() for n in range(30)]


def test_dropout_of_attention_drops_a_share_of_the_weights_and_scales_the_others():
    for p in (0.1, 0.25, 0.9):
        factors = np.concatenate(
            [f.ravel() for k in range(20) for f in factors_of_weights(PERMUTATIONS, k, p).values()]
        )
        kept = factors > 0.5
        np.testing.assert_allclose(factors[kept], 1 / (1 - p), rtol=1e-4)
        np.testing.assert_array_equal(factors[~kept], 0)
        assert 1 - kept.mean() == pytest.approx(p, abs=5 * math.sqrt(p * (1 - p) / kept.size))


def test_every_weight_of_attention_has_a_mean_factor_of_one_over_many_steps():
    """And a mask of its own: by row, distance, head, step and layer. Without dropout no weight changes."""
    word, runs = PERMUTATIONS[0], 400
    prefix = (0, *word)
    many = np.array([factors_of_weights([word], key)[prefix] for key in range(runs)])
    assert many.shape == (runs, V, HEADS)
    error = math.sqrt(0.25 / 0.75 / runs)
    assert np.abs(many.mean(0) - 1).max() < 5 * error
    columns = (many > 0.5).reshape(runs, -1)
    correlation = np.corrcoef(columns.T) - np.eye(columns.shape[1])
    assert np.abs(correlation).max() < 5 / math.sqrt(runs), "as masks that are independent"
    others = np.array([factors_of_weights([word], key, salt=6)[prefix] > 0.5 for key in range(100)])
    assert (others == (many[:100] > 0.5)).mean() == pytest.approx(0.75**2 + 0.25**2, abs=0.05)
    np.testing.assert_allclose(factors_of_weights([word], 0, 0.0)[prefix], 1, rtol=1e-12)


def test_equal_prefixes_have_equal_masks_of_attention_in_every_batch_of_a_step():
    whole, few = factors_of_weights(PERMUTATIONS, 77), factors_of_weights(PERMUTATIONS[4:9], 77)
    assert set(few) < set(whole)
    for prefix, factors in few.items():
        np.testing.assert_array_equal(factors, whole[prefix])
    full = [f.tobytes() for prefix, f in whole.items() if len(prefix) == V]
    assert len(set(full)) == len(full), "every prefix has its own"


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_dropout_changes_nothing_outside_training(name):
    params = 0.5 * weights(CONFIGS[name].layers(V))
    tapes = [PrefixTape(layers, 1, V, np.float64) for layers in (CONFIGS[name].layers(V), wet(name))]
    results = [
        (
            tape.nll(params, STREAM),
            read(tape, params, [2, 4, 1, 5]),
            tape.generate(params, 50, Draw(seed=3)),
        )
        for tape in tapes
    ]
    for one, other in zip(*results, strict=True):
        np.testing.assert_array_equal(one, other)
    packed = WordBatches.drawn(STREAM, 45, 2).packed(0)
    losses = [tape.loss_and_grads_of_words(params, packed)[0] for tape in tapes]
    assert losses[0] != pytest.approx(losses[1], rel=1e-3), "but in training it does"
