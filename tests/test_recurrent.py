"""Recurrent nets: their formulas, gradients through time, dropout, evaluation and drawing."""

import dataclasses
import math
from functools import partial
from typing import Any

import numpy as np
import pytest
import test_gradcheck
from along_words import (
    DRAWN,
    STREAM,
    assert_drawn_as_often_as_probable,
    drawn,
    nll_by,
    read,
    relative,
    steps,
    train,
    words_in,
)
from networks import V, weights, word_stream, worst
from test_gradcheck import Mistake, mistaken

import moreish
from moreish import Model, Vocab, set_threads
from moreish.analysis.gradcheck import check_layers, first_wrong
from moreish.engine.optim import zero_moments
from moreish.engine.protocol import Draw
from moreish.engine.tape import Tape, WordTape, word_tape
from moreish.engine.tape import engine as tape_engine
from moreish.engine.tape.compile import walks
from moreish.engine.words import WordBatches, pack_words, sorted_words
from moreish.layers import GRU, LAYERS, RNN, ChoGRU, Dropout, Embedding, FlattenConsecutive, Layer, Linear
from moreish.layers.init import Normal
from moreish.layers.layout import Layout
from moreish.layers.levels import KEY
from moreish.layers.recurrent import Recurrent
from moreish.layers.spec import Y
from moreish.models.recurrent import GRUConfig, LSTMConfig, RecurrentConfig, RNNConfig
from moreish.training.prepare import engine_of, prepare

E, H = 5, 6
SMALL: dict[str, Any] = {"n_embd": E, "n_hidden": H, "dropout": 0.0}
KINDS: dict[str, RecurrentConfig] = {
    "rnn": RNNConfig(**SMALL),
    "gru": GRUConfig(**SMALL),
    "gru, reset before": GRUConfig(**SMALL, reset="before"),
    "lstm": LSTMConfig(**SMALL),
}
CONFIGS: dict[str, RecurrentConfig] = {
    f"{name}, {more}": dataclasses.replace(config, **options)
    for name, config in KINDS.items()
    for more, options in {
        "1 layer": {"n_layer": 1, "learn_start": True},
        "2 layers": {"n_layer": 2},
    }.items()
}
DROPOUT: dict[str, Any] = {"dropout": 0.3, "recurrent_dropout": 0.25}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def step_of(layer, own, x, state):
    """The next state of a layer from its input x, as a tuple of arrays, by the formula in its file."""
    h, *c = state
    match layer:
        case RNN():
            return (np.tanh(x + h @ own["U"]),)
        case GRU():
            (x_r, x_z, x_n), (u_r, u_z, u_n) = np.split(x, 3), np.split(h @ own["U"], 3)
            n = np.tanh(x_n + sigmoid(x_r + u_r) * (u_n + own["c"]))
        case ChoGRU():
            (x_r, x_z, x_n), (u_r, u_z) = np.split(x, 3), np.split(h @ own["U"], 2)
            n = np.tanh(x_n + (sigmoid(x_r + u_r) * h) @ own["V"])
        case _:
            i, f, g, o = np.split(x + h @ own["U"], 4)
            c = sigmoid(f) * c[0] + sigmoid(i) * np.tanh(g)
            return sigmoid(o) * np.tanh(c), c
    z = sigmoid(x_z + u_z)
    return ((1 - z) * n + z * h,)


def logits_of_word(layers, params, word) -> np.ndarray:
    """Logits after each prefix of a word, (n + 1, V), one character at a time in plain NumPy."""
    states: dict[int, tuple[np.ndarray, ...]] = {}
    found = []
    for token in (0, *word):
        x = np.zeros(0)
        for index, (layer, slots) in enumerate(zip(layers, Layout(layers).slots, strict=True)):
            own = {slot.parameter.name: slot.view(params) for slot in slots}
            match layer:
                case Embedding():
                    x = own["C"][token]
                case Linear():
                    x = x @ own["W"] + own["b"]
                case Dropout():
                    pass
                case _:
                    starts = own.get("start", np.zeros(H)), own.get("start_c", np.zeros(H))
                    states[index] = step_of(layer, own, x, states.get(index, starts))
                    x = states[index][0]
        found.append(x)
    return np.array(found)


def nll_of_stream(layers, params, stream) -> np.ndarray:
    """The nll of every token of a stream by the same."""
    return nll_by(partial(logits_of_word, layers, params), stream)


