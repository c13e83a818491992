"""Constrained sampling: every way of drawing gives a word as often as the model does among the words that fit."""

import math
import re
import time
from collections import Counter
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest
from conftest import levenshtein, made_up_words
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_models import ENDLESS, LETTERS, LONGEST, MODELS, WORDS, written_out

import moreish
from moreish import InputError
from moreish.sampling import Constraints, ExactSampler, SamplingOptions, done_by, sources
from moreish.sampling import draw as sampling
from moreish.sampling.beam import beam_search

CASES: dict[str, tuple[dict[str, Any], Callable[[str], Any], str]] = {
    "suffix": ({"suffix": "ab"}, lambda w: w.endswith("ab"), ""),
    "pattern": ({"pattern": "[ad]*b?"}, lambda w: re.fullmatch("[ad].*b.", w), ""),
    "prefix": ({"prefix": "b", "contains": "da"}, lambda w: w[0] == "b" and "da" in w, "b"),
    "require": ({"require": "dd", "min_length": 3}, lambda w: w.count("d") > 1 and len(w) > 2, ""),
    "without": ({"without": ["ad", "ba", "bb"], "min_length": 2}, lambda w: not re.search("ad|ba|bb", w) and w[1:], ""),
    "near": ({"near": "bada", "edits": 2, "forbid": "x"}, lambda w: levenshtein(w, "bada") == 2, ""),
}


def chi_square(drawn: list[str], p: dict[str, float]) -> float:
    """Standard deviations by which the chi-square statistic of a draw exceeds its mean."""
    counts, n, total = Counter(drawn), len(drawn), sum(p.values())
    assert set(counts) <= set(p)
    cells = [(counts[word], n * q / total) for word, q in p.items() if n * q / total > 5]
    rest = n - sum(observed for observed, _ in cells), n - sum(expected for _, expected in cells)
    cells += [rest] if rest[1] > 1e-6 * n else []
    freedom = max(1, len(cells) - 1)
    return (sum((o - e) ** 2 / max(e, 1e-300) for o, e in cells) - freedom) / (2 * freedom) ** 0.5


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", MODELS)
def test_the_probability_of_what_fits_is_the_sum_over_words(models, name, case):
    constraints, fits, head = CASES[case]
    model, words = models[name], Constraints(**constraints, max_length=LONGEST).words(models[name].vocab)
    p = written_out(model, fits, head)
    read = model.sampling_models()[0]
    found = beam_search(read, SamplingOptions(), words)
    spelt = ["".join(model.vocab.characters[t - 1] for t in word) for word in found.words]
    assert dict(zip(spelt, np.exp(found.log_p), strict=True)) == pytest.approx(p, rel=1e-4, abs=0)
    assert found.proven
    assert list(found.log_p) == sorted(found.log_p, reverse=True)
    if name not in ENDLESS:
        sampler = ExactSampler(read, SamplingOptions(), words)
        assert sampler.mass == pytest.approx(sum(p.values()), rel=1e-4)
        assert sampler.converged


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("name", MODELS)
def test_every_way_draws_words_as_often_as_their_probability_says(models, name, case, monkeypatch):
    constraints, fits, head = CASES[case]
    model, p = models[name], written_out(models[name], fits, head)
    methods = ["enumeration", "rejection"] if name in ENDLESS else ["enumeration", "dynamic programming", "rejection"]
    for method in methods:
        monkeypatch.setattr(sampling, "MAX_ENUMERATED", 1e9 if method == "enumeration" else 0)
        monkeypatch.setattr(sources, "estimated_steps", lambda *_, method=method: 1e99 * (method == "rejection"))
        n = 1000 if name == "mixture" else 5000
        drawn = model.sample(n, **constraints, max_length=LONGEST, seed=5, exact=True)
        assert drawn.method == method
        assert chi_square(drawn, p) < 5
        error = 0.0 if method != "rejection" else 5 * (sum(p.values()) / drawn.tried) ** 0.5
        assert drawn.share == pytest.approx(sum(p.values()), rel=1e-4, abs=error)


