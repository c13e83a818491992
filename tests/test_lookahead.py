"""Drawing with an n-gram that looks ahead: weights that correct for it, and the words drawn by them."""

import math
import re
from collections import Counter
from typing import Any

import numpy as np
import pytest
from small_models import LETTERS, LONGEST, MODELS, WORDS, written_out

import moreish
from moreish import InputError
from moreish.corpus import WordList
from moreish.sampling import Constraints, ExactSampler, SamplingOptions, guided, sources
from moreish.sampling import draw as sampling
from moreish.sampling.contexts import CountedContexts
from moreish.sampling.guided import GROUPS, Grown, chosen, effective_share, grow, thinned
from moreish.sampling.lookahead import LookAhead

ASKED: dict[str, Any] = {"pattern": "[ad]*b?", "max_length": LONGEST}
PER_GROUP = 12  # far fewer than the words that fit


def fits(word: str) -> bool:
    return bool(re.fullmatch("[ad].*b.", word))


def grown(model: moreish.Model, generator: np.random.Generator, options: SamplingOptions, **changed: Any) -> Grown:
    read = model.sampling_models()[0]
    prefix, words = Constraints(**{**ASKED, **changed}).words(model.vocab).split_prefix()
    ahead = LookAhead(read.guide(), words, prefix, options)
    return grow(read, ahead, prefix, options, PER_GROUP, LONGEST - len(prefix), generator)


def mean_weights(model: moreish.Model, options: SamplingOptions, times: int = 150) -> tuple[dict, dict]:
    """Return the mean over groups of each word's weight, and its standard error."""
    sums, squares = Counter(), Counter()
    for seed in range(times):
        found = grown(model, np.random.default_rng(seed), options)
        assert not found.complete or options != SamplingOptions()
        for word, weight in zip(found.spell(model.vocab), found.weights.tolist(), strict=True):
            sums[word] += weight
            squares[word] += weight**2
    n = times * GROUPS
    mean = {word: sums[word] / n for word in sums}
    return mean, {word: math.sqrt(max(squares[word] / n - mean[word] ** 2, 0) / n) for word in sums}


@pytest.mark.parametrize("name", MODELS)
def test_the_expectation_of_a_weight_is_the_probability_of_the_word(models, name):
    p = written_out(models[name], fits)
    mean, error = mean_weights(models[name], SamplingOptions())
    assert set(mean) <= set(p)
    for word in p:
        if word in mean and p[word] > 0.002:
            assert mean[word] == pytest.approx(p[word], rel=1e-4, abs=5 * error[word]), word
    total = math.sqrt(sum(e**2 for e in error.values()))
    assert sum(mean.values()) == pytest.approx(sum(p.values()), abs=5 * total)


def test_the_weights_correct_for_any_look_ahead(models, monkeypatch):
    """Here it says random things."""
    model, plain = models["mlp 12"], LookAhead.after
    p = written_out(model, fits)

    def nonsense(self, length, contexts, at):
        reached, value = plain(self, length, contexts, at)
        return reached, value * np.random.default_rng(length).uniform(0.2, 3, value.shape)

    monkeypatch.setattr(LookAhead, "after", nonsense)
    mean, error = mean_weights(model, SamplingOptions(), times=400)
    for word in p:
        if p[word] > 0.002:
            assert mean[word] == pytest.approx(p[word], rel=1e-4, abs=5 * error[word]), word


@pytest.mark.parametrize("options", [{"temperature": 0.6}, {"top_k": 2}, {"top_p": 0.8}], ids=str)
def test_the_weights_are_those_of_temperature_top_k_and_top_p(models, options):
    p = written_out(models["gru"], fits, **options)
    mean, error = mean_weights(models["gru"], SamplingOptions(**options))
    for word in mean:
        assert mean[word] == pytest.approx(p[word], rel=1e-3, abs=5 * error[word] + 1e-3), word


def distance(drawn: list[str], p: dict[str, float]) -> tuple[float, float]:
    """Return the total variation between words drawn and probabilities, and its expectation for independent draws."""
    counts, n, total = Counter(drawn), len(drawn), sum(p.values())
    assert set(counts) <= set(p)
    found = sum(abs(counts[word] / n - q / total) for word, q in p.items()) / 2
    expected = sum(math.sqrt(2 / math.pi * q / total * (1 - q / total) / n) for q in p.values()) / 2
    return found, expected