@pytest.mark.parametrize("name", CONFIGS)
def test_the_forward_pass_is_the_formula_word_by_word(name):
    """With rows of equal prefixes as one, with each word alone, and with a word read step by step."""
    layers = CONFIGS[name].layers(V)
    params, tape = weights(layers), WordTape(layers, 1, V, np.float64)
    expected = nll_of_stream(layers, params, STREAM)
    assert relative(tape.nll(params, STREAM), expected) <= 1e-12
    batches = WordBatches.of_all(STREAM, 1)
    for shared in (True, False):
        packed = pack_words(batches.words(0), 0, batches.size, shared=shared)
        loss, _ = tape.loss_and_grads_of_words(params, packed)
        assert loss == pytest.approx(expected.mean(), rel=1e-12)
    for word in words_in(STREAM)[:5]:
        assert relative(read(tape, params, word), logits_of_word(layers, params, word)) <= 1e-12


@pytest.mark.parametrize("labels", [0, V], ids=["", "labels"])
@pytest.mark.parametrize("name", CONFIGS)
def test_every_gradient_through_time_is_that_of_autograd(name, labels):
    """With dropout and a mask on the state, in float64. The label is one of as many as there are tokens."""
    pytest.importorskip("torch")
    layers = dataclasses.replace(CONFIGS[name], **DROPOUT).layers(V, labels)
    if labels:
        from moreish.engine.torch.words import gradients_of_words

        params, generator = weights(layers), np.random.default_rng(5)
        params *= 0.5
        batches = WordBatches.drawn(STREAM, 50, 1, generator.integers(0, labels, 60))
        packed = batches.packed(3)
        grads = WordTape(layers, 2, V, np.float64).loss_and_grads_of_words(params, packed)[1]
        known = gradients_of_words(layers, params, packed)
        for gradient, slot in zip(Layout(layers).views(grads).values(), Layout(layers), strict=True):
            assert relative(gradient, known[slot.name]) <= 1e-8, slot.name
        return
    checks = check_layers(layers, None, V)
    assert first_wrong(checks) is None
    assert {c.name for c in checks if c.kind == "parameter"} >= {slot.name for slot in Layout(layers)}
    for check in checks:
        if (check.dtype, check.against) == ("float64", "autograd"):
            assert check.max_rel <= 1e-8


@pytest.mark.filterwarnings("ignore:Cannot cache compiled function")  # a wrong kernel must not be cached
@pytest.mark.parametrize(
    ("kind", "what", "column"),
    [mistake for mistake in test_gradcheck.MISTAKES if issubclass(mistake[0], Recurrent | Dropout)],
    ids=lambda value: getattr(value, "__name__", value),
)
@pytest.mark.parametrize("factor", [-1.0, 1.01])
def test_a_backward_pass_that_is_wrong_on_words_is_seen_and_named_first(kind, what, column, factor, monkeypatch):
    config = next(c for name, c in CONFIGS.items() if "1 layer" in name and (kind is Dropout or c.recurrent is kind))
    layers = dataclasses.replace(config, **DROPOUT).layers(V)
    index = next(i for i, layer in enumerate(layers) if type(layer) is kind)
    if what == "x":
        before, size = layers[index - 1], 500  # numbers, of all rows
        mistake, first = Mistake(column, 0, size, factor), f"{index - 1}.{type(before).__name__.lower()}.out"
    else:
        slot = next(slot for slot in Layout(layers).slots[index] if slot.parameter.name == what)
        mistake, first = Mistake(column, slot.start, slot.parameter.size, factor), slot.name
    monkeypatch.setattr(test_gradcheck, "mistake", mistake)
    monkeypatch.setitem(LAYERS, kind, dataclasses.replace(LAYERS[kind], backward=mistaken(kind)))
    bad = first_wrong(check_layers(layers, None, V))
    assert bad is not None
    assert bad.name == first


@pytest.mark.parametrize("labelled", [False, True], ids=["", "labels"])
@pytest.mark.parametrize("name", CONFIGS)
def test_sharing_prefixes_changes_neither_loss_nor_gradient(name, labelled):
    layers = CONFIGS[name].layers(V, 3 * labelled)
    params, tape, found = weights(layers), WordTape(layers, 1 + labelled, V, np.float64), []
    labels = np.random.default_rng(1).integers(0, 3, 60) if labelled else None
    for shared in (True, False):
        packed = WordBatches.drawn(STREAM, 60, 1, labels, shared=shared).packed(0)
        found.append((len(packed.contexts), *tape.loss_and_grads_of_words(params, packed)))
    assert found[0][0] < found[1][0] == len(STREAM) - 1
    assert found[0][1] == pytest.approx(found[1][1], rel=1e-12)
    assert worst(layers, found[0][2], found[1][2]) <= 1e-10


