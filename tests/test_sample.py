"""Sampling: the distribution that it draws from, its options, and that seeds mean what they say."""

from collections import Counter
from itertools import product
from typing import Any

import numpy as np
import pytest

import moreish
import moreish.models
from moreish import InputError


@pytest.fixture(scope="module")
def bigram():
    """Bigram counts over two letters: small enough to enumerate."""
    return moreish.train(["ab", "a", "abb", "ba", "bab", "aab", "b"] * 10, "bigram-counts").model


def probability(model, word: str) -> float:
    return float(np.exp(-sum(model.score(word).per_char)))


def chi_square(counts: Counter, expected: dict[str, float], n: int) -> tuple[float, int]:
    rest = n - sum(counts[w] for w in expected)
    cells = [(counts[w], n * p) for w, p in expected.items() if n * p > 5]
    lumped = (rest + sum(counts[w] for w, p in expected.items() if n * p <= 5), n * (1 - sum(e for _, e in cells) / n))
    cells.append(lumped)
    return sum((o - e) ** 2 / e for o, e in cells), len(cells) - 1


def enumerated(model, weigh) -> dict[str, float]:
    """The probability of every word of up to six letters, by multiplying conditional ones; weigh changes those."""

    def conditional(prefix: str) -> np.ndarray:
        p = [probability_of_next(model, prefix, token) for token in range(3)]
        return weigh(np.array(p), may_end=bool(prefix))

    found = {}
    for length in range(1, 7):
        for letters in product("ab", repeat=length):
            word, p = "".join(letters), 1.0
            for i, c in enumerate(word):
                p *= conditional(word[:i])[" ab".index(c)]
            found[word] = p * conditional(word)[0]
    return found


def probability_of_next(model, prefix: str, token: int) -> float:
    stream = np.array([0, *model.vocab.encode(prefix), token], np.int32)
    return float(np.exp(-model.nll(stream)[-1]))


def plain(p, may_end):
    p = p * [may_end, 1, 1]
    return p / p.sum()


def at_temperature(t):
    return lambda p, may_end: plain(p ** (1 / t), may_end)


def top_two(p, may_end):
    p = plain(p, may_end)
    p[np.argsort(p)[0]] = 0
    return p / p.sum()


@pytest.mark.parametrize(
    ("options", "weigh"),
    [
        ({}, plain),
        ({"temperature": 0.5}, at_temperature(0.5)),
        ({"temperature": 2.0}, at_temperature(2.0)),
        ({"top_k": 2}, top_two),
    ],
    ids=["plain", "cold", "hot", "top-k"],
)
def test_words_come_as_often_as_their_probability_says(bigram, options, weigh):
    n = 40_000
    value, freedom = chi_square(Counter(bigram.sample(n, seed=3, **options)), enumerated(bigram, weigh), n)
    assert value < freedom + 5 * (2 * freedom) ** 0.5


def test_a_prefix_is_kept_and_what_follows_is_conditional_on_it(bigram):
    n = 20_000
    words = bigram.sample(n, prefix="ab", seed=1)
    assert all(word.startswith("ab") for word in words)
    ends = Counter(words)["ab"] / n
    p = probability_of_next(bigram, "ab", 0)
    assert ends == pytest.approx(p, abs=5 * (p * (1 - p) / n) ** 0.5)


def test_temperature_zero_and_top_one_take_the_likeliest(saved_run):
    model = saved_run.model
    greedy = model.sample(3, temperature=0)
    assert greedy == model.sample(3, top_k=1, seed=99)
    assert len(set(greedy)) == 1


def test_ties_are_kept_to_the_number_asked_for(words):
    """A model of zeros finds all characters alike: of equals the first are taken."""
    vocab = moreish.Vocab("abcdef")
    model = moreish.Model(moreish.models.MLP(init="zero"), vocab)
    several: list[dict[str, Any]] = [{"temperature": 0}, {"temperature": 1e-40}, {"top_k": 1}]
    for options in several:
        assert set("".join(model.sample(20, max_length=5, **options))) == {"a"}
    assert set("".join(model.sample(200, max_length=5, top_k=3))) == {"a", "b", "c"}


def test_seeds(saved_run):
    model = saved_run.model
    assert model.sample(50, seed=1) == model.sample(50, seed=1) != model.sample(50, seed=2)
    # Word j depends on the seed and j alone, however many are drawn beside it.
    assert model.sample(1000, seed=1)[:50] == model.sample(50, seed=1)
    assert model.sample(0) == []


def test_no_word_is_empty_or_too_long(saved_run):
    words = saved_run.model.sample(5000, temperature=5.0, max_length=4)
    assert {len(word) for word in words} == {1, 2, 3, 4}


def weak_run(words: list[str]) -> moreish.Run:
    """A run that has hardly learnt when words end: about one word in five has over 30 characters."""
    return moreish.train(words, "mlp", n_hidden=8, n_embd=3, steps=1)