WISHES = {"da": 3.0, "b": 0.25, "ad": 8.0, "xx": 5.0}


@pytest.mark.parametrize("name", ["ngram", "mlp 2", "mlp 12", "gru", "mixture"])
def test_every_way_draws_words_by_their_probability_times_their_weight(models, name, monkeypatch):
    model = models[name]
    plain = written_out(model, lambda w: w[0] != "a")
    weights = {word: math.prod(factor for text, factor in WISHES.items() if text in word) for word in plain}
    p = {word: plain[word] * weights[word] for word in plain}
    asked: dict[str, Any] = {"pattern": "[^a]*", "prefer": WISHES, "max_length": LONGEST}
    share = sum(p.values()) / max(weights.values())
    methods = ["enumeration", "rejection"] if name in ENDLESS else ["enumeration", "dynamic programming", "rejection"]
    for method in methods:
        monkeypatch.setattr(sampling, "MAX_ENUMERATED", 1e9 if method == "enumeration" else 0)
        monkeypatch.setattr(sources, "estimated_steps", lambda *_, method=method: 1e99 * (method == "rejection"))
        drawn = model.sample(1000 if name == "mixture" else 5000, **asked, seed=6, exact=True)
        assert drawn.method == method
        assert drawn.wishes
        assert chi_square(drawn, p) < 5
        assert chi_square(drawn, plain) > 20
        error = 0.0 if method != "rejection" else 5 * (share / drawn.tried) ** 0.5
        assert drawn.share == pytest.approx(share, rel=1e-4, abs=error)
        texts = [f"{text}:{factor}" for text, factor in WISHES.items()]
        assert model.sample(50, **{**asked, "prefer": texts}, seed=6, exact=True) == drawn[:50]


@pytest.mark.parametrize("options", [{"temperature": 0.6}, {"temperature": 1.7, "top_k": 2}, {"top_p": 0.8}], ids=str)
@pytest.mark.parametrize("name", ["ngram", "mlp 2"])
def test_temperature_top_k_and_top_p_apply_to_the_words_that_fit(models, name, options, monkeypatch):
    p = written_out(models[name], lambda w: w.endswith("a"), **options)
    for max_enumerated in (0, 1e9):
        monkeypatch.setattr(sampling, "MAX_ENUMERATED", max_enumerated)
        drawn = models[name].sample(5000, suffix="a", max_length=LONGEST, seed=1, **options)
        assert chi_square(drawn, p) < 5
        assert drawn.share == pytest.approx(sum(p.values()), rel=1e-4)


@pytest.mark.parametrize("top_p", [0.3, 0.75, 0.95])
@pytest.mark.parametrize("name", ["ngram", "mlp 2", "mixture"])
def test_top_p_alone_keeps_the_fewest_of_the_likeliest(models, name, top_p):
    drawn = models[name].sample(3000, top_p=top_p, seed=2)
    p = written_out(models[name], lambda w: True, top_p=top_p)
    short = [word for word in drawn if len(word) <= LONGEST]
    assert set(short) <= set(p)
    assert chi_square(short, p) < 5


