"""Transformers and bags of words on whole words: evaluation, states and drawing."""

import dataclasses
from functools import partial
from typing import Any

import numpy as np
import pytest
from along_words import (
    DRAWN,
    assert_drawn_as_often_as_probable,
    drawn,
    nll_by,
    relative,
    spelled,
    steps,
    stream_of,
    train,
    words_in,
)
from networks import V, weights, word_stream
from small_models import LETTERS
from test_transformer import CONFIGS, PLACES, logits_of_word

import moreish
from moreish import InputError, Model, Vocab, set_threads
from moreish.engine.optim import zero_moments
from moreish.engine.picking import draw_words
from moreish.engine.protocol import Draw
from moreish.engine.states import LONGEST_PREFIX, ROWS_AT_A_TIME, state_after
from moreish.engine.tape import PrefixTape, word_tape
from moreish.engine.tape import engine as tape_engine
from moreish.engine.words import WordBatches
from moreish.layers.layout import Layout
from moreish.models import NetConfig

# Evaluation


@pytest.mark.usefixtures("threads_as_before")
@pytest.mark.parametrize("name", ["transformer, 2 layers", "bow"])
def test_evaluation_is_the_same_with_any_number_of_threads(name, monkeypatch, made_by):
    layers, made = CONFIGS[name].layers(V), made_by(word_tape)
    params, stream, found = weights(layers, np.float32) * np.float32(0.5), word_stream(700, V), []
    monkeypatch.setattr(word_tape, "TOKENS_PER_THREAD", 100)
    for n in (1, 2, 5):
        set_threads(n)
        found.append(PrefixTape(layers, 1, V).nll(params, stream))
        np.testing.assert_array_equal(found[0], found[-1])
    assert made == [1, 2, 5]
    formula = partial(logits_of_word, CONFIGS[name], params.astype(np.float64))
    np.testing.assert_allclose(found[0], nll_by(formula, stream), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["transformer, 1 layer", "bow"])
def test_a_word_of_3000_characters_is_read_to_its_end(name):
    layers = CONFIGS[name].layers(V)
    params, tape = weights(layers) * 0.6, PrefixTape(layers, 1, V, np.float64)
    long = np.random.default_rng(1).integers(1, V, 3000).tolist()
    stream = stream_of([[1, 2], long, [3]])
    expected = nll_by(partial(logits_of_word, CONFIGS[name], params), stream)
    assert relative(tape.nll(params, stream), expected) <= 1e-9
    batches = WordBatches.drawn(stream, 3, 1)
    assert batches.packed(0).total == 3 + 3001 + 2
    losses = train(tape, params, zero_moments("adamw", params.size, np.float64), batches, steps(2))
    assert losses[0] == pytest.approx(expected.mean(), rel=1e-9)
    assert losses[1] < losses[0]


# States


def prefixes_of(generator: np.random.Generator, n: int) -> list[list[int]]:
    return [generator.integers(1, V, size).tolist() for size in generator.integers(0, 9, n)]


@pytest.mark.parametrize("name", CONFIGS)
def test_logits_of_many_states_in_any_order_are_those_one_by_one(name):
    """More than are computed at a time, with repeats."""
    layers, generator = CONFIGS[name].layers(V), np.random.default_rng(3)
    params, tape = 0.5 * weights(layers), PrefixTape(layers, 1, V, np.float64)
    states = np.concatenate([state_after(tape, params, prefix) for prefix in prefixes_of(generator, 100)])
    one_by_one = np.concatenate([tape.logits(params, state[None]) for state in states])
    order = generator.integers(0, 100, 1500)
    assert len(order) > 2 * ROWS_AT_A_TIME // 9
    assert relative(tape.logits(params, states[order]), one_by_one[order]) <= 1e-12
    assert tape.logits(params, states[:0]).shape == (0, V)
    kept = states.copy()
    longer = tape.after(params, states, np.full(len(states), 2))
    np.testing.assert_array_equal(states, kept, "states are not changed")
    assert (np.count_nonzero(longer, 1) == np.count_nonzero(states, 1) + 1).all()


def test_a_prefix_of_255_characters_is_the_longest_to_read_one_by_one():
    layers, generator = CONFIGS["transformer, 1 layer"].layers(V), np.random.default_rng(3)
    params, tape = 0.5 * weights(layers), PrefixTape(layers, 1, V, np.float64)
    word = generator.integers(1, V, LONGEST_PREFIX).tolist()
    state = state_after(tape, params, word)
    expected = logits_of_word(CONFIGS["transformer, 1 layer"], params, word)[-1:]
    assert relative(tape.logits(params, state), expected) <= 1e-11
    with pytest.raises(InputError, match="a word of over 255 characters is too long"):
        tape.after(params, np.concatenate([tape.begin(params), state]), np.array([1, 1]))


@pytest.mark.parametrize("token", [-1, V])
def test_a_token_outside_the_vocabulary_is_refused(token):
    layers = CONFIGS["bow"].layers(V)
    params, tape = weights(layers), PrefixTape(layers, 1, V, np.float64)
    with pytest.raises(ValueError, match=f"tokens must be from 0 to {V - 1}"):
        tape.nll(params, np.array([0, 1, token, 0], np.int32))
    with pytest.raises(ValueError, match=f"tokens must be from 0 to {V - 1}"):
        tape.after(params, tape.begin(params), np.array([token]))