@pytest.mark.parametrize("name", KINDS)
def test_words_of_one_length_are_contexts_of_that_length(name):
    """Which every position predicts from: the last one its end."""
    config, T, generator = KINDS[name], 4, np.random.default_rng(1)
    words = generator.integers(1, V, (40, T))
    stream = np.append(0, np.pad(words, ((0, 0), (0, 1))).ravel()).astype(np.int32)
    layers = config.layers(V)
    params = weights(layers)
    packed = WordBatches.of_all(stream, 1).packed(0)
    loss, grads = WordTape(layers, 1, V, np.float64).loss_and_grads_of_words(params, packed)
    # The tape along contexts predicts one token of each: a layer of the positions' logits gives all of them at once.
    contexts = np.pad(words, ((0, 0), (1, 0)))
    losses, sums = [], np.zeros_like(grads)
    for n in range(1, T + 2):
        some = np.ascontiguousarray(contexts[:, :n])
        *inner, _ = layers
        choose = [*inner, FlattenConsecutive(n), Linear(n * H, V, Normal(1.0))] if n > 1 else layers
        of_last = params.copy()
        if n > 1:  # only the last position reaches the logits
            layout = Layout(choose)
            of_last = np.zeros(layout.size)
            here, there = layout.views(of_last), Layout(layers).views(params)
            for name_here, name_there in zip(here, there, strict=True):
                view = here[name_here]
                view[-len(there[name_there]) :] = there[name_there]
        tape = Tape(choose, n, V, np.float64)
        targets = np.append(words, np.zeros((40, 1), int), 1)[:, n - 1]
        one, gradient = tape.loss_and_grads(of_last, some, targets, fuse=False)
        losses.append(one)
        totals = Layout(layers).views(sums)
        for mine, theirs in zip(totals.values(), Layout(choose).views(gradient).values(), strict=True):
            mine += theirs[-len(mine) :] / (T + 1)
    assert loss == pytest.approx(np.mean(losses), rel=1e-12)
    assert worst(layers, grads, sums) <= 1e-9


@pytest.mark.parametrize("name", CONFIGS)
def test_a_step_on_several_shards_is_the_step_on_one(name):
    """Plain SGD, so that the weights differ by the gradient; with dropout, whose masks are the same."""
    layers = dataclasses.replace(CONFIGS[name], **DROPOUT).layers(V)
    batches = WordBatches.drawn(STREAM, 45, 2)
    found = []
    for shards in (1, 2, 3, 5):
        params = weights(layers)
        tape = WordTape(layers, 1, V, np.float64, shards=shards)
        assert tape.plan_of(batches).shards == shards
        losses = train(tape, params, zero_moments("sgd", params.size, np.float64), batches, steps(4, "sgd", 0.5))
        found.append((losses, params))
    for losses, params in found[1:]:
        np.testing.assert_allclose(losses, found[0][0], rtol=1e-11)
        np.testing.assert_allclose(params, found[0][1], rtol=1e-9, atol=1e-11)
    params = weights(layers)
    loss, _ = WordTape(layers, 1, V, np.float64).loss_and_grads_of_words(params, batches.packed(0))
    assert found[0][0][0] == pytest.approx(loss, rel=1e-12)


@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["rnn, 1 layer", "gru, 2 layers", "gru, reset before, 1 layer", "lstm, 2 layers"])
def test_training_is_the_same_bit_for_bit_with_any_number_of_threads(name, dtype, made_by):
    layers, found, made = dataclasses.replace(CONFIGS[name], **DROPOUT).layers(V), [], made_by(tape_engine)
    batches = WordBatches.drawn(STREAM, 45, 2)
    for n in (1, 2, 3, 5, 8):
        set_threads(n)
        params = Layout(layers).initial(1, dtype)
        moments = zero_moments("adamw", params.size, dtype, 0.9)
        tape = WordTape(layers, 1, V, dtype, shards=5)
        losses = train(tape, params, moments, batches, steps(12, grad_clip=0.2, average=0.9))
        assert losses[-1] < losses[0]
        found.append((losses, params, moments))
    assert made == [1, 2, 3, 5, 5]
    for other in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], other, strict=True))


# Dropout