def test_words_of_any_length_are_summed_up(models):
    """Without a longest word there are infinitely many: the share solves a system of linear equations."""
    model = models["bigram-counts"]
    words = Constraints(contains="dd").words(model.vocab)
    sampler = ExactSampler(model.sampling_models()[0], SamplingOptions(), words)
    V, Q = len(model.vocab), len(words.accept)
    pairs = [np.exp(-model.nll(np.array([0, a, b, 0], np.int32))[1]) for a in range(V) for b in range(V)]
    P = np.array(pairs).reshape(V, V)
    A, r, delta = np.eye(V * Q), np.zeros(V * Q), words.rows(np.arange(Q))
    for c, q in product(range(V), range(Q)):
        r[c * Q + q] = P[c, 0] * words.weights[q]
        for v in range(1, V):
            if delta[q, v] >= 0:
                A[c * Q + q, v * Q + delta[q, v]] -= P[c, v]
    b = np.linalg.solve(A, r).reshape(V, Q)
    begin = model.engine.begin(model.params)
    after = model.engine.after(model.params, np.repeat(begin, V - 1, 0), np.arange(1, V))
    np.testing.assert_allclose(sampler.b[:, after[:, 0]].T, b[1:], rtol=1e-9)
    assert sampler.mass == pytest.approx(b[0, 0] / (1 - P[0, 0]), rel=1e-9)
    drawn = model.sample(20_000, contains="dd", seed=9)
    assert drawn.method == "dynamic programming"
    plain = [word for word in model.sample(400_000, seed=8) if "dd" in word]
    mean, other = (np.mean([len(word) for word in some]) for some in (drawn, plain))
    assert mean == pytest.approx(other, rel=0.03)


ARGUMENTS = st.fixed_dictionaries(
    {},
    optional={
        "prefix": st.text(LETTERS, max_size=2),
        "suffix": st.text(LETTERS, max_size=2),
        "contains": st.text(LETTERS, max_size=2),
        "pattern": st.lists(st.sampled_from(["a", "b", "?", "*", "[ab]", "[^a]"]), max_size=4).map("".join),
        "min_length": st.integers(1, 4),
        "max_length": st.integers(4, 8),
        "forbid": st.sampled_from(["", "a", "b", "z"]),
        "require": st.text(LETTERS, max_size=2),
        "without": st.lists(st.text(LETTERS + "z", min_size=1, max_size=3), max_size=3),
        "near": st.text(LETTERS, max_size=3),
        "gap": st.lists(st.sampled_from(["a", "_", "*"]), max_size=3).map("".join),
        "avoid": st.lists(st.sampled_from(WORDS), max_size=5),
        "distinct": st.booleans(),
        "temperature": st.sampled_from([0.0, 0.5, 1.0, 2.0]),
        "top_k": st.integers(0, 3),
        "top_p": st.sampled_from([0.5, 1.0]),
    },
)


def fits(word: str, asked: dict[str, Any]) -> bool:
    """Return True if a word satisfies the constraints."""
    patterns = [asked.get("pattern", ""), asked.get("gap", "").replace("_", "?")]
    return (
        word.startswith(asked.get("prefix", ""))
        and word.endswith(asked.get("suffix", ""))
        and asked.get("contains", "") in word
        and asked.get("min_length", 1) <= len(word) <= asked.get("max_length", 10_000)
        and not set(asked.get("forbid", "")) & set(word)
        and not any(piece in word for piece in asked.get("without", ()))
        and all(word.count(c) >= asked.get("require", "").count(c) for c in asked.get("require", ""))
        and (not asked.get("near") or levenshtein(word, asked["near"]) == 1)
        and all(not p or re.fullmatch(p.replace("*", ".*").replace("?", "."), word) for p in patterns)
    )


@given(asked=ARGUMENTS, name=st.sampled_from(MODELS), seed=st.integers(0, 1000))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_word_never_breaks_its_constraints(models, asked, name, seed):
    """And constraints are refused as impossible only if no word satisfies them."""
    try:
        words = models[name].sample(7, seed=seed, tries=2000, **asked)
    except InputError as error:
        if "no word fits" in str(error):
            assert not [word for word in WORDS if fits(word, asked)]
        elif "are left, fewer than the 7 requested" in str(error):
            few = asked.get("temperature") == 0 or asked.get("top_k") or asked.get("top_p", 1) < 1
            assert few or len({word for word in WORDS if fits(word, asked)} - set(asked.get("avoid", ()))) < 7
        elif "with this temperature" in str(error):
            assert asked.get("temperature") == 0 or asked.get("top_k") or asked.get("top_p", 1) < 1
        elif "were found among" not in str(error):  # too rare, or too few different ones
            raise
        return
    assert len(words) == 7
    assert words == models[name].sample(7, seed=seed, tries=2000, **asked)
    for word in words:
        assert fits(word, asked)
        assert word not in asked.get("avoid", ())
    if asked.get("distinct"):
        assert len(set(words)) == 7