def looking_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have words drawn by look-ahead, from few prefixes."""
    monkeypatch.setattr(sampling, "MAX_ENUMERATED", 0)
    monkeypatch.setattr(sources, "estimated_steps", lambda *_: math.inf)
    plain = sources._rejection

    def rejection(wanted: sources.Wanted, *, last: bool, least: float = 0.0) -> sources.Source:
        return plain(wanted, last=last) if last else sources.Source("rejection", lambda n, first: [], None, last=False)

    monkeypatch.setattr(sources, "_rejection", rejection)
    monkeypatch.setattr(sources, "FIRST_BATCH", GROUPS * PER_GROUP // sources.PREFIXES_PER_WORD)


def small_draws(model: moreish.Model, **options: Any) -> list[str]:
    """Draw a few words with each of many seeds, so that they are independent."""
    found = []
    for seed in range(300):
        words = model.sample(10, seed=seed, **ASKED, **options)
        assert words.method == "look-ahead"
        found += words
    return found


@pytest.mark.parametrize("name", ["ngram", "mlp 12", "gru", "transformer", "bow", "mixture"])
def test_words_are_drawn_as_often_as_their_probability_says(models, name, monkeypatch):
    looking_ahead(monkeypatch)
    found, expected = distance(small_draws(models[name]), written_out(models[name], fits))
    assert found < 2 * expected


def test_without_correction_words_are_not_drawn_as_often_as_their_probability_says(models, monkeypatch):
    """So the test before can fail."""
    looking_ahead(monkeypatch)
    monkeypatch.setattr(guided, "thinned", lambda *arguments: (kept := thinned(*arguments)[0], np.ones(len(kept))))
    found, expected = distance(small_draws(models["gru"]), written_out(models["gru"], fits))
    assert found > 3 * expected


def test_wishes_weigh_the_words(models, monkeypatch):
    looking_ahead(monkeypatch)
    p = written_out(models["gru"], fits)
    wished = {word: q * (6 if "da" in word else 1) for word, q in p.items()}
    drawn = small_draws(models["gru"], prefer={"da": 6})
    found, expected = distance(drawn, wished)
    assert found < 2.5 * expected
    assert distance(drawn, p)[0] > 5 * expected


def test_where_nothing_is_left_out_the_draw_is_exact(models, monkeypatch):
    looking_ahead(monkeypatch)
    monkeypatch.setattr(sources, "FIRST_BATCH", 1 << 12)
    drawn = models["gru"].sample(200, **ASKED, seed=3)
    assert (drawn.method, drawn.effective) == ("enumeration", None)
    assert drawn.share == pytest.approx(sum(written_out(models["gru"], fits).values()), rel=1e-5)


def test_labels_are_drawn_by_their_share_of_what_fits(monkeypatch):
    looking_ahead(monkeypatch)
    generator = np.random.default_rng(5)
    words = [
        "".join(generator.choice(list("abd"), generator.integers(1, 6), p=p))
        for p in ([0.6, 0.2, 0.2], [0.1, 0.5, 0.4])
        for _ in range(300)
    ]
    labels = ["x"] * 300 + ["y"] * 300
    corpus = moreish.Corpus(WordList.of(words).with_labels(labels))
    model = moreish.train(corpus, "gru", n_hidden=16, steps=60).model
    p: Counter[str] = Counter()
    assert model.labels is not None
    for name, share in zip(model.labels.names, model.labels.shares.tolist(), strict=True):
        for word, q in written_out(model.given(name), fits).items():
            p[word] += share * q
    found, expected = distance(small_draws(model), dict(p))
    assert found < 2 * expected


def test_the_first_words_are_the_same_however_many_are_wanted(models, monkeypatch):
    looking_ahead(monkeypatch)
    few, many = (models["gru"].sample(n, contains="dd", seed=3) for n in (5, 400))
    assert many[:5] == few
    assert models["gru"].sample(5, contains="dd", seed=4) != few


def test_words_that_are_not_wanted_are_left_out(models, monkeypatch):
    looking_ahead(monkeypatch)
    known = [word for word in WORDS if fits(word)][::2]
    words = models["gru"].sample(30, **ASKED, avoid=known, distinct=True, seed=2)
    assert len(set(words)) == 30
    assert not set(words) & set(known)
    assert all(map(fits, words))
    with pytest.raises(InputError, match=r"of 500 different words were found"):
        models["gru"].sample(500, **ASKED, distinct=True, tries=2000)


def test_at_most_so_many_are_kept_and_their_weights_stay_right():
    generator = np.random.default_rng(1)
    weights, groups = generator.exponential(size=400) ** 3, np.sort(generator.integers(0, GROUPS, 400))
    mean = np.zeros(400)
    for seed in range(2000):
        kept, scale = thinned(weights, groups, 20, np.random.default_rng(seed))
        assert np.bincount(groups[kept], minlength=GROUPS).max() <= 20
        assert (scale >= 1 - 1e-12).all()
        mean[kept] += weights[kept] * scale / 2000
    largest = np.array([weights[groups == group].sum() / 20 for group in range(GROUPS)])[groups]
    assert (np.abs(mean - weights) < 5 * np.sqrt(weights * largest / 2000)).all()
    few = thinned(weights[:7], groups[:7], 20, generator)
    assert (few[0] == np.arange(7)).all()
    assert (few[1] == 1).all()


def test_numbers_are_chosen_in_proportion_to_weights():
    weights = np.array([0.1, 0.0, 3.0, 1.0, 0.9])
    counts = sum(np.bincount(chosen(weights, 7, np.random.default_rng(s), again=True), minlength=5) for s in range(900))
    assert counts / 6300 == pytest.approx(weights / weights.sum(), abs=0.01)
    first = [chosen(weights, 3, np.random.default_rng(seed), again=False) for seed in range(900)]
    assert all(len(set(numbers.tolist())) == 3 and 1 not in numbers for numbers in first)
    assert np.mean([numbers[0] == 2 for numbers in first]) == pytest.approx(0.6, abs=0.06)
    assert len(chosen(weights, 9, np.random.default_rng(0), again=False)) == 4


def test_the_effective_sample_size_is_that_of_draws_with_the_same_variance():
    generator = np.random.default_rng(2)
    draws = generator.lognormal(
        0, 0.8, (500, GROUPS, 50)
    )  # of weights, of which a share of 1 / (1 + cv**2) is effective
    share = effective_share(draws.mean(2), np.full(500, 50))
    assert share == pytest.approx(math.exp(-(0.8**2)), abs=0.02)


@pytest.mark.parametrize("temperature", [1.0, 0.5, 1.8])
def test_the_table_of_counts_has_the_probabilities_to_draw_by(models, temperature):
    """Also those of the characters that a context has not seen, and where the words of an alphabet are rare."""
    model = models["ngram"]
    automaton, options = model.engine, SamplingOptions(temperature)
    table = CountedContexts(automaton).table(options)
    nodes = np.arange(automaton.size)
    p = options.probabilities(automaton.logits(np.zeros(0), nodes[:, None]), True)
    assert table.end[:-1] == pytest.approx(p[:, 0], rel=1e-9)
    # The sums of the product with all words: b = 1 wherever one stops.
    words = Constraints(pattern="?").words(model.vocab)
    sampler = ExactSampler(model.sampling_models()[0], options, words)
    begin = options.probabilities(automaton.logits(np.zeros(0), np.array([[automaton.graph.start]])), False)[0]
    expected = sum(
        begin[v] * p[automaton.after(np.zeros(0), np.array([[automaton.graph.start]]), np.array([v]))[0, 0], 0]
        for v in range(1, len(LETTERS) + 1)
    )
    assert sampler.mass == pytest.approx(expected, rel=1e-9)


def test_large_alphabets_have_exact_draws():
    """The product costs a step for each entry, not for each of 3,000 characters."""
    generator = np.random.default_rng(4)
    characters = [chr(0x4E00 + i) for i in range(3000)]
    words = ["".join(generator.choice(characters, generator.integers(1, 5))) for _ in range(6000)]
    model = moreish.train(words, "ngram", order=3).model
    a, b = words[0][0], words[1][0]
    drawn = model.sample(30, contains=a, without=[b])
    assert drawn.method == "dynamic programming"
    assert all(a in word and b not in word for word in drawn)
    two = words[2][0]
    p = sum(math.exp(-sum(model.score(x + two).per_char)) for x in model.vocab.characters)
    p /= -math.expm1(-model.nll(np.array([0, 0], np.int32))[0])
    assert model.sample(5, pattern=f"?{two}").share == pytest.approx(p, rel=1e-6)


def test_an_exact_draw_that_would_take_too_long_says_what_it_costs(models, monkeypatch):
    monkeypatch.setattr(sampling, "MANY", 100)
    told: list[str] = []
    model = models["mlp 12"]
    words = model.sample(40, contains="db", min_length=5, exact=True, on_cost=told.append, tries=100_000)
    assert words.method == "rejection"
    assert re.fullmatch(r"exact draws take rejection here: about [\d,]+ words, in \d+ s", told[0])
    about = int(re.search(r"about ([\d,]+) words", told[0])[1].replace(",", ""))  # pyright: ignore[reportOptionalSubscript]
    assert about == pytest.approx(words.tried, rel=1)
    with pytest.raises(InputError, match=r"about [\d,]+ words, in .*, and the limit is 100: raise it \(--tries"):
        model.sample(40, contains="db", min_length=5, exact=True, tries=100)
