"""Reading words token by token: the states of every model, and that all of a word can be read from them."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from small_models import LETTERS, LONGEST, MODELS, WORDS, written_out

import moreish
from moreish.engine import picking
from moreish.engine import states as reading
from moreish.engine.picking import draw_words
from moreish.engine.protocol import ENGINES, Draw
from moreish.engine.registry import make_engine
from moreish.models import ALL_MODELS, NetConfig, ReaderConfig
from moreish.models.mixture import MIXTURES, log_sum
from moreish.training.options import TrainOptions
from moreish.training.run import Run

V, H = len(LETTERS) + 1, 3


class MemoryReader:
    """A recurrent net, h = tanh(A h' + E[token]), logits h U: it never forgets a token."""

    def __init__(self, arrays: dict[str, np.ndarray]):
        self.A, self.E, self.U = (arrays[name] for name in "AEU")

    def begin(self, params: np.ndarray) -> np.ndarray:
        return np.full((1, H), 0.3, np.float32)

    def after(self, params: np.ndarray, states: np.ndarray, tokens: np.ndarray) -> np.ndarray:
        assert states.dtype == np.float32, "a part of a mixture has its own numbers"
        return np.tanh(states @ self.A + self.E[tokens])

    def logits(self, params: np.ndarray, states: np.ndarray) -> np.ndarray:
        assert states.dtype == np.float32
        return states @ self.U

    def nll(self, params: np.ndarray, stream: np.ndarray) -> np.ndarray:
        found, h = [], np.full(H, 0.3, np.float32)
        for token in stream[1:]:
            p = np.exp(h @ self.U)
            found.append(-np.log(p[token] / p.sum()))
            h = np.tanh(h @ self.A + self.E[token]) if token else np.full(H, 0.3, np.float32)
        return np.array(found, np.float64)

    def generate(self, params: np.ndarray, n: int, draw: Draw) -> np.ndarray:
        return draw_words(self, params, n, draw)


@dataclass(frozen=True)
class Memory(ReaderConfig):
    """A model whose predictions depend on all earlier characters."""

    called: ClassVar[str] = "a memory"
    context: ClassVar[None] = None  # pyright: ignore[reportIncompatibleMethodOverride]

    def reader(self, arrays: dict[str, np.ndarray], n_vocab: int) -> MemoryReader:
        return MemoryReader(arrays)

    def n_parameters(self, arrays: dict[str, np.ndarray]) -> int:
        return sum(array.size for array in arrays.values())

    def given(self, weights: dict[str, np.ndarray], label: int) -> dict[str, np.ndarray]:
        return weights


@pytest.fixture(scope="module")
def readable(models) -> Iterator[dict[str, moreish.Model]]:
    """The small models, one without a limit to its context, and mixtures with it and with mixtures."""
    generator, corpus = np.random.default_rng(7), moreish.Corpus(WORDS[::2])
    shapes = {"A": (H, H), "E": (V, H), "U": (H, V)}
    arrays = {name: generator.normal(0, 1, shape).astype(np.float32) for name, shape in shapes.items()}
    found = dict(models)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ALL_MODELS, "memory", Memory)
        found["memory"] = moreish.Model(Memory(), corpus.vocab, arrays=arrays)
        runs = {name: Run(model, corpus, TrainOptions()) for name, model in found.items()}
        for kind in MIXTURES:
            found[f"{kind} of nets"] = moreish.mix([runs["mlp 12"], runs["memory"]], kind).model
            parts = [
                Run(found["mixture"], corpus, TrainOptions()),
                runs["memory"],
                runs["ngram"],
                runs["mlp 2"],
            ]
            found[f"{kind} of mixtures"] = moreish.mix(parts, kind).model
        yield found


NAMES = (*MODELS, "memory", *(f"{kind} of {parts}" for kind in MIXTURES for parts in ("nets", "mixtures")))


def stream_of(model: moreish.Model, words: list[str]) -> np.ndarray:
    return np.array([0, *(t for word in words for t in (*model.vocab.encode(word), 0))], np.int32)


@pytest.mark.parametrize("name", NAMES)
def test_words_read_token_by_token_have_the_nll_of_the_model(readable, name):
    """All short words at once; their states are put into another order after each token."""
    model, generator = readable[name], np.random.default_rng(1)
    reader, params, words = model.engine, model.params, np.array(WORDS)
    states = np.repeat(reader.begin(params), len(words), 0)
    sums, order = np.zeros(len(words)), np.arange(len(words))
    for k in range(LONGEST + 1):
        logits = reader.logits(params, states).astype(np.float64)
        assert logits.shape == (len(states), V)
        tokens = np.array([model.vocab.encode(words[i])[k] if k < len(words[i]) else 0 for i in order])
        sums[order] += log_sum(logits.T) - logits[np.arange(len(order)), tokens]
        states = reader.after(params, states, tokens)
        left = generator.permutation(np.flatnonzero(tokens))
        states, order = states[left], order[left]
    assert not len(order)
    nll = model.nll(stream_of(model, WORDS))
    ends = np.flatnonzero(stream_of(model, WORDS)[1:] == 0)
    expected = np.add.reduceat(nll, np.concatenate([[0], ends[:-1] + 1]))
    np.testing.assert_allclose(sums, expected, rtol=2e-5)