def test_long_words_are_drawn_as_often_as_they_are_made(monkeypatch):
    """Whichever way, also where no longest word is asked for: here they have 90 characters in the mean."""
    generator = np.random.default_rng(3)
    words = ["".join(generator.choice(list("abc"), size)) for size in generator.integers(30, 150, 300)]
    model = moreish.train(words, "ngram", order=2).model
    model.longest = None  # which would exclude some
    plain = model.sample(4000, seed=1)
    exact, drawn = model.sample(4000, contains="abca", seed=1), None
    monkeypatch.setattr(sources, "estimated_steps", lambda *_: math.inf)
    drawn = model.sample(4000, contains="abca", seed=2, exact=True)
    assert (plain.method, exact.method, drawn.method) == ("plain", "dynamic programming", "rejection")
    expected = 1 / math.exp(-model.nll(np.array([0, 1, 0], np.int32))[1]) - 1  # of a memoryless end
    for some in (plain, [*exact], [*drawn]):
        assert max(map(len, some)) > 300
    assert np.mean([len(w) for w in plain]) == pytest.approx(expected + 1, rel=0.1)
    lengths = [np.array([len(w) for w in some]) for some in (exact, drawn)]
    error = math.hypot(*(x.std() / len(x) ** 0.5 for x in lengths))
    assert lengths[0].mean() == pytest.approx(lengths[1].mean(), abs=5 * error)
    assert exact.share == pytest.approx(drawn.share, abs=0.03)


@pytest.mark.parametrize("name", MODELS)
def test_new_and_different_words(models, name):
    model, known = models[name], WORDS[:60]
    words = model.sample(40, avoid=known, distinct=True, seed=4)
    assert len(set(words)) == 40
    assert not set(words) & set(known)
    all_of_them = model.sample(9, pattern="??", distinct=True)
    assert sorted(all_of_them) == [a + b for a in LETTERS for b in LETTERS]
    with pytest.raises(InputError, match="generate 9 words that fit: 9 are left, fewer than the 10 requested"):
        model.sample(10, pattern="??", distinct=True)
    with pytest.raises(InputError, match="generate 9 words that fit, and 9 of them are excluded: 0 are left"):
        model.sample(1, pattern="??", avoid=WORDS)


def test_distinct_words_come_in_the_order_in_which_draws_would_bring_them(models):
    model = models["ngram"]
    p = written_out(model, lambda w: len(w) == 1)
    first = Counter(model.sample(2, pattern="?", distinct=True, seed=seed)[1] for seed in range(4000))
    share = {w: p[w] / sum(p.values()) for w in p}
    for word in p:
        expected = sum(share[o] * share[word] / (1 - share[o]) for o in p if o != word)
        assert first[word] / 4000 == pytest.approx(expected, abs=5 * (expected / 4000) ** 0.5)


def test_constraints_that_cannot_be_satisfied_are_explained(models):
    model = models["mlp 12"]
    with pytest.raises(InputError, match="no word fits --prefix ab and --pattern 'b\\*'"):
        model.sample(prefix="ab", pattern="b*")
    with pytest.raises(InputError, match="generates no word that fits, or hardly any, with this temperature"):
        model.sample(pattern="???d[bd]", top_k=1)
    with pytest.raises(InputError, match=r"about .* words, in .*, and the limit is 1,000: raise it \(--tries"):
        model.sample(1, contains="dddddddd", tries=1000, exact=True)
    with pytest.raises(InputError, match="only . of 30 different words were found"):
        models["bigram-counts"].sample(30, temperature=0, distinct=True, tries=1000)
    for wrong in ({"top_p": 0.0}, {"top_p": 1.5}, {"min_length": 0}, {"max_length": 0}, {"edits": 0}, {"tries": 3}):
        with pytest.raises(InputError):
            model.sample(**wrong)