@pytest.mark.parametrize("options", [{}, {"prefix": "ab"}, {"contains": "dd"}, {"top_k": 4, "temperature": 0.8}])
def test_a_word_far_longer_than_those_of_the_list_is_drawn_again(words, options):
    run = weak_run(words)
    assert max(map(len, words)) == 6 == run.model.longest
    bound = 2 * 6 + 10 + len(options.get("prefix", "")) + len(options.get("contains", ""))
    n = 2000
    found = run.model.sample(n, **options)
    assert len(found) == n
    assert max(map(len, found)) <= bound
    run.model.longest = None
    free = run.model.sample(n, **options)
    too_long = [i for i, word in enumerate(free) if len(word) > bound]
    assert 50 < len(too_long) < n / 2
    if "contains" in options:  # rejected: the next takes its place
        fitting = [word for word in free if len(word) <= bound]
        assert found[: len(fitting)] == fitting
        return
    assert [word for i, word in enumerate(found) if i not in too_long] == [w for w in free if len(w) <= bound]
    shares = [np.mean([len(word) > 8 for word in some]) for some in (found, [w for w in free if len(w) <= bound])]
    assert shares[0] == pytest.approx(shares[1], abs=0.03), "and what takes its place is drawn from those that fit"


def test_words_that_are_drawn_again_depend_on_the_seed_and_their_number_alone(words):
    model = weak_run(words).model
    many = model.sample(1500, seed=5)
    assert model.sample(1, seed=5) + model.sample(40, seed=5)[1:] == many[:40]


def test_a_word_that_never_ends_is_cut(words):
    model = weak_run(words).model
    model.weights["4.linear.b"][0] = -1e9  # of the end
    assert {len(word) for word in model.sample(30)} == {22}
    assert {len(word) for word in model.sample(3, prefix="bad")} == {25}


def test_an_untrained_model_stops_too(words):
    vocab = moreish.Vocab(set().union(*words))
    model = moreish.Model(moreish.models.MLP(init="naive"), vocab, seed=1)
    assert all(1 <= len(word) <= 1000 for word in model.sample(300))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"n": -1}, "number of samples"),
        ({"n": 1 << 40}, "number of samples"),
        ({"max_length": 1 << 40}, "max-length"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_k": -1}, "top-k"),
        ({"prefix": "aé"}, "'é' is not in the word list"),
        ({"max_length": 0}, "max-length"),
        ({"prefix": "abcd", "max_length": 2}, "no word fits --max-length 2 and --prefix abcd"),
        ({"seed": -1}, "seed"),
    ],
)
def test_wrong_values_are_refused(saved_run, options, says):
    with pytest.raises(InputError) as caught:
        saved_run.model.sample(**options)
    assert says in str(caught.value)


@pytest.mark.parametrize("prefix", ["", "a", "gadaba"])
def test_what_comes_next_is_what_scores_say(bigram, saved_run, prefix):
    for model, known in ((bigram, prefix.replace("g", "a").replace("d", "b")), (saved_run.model, prefix)):
        found = model.next(known)
        assert list(found) == ["", *model.vocab.characters]
        expected = [probability_of_next(model, known, token) for token in range(len(found))]
        assert list(found.values()) == pytest.approx(expected, rel=1e-5)
        assert sum(found.values()) == pytest.approx(1)
        squared = np.array(expected) ** 2
        assert list(model.next(known, temperature=0.5).values()) == pytest.approx(squared / squared.sum(), rel=1e-5)


def test_next_near_temperature_zero_is_the_likeliest(bigram):
    found = bigram.next("a", temperature=1e-320)
    assert found[max(found, key=bigram.next("a").__getitem__)] == 1


@pytest.mark.parametrize("temperature", [0, -1, float("nan"), float("inf")])
def test_next_refuses_wrong_values(bigram, temperature):
    with pytest.raises(InputError, match="temperature"):
        bigram.next("a", temperature=temperature)
    with pytest.raises(InputError, match="not in the word list"):
        bigram.next("x")


def test_scores_add_up(saved_run):
    score = saved_run.model.score("ba")
    assert len(score.per_char) == 3
    assert score.nll == pytest.approx(sum(score.per_char) / 3)
    with pytest.raises(InputError, match="empty"):
        saved_run.model.score("")


@pytest.mark.parametrize("name", ["gru", "transformer"])
def test_at_temperature_zero_one_word_that_does_not_fit_is_enough(models, name):
    """All words are the same, so that no other one would fit."""
    (word,) = models[name].sample(1, temperature=0)
    with pytest.raises(InputError, match="the model generates no word that fits, or hardly any, with this temperature"):
        models[name].sample(1, temperature=0, min_length=len(word) + 1)