def outputs_of_dropout(step: int, *, width: int = 64, p: float = 0.25, salt: int = 3, shared: bool = True):
    """The input and the output of a Dropout at a step, and the label-free prefix of every row."""
    layers: list[Layer] = [Embedding(V, width), Dropout(p, salt), Linear(width, V, Normal(0.2))]
    packed = WordBatches.drawn(STREAM, 60, 1, shared=shared).packed(step)
    tape, params = WordTape(layers, 1, V, np.float64), weights(layers)
    ready = tape.prepared_words(packed)
    walks(np.float64)[0](ready.program, params, params)
    x, y = (ready.buffer(op, Y).copy() for op in ready.plan.operations[:2])
    return x, y, packed.levels.keys[: len(x)].copy()


def test_dropout_drops_a_share_and_scales_the_others():
    shares = []
    for p in (0.1, 0.25, 0.9):
        x, y, _ = outputs_of_dropout(0, p=p, width=400)
        kept = y != 0
        np.testing.assert_allclose(y[kept], x[kept] / (1 - p), rtol=1e-4)
        shares.append(1 - kept.mean())
        deviation = math.sqrt(p * (1 - p) / kept.size)
        assert shares[-1] == pytest.approx(p, abs=5 * deviation)
    x, y, _ = outputs_of_dropout(0, p=0.0)
    np.testing.assert_array_equal(x, y)


def test_the_mean_output_over_many_steps_is_the_input():
    """Of the first row, which is the same prefix, the empty one, at every step."""
    outputs = np.array([outputs_of_dropout(step, width=50)[1][0] for step in range(400)])
    x = outputs_of_dropout(0, width=50)[0][0]
    error = np.abs(x) * math.sqrt(0.25 / 0.75 / 400)
    assert (np.abs(outputs.mean(0) - x) < 5 * error).all()
    assert len({(y != 0).tobytes() for y in outputs}) == 400


def test_masks_differ_by_row_step_and_salt_but_not_among_equal_prefixes():
    kept = [outputs_of_dropout(step, salt=salt)[1] != 0 for step, salt in ((0, 3), (0, 3), (1, 3), (0, 5))]
    np.testing.assert_array_equal(kept[0], kept[1])
    assert len({row.tobytes() for row in kept[0]}) == len(kept[0]), "every prefix has its own"
    for other in kept[2:]:
        rows = min(len(kept[0]), len(other))
        agree = (kept[0][:rows] == other[:rows]).mean()
        assert agree == pytest.approx(0.75**2 + 0.25**2, abs=0.05), "as masks that are independent"
    # Another batch of the same step has other prefixes: those in common have the same masks.
    layers: list[Layer] = [Embedding(V, 64), Dropout(0.25, 3), Linear(64, V, Normal(0.2))]
    tape, params, found = WordTape(layers, 1, V, np.float64), weights(layers), {}
    for stream in (STREAM, STREAM[: 1 + int(np.flatnonzero(STREAM == 0)[20])]):
        words = sorted_words(stream)
        packed = pack_words(words, 0, len(words.order), key=77)
        assert packed.levels.head[KEY] == 77
        ready = tape.prepared_words(packed)
        walks(np.float64)[0](ready.program, params, params)
        y = ready.buffer(ready.plan.operations[1], Y)
        for key, row in zip(packed.levels.keys.tolist(), y != 0, strict=False):
            found.setdefault(key, set()).add(row.tobytes())
    assert all(len(masks) == 1 for masks in found.values())


def test_without_sharing_equal_prefixes_have_masks_of_their_own():
    _, y, keys = outputs_of_dropout(0, shared=False)
    assert len({(row != 0).tobytes() for row in y}) == len(y) == len(set(keys.tolist())) == len(STREAM) - 1


@pytest.mark.parametrize("name", KINDS)
def test_a_mask_of_the_state_is_one_for_a_batch_and_scales_what_it_keeps(name):
    """A net whose rows of U are multiplied by the mask gives the same loss without dropout."""
    config = dataclasses.replace(KINDS[name], n_hidden=24, recurrent_dropout=0.25)
    layers, plain = config.layers(V), dataclasses.replace(config, recurrent_dropout=0.0).layers(V)
    params, masks = weights(layers) * 0.5, set()
    batches = WordBatches.drawn(STREAM, 60, 1)
    for step in range(8):
        packed = batches.packed(step)
        loss, grads = WordTape(layers, 1, V, np.float64).loss_and_grads_of_words(params, packed)
        matrices = [slot for slot in Layout(layers).slots[2] if slot.parameter.name in "UV"]
        kept = np.any([slot.view(grads).any(1) for slot in matrices], axis=0)
        masks.add(kept.tobytes())
        assert 10 <= kept.sum() < 24
        scaled = params.copy()
        for slot in matrices:
            slot.view(scaled)[:] *= (kept / 0.75)[:, None]
        expected, theirs = WordTape(plain, 1, V, np.float64).loss_and_grads_of_words(scaled, packed)
        assert loss == pytest.approx(expected, rel=1e-12)
        for slot in matrices:
            assert relative(slot.view(grads), slot.view(theirs) * (kept / 0.75)[:, None]) <= 1e-9
    assert len(masks) == 8