def test_drawing_ends_soon_if_nothing_new_can_come(models, monkeypatch):
    monkeypatch.setattr(sampling, "STALE", 300)
    for name in MODELS:
        model = models[name]
        for way_out, greedy in (
            ("the temperature", {"temperature": 0}),
            ("the temperature", {"temperature": 1e-9}),
            ("--top-k", {"top_k": 1}),
            ("the temperature and --top-k", {"top_k": 1, "temperature": 0}),
        ):
            (word,) = set(model.sample(64, **greedy))
            for asked in ({"distinct": True}, {"avoid": [word]}):
                with pytest.raises(InputError, match=rf"among 64 that .*, or raise {way_out}$"):
                    model.sample(5, **asked, **greedy)
        with pytest.raises(InputError, match=r"only 1 of 5 different words were found among [3-9]\d\d that .*--tries"):
            model.sample(5, distinct=True, top_p=1e-9)
        with pytest.raises(InputError, match="among 5,000"):
            model.sample(5, distinct=True, top_p=1e-9, tries=5000)


@pytest.mark.parametrize("greedy", [{"temperature": 0}, {"temperature": 1e-9}, {"top_k": 1}])
def test_wishes_that_the_most_likely_word_hardly_satisfies_are_found_at_once(models, greedy, monkeypatch):
    monkeypatch.setattr(sampling, "DEFAULT_TRIES", 2000)
    drawn = {name: models[name].sample(8, **greedy) for name in MODELS}
    ended = {
        name: words for name, words in drawn.items() if len(words[0]) < models[name].sampling_models()[0].most_extra
    }
    assert len(ended) > len(drawn) / 2
    for name, words in ended.items():
        (word,) = set(words)
        other = next(a + b for a in LETTERS for b in LETTERS if a + b not in word)
        assert set(models[name].sample(5, prefer={other: 1e8}, **greedy)) == {word}
        assert set(models[name].sample(5, prefer={other: 3}, exact=True, **greedy)) == {word}


def test_a_seed_means_the_same_draws_however_many_are_wanted(models):
    for name in MODELS:
        few, many = (models[name].sample(n, suffix="a", seed=3) for n in (5, 50))
        assert many[:5] == few
        assert models[name].sample(50, suffix="a", seed=4) != many


def test_sampling_stops_at_the_deadline(models):
    ways = [{"suffix": "a"}, {"near": "bada"}, {"pattern": "*b?"}, {"max_length": 3}, {"distinct": True}]
    for model in (models["ngram"], models["mlp 12"], models["gru"]):
        for asked in ways:
            with pytest.raises(TimeoutError), done_by(time.monotonic() - 1):
                model.sample(3, **asked)
            with done_by(time.monotonic() + 60):
                assert len(model.sample(3, **asked)) == 3
        assert len(model.sample(3, suffix="a")) == 3


def test_no_words_are_drawn_in_any_way(models):
    for model in models.values():
        for asked in ({}, {"distinct": True}, {"suffix": "a"}, {"max_length": 2}):
            assert model.sample(0, **asked) == []
        assert model.most_likely(0) == model.most_likely(0, max_length=2) == []


def test_constraints_that_take_too_many_states_do_not_hide_why_no_word_fits():
    letters = "abcdefghijklmnopqrst"
    model = moreish.train(made_up_words(100, alphabet=letters), "bigram-counts").model
    with pytest.raises(InputError, match="^no word fits --max-length 3 and "):
        model.sample(1, max_length=3, require=model.vocab.characters)