@pytest.mark.parametrize("name", NAMES)
def test_the_next_character_has_the_nll_of_the_model(readable, name):
    model = readable[name]
    for prefix in ("", "b", "abdda", "adbabdbbabdab"):
        ways = [*model.next(prefix).values()]
        expected = [model.nll(stream_of(model, [prefix + c]))[len(prefix)] for c in ("", *LETTERS)]
        np.testing.assert_allclose(-np.log(ways), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["memory", "ngram", "linear of mixtures"])
def test_many_words_are_read_together_and_equal_prefixes_once(readable, name, monkeypatch):
    model = readable[name]
    stream, reader = stream_of(model, [*WORDS, "", *WORDS[:50]]), model.engine
    for most in (1 << 14, 40):
        monkeypatch.setattr(reading, "TOKENS_AT_A_TIME", most)
        runs = list(reading.read(reader, model.params, stream))
        assert len(runs) == 1 or most == 40
        assert [run[0] for run in runs] == np.cumsum([0, *(len(run[2]) for run in runs[:-1])]).tolist()
        assert sum(len(run[2]) for run in runs) == len(stream) - 1
        for first, states, of in runs:
            prefixes, prefix = [], ()
            for token in stream[1 + first :][: len(of)].tolist():
                prefixes.append(prefix)
                prefix = (*prefix, token) if token else ()
            assert len(states) == len(set(prefixes))
            for prefix, number in zip(prefixes, of, strict=True):
                np.testing.assert_allclose(
                    states[number], reading.state_after(reader, model.params, prefix)[0], rtol=1e-5, atol=1e-6
                )


@pytest.mark.parametrize("name", ["mlp 2", "mlp 12", "ngram", "gru", "transformer"])
@pytest.mark.parametrize("options", [{}, {"prefix": [2, 3]}, {"temperature": 0.7, "top_p": 0.9}, {"top_k": 2}], ids=str)
def test_words_drawn_from_states_are_those_of_the_engine(readable, name, options, monkeypatch):
    model = readable[name]
    monkeypatch.setattr(picking, "WORDS_AT_A_TIME", 70)
    draw = Draw(**options, seed=3, max_length=12, first=5)
    words = draw_words(model.engine, model.params, 300, draw)
    assert words.tolist() == model.engine.generate(model.params, 300, draw).tolist()
    assert draw_words(model.engine, model.params, 0, draw).size == 0


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["mlp 2", "mlp 12", "gru", "transformer", "bow"])
def test_every_engine_reads_by_the_same_states(readable, name, engine):
    if engine != "tape":
        pytest.importorskip("torch")
    model = readable[name]
    assert isinstance(model.config, NetConfig)
    reader = make_engine(engine, model.layers, model.columns, V, device="cpu")
    states, others = (np.repeat(r.begin(model.params), 5, 0) for r in (reader, model.engine))
    for tokens in np.random.default_rng(2).integers(1, V, (6, 5)):
        np.testing.assert_allclose(states, others, rtol=1e-4, atol=1e-5)
        logits = reader.logits(model.params, states[::2]), model.engine.logits(model.params, others[::2])
        np.testing.assert_allclose(*logits, rtol=1e-4, atol=1e-5)
        states, others = (r.after(model.params, states, tokens) for r in (reader, model.engine))


@pytest.mark.parametrize("name", ["gru", "transformer", "memory", "log-linear of nets", "linear of mixtures"])
def test_models_without_a_limit_to_their_context_sample_under_constraints(readable, name):
    model = readable[name]
    pattern, fits = "[ad]*b?", lambda word: re.fullmatch("[ad].*b.", word)
    p = written_out(model, fits)
    few = model.sample(400, pattern=pattern, max_length=LONGEST, seed=4)
    assert few.method == "enumeration"
    assert few.share == pytest.approx(sum(p.values()), rel=1e-4)
    assert set(few) <= set(p)
    many = model.sample(30, pattern=pattern, seed=4)
    assert many.method == "look-ahead"
    assert all(map(fits, many))
    exact = model.sample(30, pattern=pattern, seed=4, exact=True)
    assert exact.method == "rejection"
    assert all(map(fits, exact))
    best = model.most_likely(3, pattern=pattern, max_length=LONGEST)
    assert [found.word for found in best] == sorted(p, key=lambda word: -p[word])[:3]


@pytest.mark.parametrize("name", ["mixture", "log-linear of nets", "log-linear of mixtures"])
def test_a_mixture_refuses_tokens_outside_its_vocabulary(readable, name):
    for token in (-1, V):
        with pytest.raises(ValueError, match=f"from 0 to {V - 1}"):
            readable[name].nll(np.array([0, 1, token, 0], np.int32))


@pytest.mark.parametrize("name", NAMES)
def test_a_stream_without_words_has_no_losses(readable, name):
    assert readable[name].nll(np.zeros(1, np.int32)).shape == (0,)
