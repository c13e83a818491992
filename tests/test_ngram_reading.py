"""Reading text with counts: the nll of every token against the distributions at its node, one token at a time."""

import numpy as np
import pytest

import moreish
from moreish import Corpus, set_threads
from moreish.ngram import Automaton, automaton

ALPHABETS = {"masked": "abcdefg", "sixty-three": 63, "sixty-four": 64, "more than bits in a mask": 300}


def characters(alphabet: str | int) -> str:
    return alphabet if isinstance(alphabet, str) else "".join(map(chr, range(0x4E00, 0x4E00 + alphabet)))


def one_by_one(engine: Automaton, stream: np.ndarray) -> np.ndarray:
    """The nll of every token, from the distribution at the node before it."""
    none, state, nll = np.zeros(0), engine.begin(np.zeros(0)), []
    for token in stream[1:].tolist():
        nll.append(-engine.logits(none, state)[0, token])
        state = engine.after(none, state, np.array([token]))
    return np.array(nll)


def random_words(generator: np.random.Generator, alphabet: str, n: int, longest: int) -> list[str]:
    lengths = generator.integers(1, longest + 1, n)
    return ["".join(generator.choice(list(alphabet), length, p=zipf(len(alphabet)))) for length in lengths]


def zipf(n: int) -> np.ndarray:
    weights = 1 / np.arange(1, n + 1)
    return weights / weights.sum()


@pytest.mark.parametrize("case", ALPHABETS)
@pytest.mark.parametrize("order", [1, 2, 5])
@pytest.mark.usefixtures("threads_as_before")
def test_every_token_has_the_probability_at_its_node(case, order, monkeypatch):
    """Of words of the list and of others, with characters that are in no train word, in blocks and on threads."""
    generator, alphabet = np.random.default_rng(order), characters(ALPHABETS[case])
    corpus = Corpus(random_words(generator, alphabet, 300, 9)).widened(f"{alphabet}XY")
    engine = moreish.train(corpus, "ngram", order=order).model.engine
    assert isinstance(engine, Automaton)
    others = random_words(generator, f"{alphabet}X", 100, 30)
    stream, _ = corpus.vocab.stream_of_any([*corpus.parts["test"], "", *others, "", "X", "a" * 40])
    expected = one_by_one(engine, stream)
    assert corpus.vocab.encode("X")[0] in stream, "no train word has it"
    for threads, at_a_time, longest in ((1, 1 << 17, 256), (3, 50, 256), (2, 200, 12), (1, 1, 0)):
        monkeypatch.setattr(automaton, "TOKENS_PER_THREAD", 100)
        monkeypatch.setattr(automaton, "TOKENS_AT_A_TIME", at_a_time)
        monkeypatch.setattr(automaton, "LONGEST", longest)
        set_threads(threads)
        np.testing.assert_allclose(engine.nll(np.zeros(0), stream), expected, rtol=1e-12)


def test_a_probability_of_zero_costs_infinitely_much():
    """Products of many shares underflow."""
    model = moreish.train(["ab", "ba", "aab"] * 10, "ngram", order=3).model
    arrays = {**model.arrays, "share": np.full_like(model.arrays["share"], 1e-200)}
    engine = Automaton(3, len(model.vocab), arrays)
    stream = model.vocab.stream(["aab", "bbbb"])
    nll = engine.nll(np.zeros(0), stream)
    assert np.isinf(nll).any()
    assert nll[np.isfinite(nll)].max() < 1000