@pytest.mark.parametrize("name", CONFIGS)
def test_dropout_changes_nothing_outside_training(name):
    dry = CONFIGS[name]
    wet, params = dataclasses.replace(dry, **DROPOUT), weights(dry.layers(V))
    tapes = [WordTape(config.layers(V), 1, V, np.float64) for config in (dry, wet)]
    assert Layout(wet.layers(V)).size == len(params)
    one, other = (tape.nll(params, STREAM) for tape in tapes)
    np.testing.assert_array_equal(one, other)
    states = [tape.after(params, tape.begin(params), np.array([2])) for tape in tapes]
    np.testing.assert_array_equal(states[0], states[1])
    words = [tape.generate(params, 50, Draw(seed=3)) for tape in tapes]
    np.testing.assert_array_equal(words[0], words[1])


# The full batch


@pytest.mark.parametrize("weighted", [False, True], ids=["", "weights"])
@pytest.mark.parametrize("labelled", [False, True], ids=["", "labels"])
@pytest.mark.parametrize("model", ["rnn", "gru", "lstm"])
def test_the_loss_of_a_step_on_the_full_batch_is_the_train_loss(model, labelled, weighted, words):
    distinct, options = list(dict.fromkeys(words)), {**SMALL, "full_batch": True, "steps": 3}
    if labelled:
        options["labels"] = ["ab"[word < "d"] for word in distinct]
    if weighted:
        options["weights"] = np.random.default_rng(1).uniform(0.2, 30, len(distinct))
    task = prepare(distinct if labelled or weighted else words, model, options)
    run, batches = task.start(), task.need_steps()
    run.model.params[:] = 0.5 * weights(run.model.layers, np.float32)
    expected = moreish.evaluate(run.model, run.corpus, ["train"]).loss["train"]
    losses = engine_of(run).train(
        run.model.params, zero_moments("sgd", run.model.params.size), batches, steps(3, "sgd")
    )
    assert losses[0] == pytest.approx(expected, rel=1e-6)
    assert losses[2] < losses[0]


def test_the_gradient_of_the_full_batch_is_the_mean_of_those_of_the_words():
    """Each as often as its weight says."""
    layers = KINDS["gru"].layers(V)
    params, tape = weights(layers), WordTape(layers, 1, V, np.float64)
    often = np.random.default_rng(2).integers(1, 6, 60)
    loss, grads = tape.loss_and_grads_of_words(
        params, WordBatches.of_all(STREAM, 1, weights=often.astype(float)).packed(0)
    )
    words, sums, total, tokens = sorted_words(STREAM), np.zeros_like(grads), 0.0, 0
    for k, i in enumerate(words.order):
        one, gradient = tape.loss_and_grads_of_words(params, pack_words(words, k, k + 1))
        n = often[i] * (words.lengths()[i] + 1)
        sums, total, tokens = sums + n * gradient, total + n * one, tokens + n
    assert loss == pytest.approx(total / tokens, rel=1e-12)
    assert worst(layers, grads, sums / tokens) <= 1e-10


# Evaluation


@pytest.mark.parametrize("name", CONFIGS)
def test_the_nll_of_a_token_depends_on_its_word_alone(name, monkeypatch):
    """Not on other words, on how many rows are computed at a time, or on threads."""
    layers = CONFIGS[name].layers(V)
    params = weights(layers, np.float32) * np.float32(0.5)
    whole = WordTape(layers, 1, V).nll(params, STREAM)
    alone = np.concatenate(
        [WordTape(layers, 1, V).nll(params, np.array([0, *word, 0], np.int32)) for word in words_in(STREAM)[:8]]
    )
    np.testing.assert_array_equal(alone, whole[: len(alone)])
    monkeypatch.setattr(word_tape, "EVALUATION_ROWS", 32)  # enough for the same fused kernels
    np.testing.assert_array_equal(WordTape(layers, 1, V).nll(params, STREAM), whole)