# Drawing


MODELS: dict[str, NetConfig] = {
    "transformer": dataclasses.replace(CONFIGS["transformer, 1 layer"], n_layer=2),  # pyright: ignore[reportCallIssue]
    "bow": CONFIGS["bow"],
}


@pytest.fixture(scope="module", params=MODELS)
def three_letters(request) -> Model:
    """A model of three letters with random weights, so that no two characters are alike."""
    model = Model(MODELS[request.param], Vocab(LETTERS), seed=1)
    model.params[:] = 0.4 * weights(model.layers, np.float32)
    return model


@pytest.mark.usefixtures("threads_as_before")
def test_words_depend_on_the_seed_and_their_number_alone(three_letters, monkeypatch, made_by):
    """Not on how many are drawn, in which rows, with how much memory, or by how many threads."""
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
    monkeypatch.setattr(word_tape, "GENERATION_MEMORY", 200)
    assert drawn(three_letters, 300, seed=5) == whole, "few words grow at the same time"
    monkeypatch.setattr(word_tape, "GENERATION_MEMORY", 1)
    assert drawn(three_letters, 300, seed=5) == whole, "one word at a time"
    monkeypatch.setattr(word_tape, "GENERATION_MEMORY", 1 << 13)
    monkeypatch.setattr(word_tape, "GENERATION_ROWS", 32)
    assert drawn(three_letters, 300, seed=5) == whole


@pytest.mark.parametrize("options", DRAWN, ids=str)
def test_words_are_drawn_as_often_as_their_probability_says(three_letters, options):
    assert_drawn_as_often_as_probable(three_letters, options)


@pytest.mark.parametrize("options", [*DRAWN, {"temperature": 0.0}, {"max_length": 2}], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_words_drawn_in_levels_are_those_drawn_from_states(name, options):
    """In float64, in which no rounding decides a draw; words are longer than the table of places."""
    layers = MODELS[name].layers(V)
    tape, params = PrefixTape(layers, 1, V, np.float64), 0.4 * weights(layers)
    settings: dict[str, Any] = {"seed": 4, "max_length": 20, **options}
    draw = Draw(**settings)
    tokens = tape.generate(params, 150, draw)
    np.testing.assert_array_equal(tokens, draw_words(tape, params, 150, draw))
    lengths = [len(word) for word in words_in(np.append(0, tokens))]
    assert max(lengths) > PLACES or "max_length" in options or options.get("temperature") == 0


@pytest.mark.parametrize(("longest", "memory"), [(300, 1 << 13), (1200, 500)])
def test_a_word_may_be_longer_than_what_is_read_one_by_one_and_than_the_memory(longest, memory, monkeypatch):
    """A model that never ends a word: the likeliest one is as the formula says, to its last character."""
    monkeypatch.setattr(word_tape, "GENERATION_MEMORY", memory)
    layers = CONFIGS["bow"].layers(V)
    params = 0.4 * weights(layers)
    Layout(layers).views(params)["4.linear.b"][0] = -50
    tape = PrefixTape(layers, 1, V, np.float64)
    likeliest, other = (tape.generate(params, 5, Draw(max_length=longest, temperature=t)) for t in (0.0, 1.0))
    for tokens in (likeliest, other):
        assert [len(word) for word in words_in(np.append(0, tokens))] == [longest] * 5
    word = words_in(np.append(0, likeliest))[0]
    logits = logits_of_word(CONFIGS["bow"], params, word[:-1])
    assert word == (1 + logits[:, 1:].argmax(1)).tolist()


def test_the_largest_length_ends_a_word_and_a_temperature_of_zero_takes_the_likeliest(three_letters):
    assert max(map(len, drawn(three_letters, 300, max_length=3))) == 3
    same = drawn(three_letters, 5, temperature=0.0, max_length=6)
    assert len(set(same)) == 1
    word, prefix = same[0], ""
    for c in word:
        ways = {k: v for k, v in three_letters.next(prefix).items() if k or prefix}
        assert max(ways, key=ways.__getitem__) == c
        prefix += c
    assert drawn(three_letters, 3, prefix=[1, 2, 3], max_length=3) == [LETTERS] * 3
    assert not drawn(three_letters, 0)


def test_a_transformer_learns_to_copy_the_first_character_of_a_word():
    generator = np.random.default_rng(1)
    words = [c + "x" * int(generator.integers(6, 9)) + c for c in generator.choice(list("abcd"), 300)]
    options: dict[str, Any] = {"n_layer": 1, "n_head": 2, "n_embd": 16, "dropout": 0.0, "batch_size": 32, "lr": 0.01}
    run = moreish.train(words, "transformer", steps=400, **options)
    for c in "abcd":
        assert run.model.next(c + 8 * "x")[c] > 0.9
    assert spelled(run.model, run.model.engine.generate(run.model.params, 20, Draw(seed=1))) == run.model.sample(
        20, seed=1, max_length=50
    )