def test_hundreds_of_pieces_are_left_out(models):
    """Also with other constraints; a piece that the model cannot write changes nothing."""
    pieces = ["".join(letters) for letters in product("abd", repeat=5)][::2] + ["xyz", "e\u0301"]
    for options in ({}, {"suffix": "da"}, {"max_length": 9, "prefix": "b"}):
        drawn = models["ngram"].sample(300, without=pieces, **options)
        assert not [word for word in drawn if any(piece in word for piece in pieces)]
        assert max(map(len, drawn)) > 4
        assert len(models["ngram"].sample(20, without=set(pieces), **options)) == 20
    plain, free = Constraints().words(models["ngram"].vocab), Constraints(without=["é"]).words(models["ngram"].vocab)  # pyright: ignore[reportArgumentType]
    assert np.array_equal(plain.delta, free.delta)
    assert models["ngram"].most_likely(3, without=["d"]) == models["ngram"].most_likely(3, forbid="d")
    assert all("ad" not in each.word for each in models["ngram"].fill("b_d_", without=["ad"]))


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"forbid": ["ass", "cum"]}, "takes characters as one string, .* is the argument without"),
        ({"without": "ass"}, "--without is 'ass': it must be a list of strings"),
        ({"without": ["a", 3]}, "--without has an item of type int: it must be a list of strings"),
        ({"without": object()}, "--without is of type object: it must be a list of strings"),
        ({"without": None}, "it must be a list of strings"),
        ({"without": ["b", ""]}, "give a text of one character or more"),
        ({"contains": "dab", "without": ["bb", "da"]}, "no word fits --contains dab and --without bb --without da$"),
        ({"without": [*"abdefxy"]}, r"no word fits .*--without d --without e --without f \(2 more\)$"),
    ],
)
def test_wrong_pieces_are_refused(models, options, says):
    with pytest.raises(InputError, match=says):
        models["ngram"].sample(5, **options)


@pytest.mark.parametrize("name", ["ngram", "mlp 12", "gru"])
def test_a_stream_gives_the_words_of_a_sample(models, name, monkeypatch):
    """Drawn in small lists, by every method."""
    model = models[name]
    cases: list[dict[str, Any]] = [
        {},
        {"prefix": "b", "avoid": ["ba", "bada"]},
        {"suffix": "da", "max_length": 4},
        {"contains": "da"},
        {"contains": "da", "distinct": True, "avoid": ["da"]},
        {"max_length": 4, "distinct": True, "temperature": 1.5},
    ]
    methods = set()
    for case in cases:
        whole = model.sample(90, seed=7, **case)
        with monkeypatch.context() as patch:
            patch.setattr(sampling, "WORDS_PER_DRAW", 16)
            drawing = model.stream(90, seed=7, **case)
            lists = list(drawing)
            assert [word for words in lists for word in words] == whole == model.sample(90, seed=7, **case)
        assert max(map(len, lists)) <= 90 if case.get("distinct") else max(map(len, lists)) <= 16
        assert (drawing.method, drawing.head) == (whole.method, whole.head)
        methods.add(whole.method)
    assert {"plain", "enumeration"} < methods


def test_a_stream_draws_no_more_than_is_read(models):
    """Its first words come before the last ones are drawn."""
    made = []
    drawing = models["ngram"].stream(10_000_000, on_progress=lambda found, _: made.append(found))
    first = next(iter(drawing))
    assert made == [len(first)]
    assert len(first) == sampling.WORDS_PER_DRAW
    assert first[:500] == models["ngram"].sample(500)


def test_texts_that_no_word_contains_may_be_any_iterable(saved_run):
    words = saved_run.model.sample(30, without=iter(["a", "dd"]))
    assert words == saved_run.model.sample(30, without=["a", "dd"])
    assert not [word for word in words if "a" in word or "dd" in word]