@pytest.mark.usefixtures("threads_as_before")
def test_evaluation_is_the_same_with_any_number_of_threads(monkeypatch, made_by):
    layers, made = KINDS["gru"].layers(V), made_by(word_tape)
    params, stream, found = weights(layers, np.float32), word_stream(700, V), []
    monkeypatch.setattr(word_tape, "TOKENS_PER_THREAD", 100)
    for n in (1, 2, 5):
        set_threads(n)
        found.append(WordTape(layers, 1, V).nll(params, stream))
        np.testing.assert_array_equal(found[0], found[-1])
    assert made == [1, 2, 5]
    np.testing.assert_allclose(found[0], nll_of_stream(layers, params.astype(np.float64), stream), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
def test_a_word_of_3000_characters_is_read_to_its_end(name):
    layers = KINDS[name].layers(V)
    params, tape = weights(layers) * 0.6, WordTape(layers, 1, V, np.float64)
    long = np.random.default_rng(1).integers(1, V, 3000)
    stream = np.array([0, 1, 2, 0, *long, 0, 3, 0], np.int32)
    expected = nll_of_stream(layers, params, stream)
    assert relative(tape.nll(params, stream), expected) <= 1e-9
    batches = WordBatches.drawn(stream, 3, 1)
    assert batches.packed(0).total == 3 + 3001 + 2
    losses = train(tape, params, zero_moments("adamw", params.size, np.float64), batches, steps(3))
    assert losses[0] == pytest.approx(expected.mean(), rel=1e-9)
    assert losses[2] < losses[0]


def test_a_net_learns_to_remember_the_first_character_of_a_word():
    generator = np.random.default_rng(1)
    words = [c + "x" * int(generator.integers(8, 11)) + c for c in generator.choice(list("abcd"), 400)]
    options = {"n_hidden": 24, "n_embd": 8, "dropout": 0.0, "weight_decay": 0.0, "batch_size": 32, "lr": 0.02}
    run = moreish.train(words, "lstm", steps=2000, **options)  # pyright: ignore[reportArgumentType]
    for c in "abcd":
        assert run.model.next(c + 10 * "x")[c] > 0.9


# Drawing


@pytest.fixture(scope="module")
def three_letters() -> Model:
    """A gru of three letters with random weights, so that no two characters are alike."""
    model = Model(dataclasses.replace(KINDS["gru"], n_layer=2), Vocab("abd"), seed=1)
    model.params[:] = 0.5 * weights(model.layers, np.float32)
    return model


@pytest.mark.usefixtures("threads_as_before")
def test_words_depend_on_the_seed_and_their_number_alone(three_letters, monkeypatch, made_by):
    """Not on how many are drawn, in which rows, or by how many threads."""
    whole, made = drawn(three_letters, 300, seed=5), made_by(tape_engine)
    assert len(set(whole)) > 50
    assert drawn(three_letters, 40, seed=5) == whole[:40]
    assert drawn(three_letters, 40, seed=5, first=100) == whole[100:140]
    assert drawn(three_letters, 300, seed=6) != whole
    monkeypatch.setattr(tape_engine, "WORDS_PER_THREAD", 50)
    for n in (1, 2, 4):
        set_threads(n)
        assert drawn(three_letters, 300, seed=5) == whole
    assert made[-3:] == [1, 2, 4]
    monkeypatch.setattr(word_tape, "GENERATION_ROWS", 32)
    assert drawn(three_letters, 300, seed=5) == whole


@pytest.mark.parametrize("options", DRAWN, ids=str)
def test_words_are_drawn_as_often_as_their_probability_says(three_letters, options):
    assert_drawn_as_often_as_probable(three_letters, options)


def test_the_largest_length_ends_a_word_and_a_temperature_of_zero_takes_the_likeliest(three_letters):
    assert max(map(len, drawn(three_letters, 300, max_length=3))) == 3
    same = drawn(three_letters, 5, temperature=0.0, max_length=6)
    assert len(set(same)) == 1
    word, prefix = same[0], ""
    for c in word:
        ways = {k: v for k, v in three_letters.next(prefix).items() if k or prefix}
        assert max(ways, key=ways.__getitem__) == c
        prefix += c
    assert drawn(three_letters, 3, prefix=[1, 2, 3], max_length=3) == ["abd"] * 3
    assert not drawn(three_letters, 0)
