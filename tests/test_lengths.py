"""Words whose lengths have a wished distribution, compared with all short words listed one by one."""

import json
import pickle
from collections import Counter, defaultdict
from itertools import permutations
from typing import Any

import numpy as np
import pytest
from small_models import MODELS, WORDS, written_out
from test_lookahead import distance, looking_ahead

import moreish
from moreish import InputError
from moreish.cli import run
from moreish.corpus.wordlist import WordList
from moreish.sampling import draw as sampling
from moreish.sampling import lengths as by_length
from moreish.sampling import sources

WISH: dict[int, float] = {2: 1, 3: 4, 4: 10}
PATTERN = "[ad]*"
N = 6000


def fits(word: str) -> bool:
    return word[0] in "ad" and len(word) < 5


def wished(p: dict[str, float], wish: dict[int, float]) -> dict[str, float]:
    """Return the probability of each word if its length is drawn first, among those wished that some word has."""
    of_length = defaultdict[int, float](float)
    for word, q in p.items():
        of_length[len(word)] += q
    possible = {length: x / sum(wish[k] for k in wish if of_length[k]) for length, x in wish.items()}
    return {word: q / of_length[len(word)] * possible.get(len(word), 0.0) for word, q in p.items()}


def assert_drawn_from(drawn: list[str], p: dict[str, float], most: float = 1.4) -> None:
    """Compare words and their lengths with probabilities: the distance, and chi-square of the lengths."""
    found, expected = distance(drawn, {word: q for word, q in p.items() if q})
    assert found < most * expected
    shares, counts = defaultdict[int, float](float), Counter(map(len, drawn))
    for word, q in p.items():
        shares[len(word)] += q
    chi_square = sum((counts[k] - len(drawn) * q) ** 2 / (len(drawn) * q) for k, q in shares.items() if q)
    assert chi_square < 25, counts


@pytest.mark.parametrize("name", MODELS)
def test_lengths_are_wished_and_words_of_one_length_are_the_models(models, name, monkeypatch):
    monkeypatch.setattr(sampling, "MAX_ENUMERATED", 0)
    p = wished(written_out(models[name], fits), WISH)
    drawn = models[name].sample(N, lengths=WISH, exact=True, tries=1 << 40, pattern=PATTERN)
    assert_drawn_from(drawn, p)
    free = models[name].sample(N, pattern=PATTERN, max_length=4)
    far, near = distance([word for word in free if len(word) in WISH], {word: q for word, q in p.items() if q})
    assert far > 3 * near  # the comparison can fail


@pytest.mark.parametrize("options", [{}, {"temperature": 0.5}, {"top_k": 3}, {"prefer": {"ba": 3}}], ids=str)
def test_what_else_is_asked_for_holds_within_a_length(models, options):
    plain = {name: value for name, value in options.items() if name != "prefer"}
    p = written_out(models["gru"], fits, **plain)
    p = {word: q * (3 if "prefer" in options and "ba" in word else 1) for word, q in p.items()}
    drawn = models["gru"].sample(N, lengths="2-4:1", pattern=PATTERN, max_length=4, **options)
    assert drawn.method == "enumeration"
    assert_drawn_from(drawn, wished(p, dict.fromkeys(range(2, 5), 1)))


def test_looking_ahead_gives_wished_lengths_too(models, monkeypatch):
    looking_ahead(monkeypatch)
    monkeypatch.setattr(sampling, "PROBES", 1)
    monkeypatch.setattr(by_length, "MORE_WORDS", 0)
    drawn: list[str] = []
    for seed in range(200):
        words = models["mlp 12"].sample(10, seed=seed, lengths=WISH, pattern=PATTERN)
        assert "look-ahead" in words.method
        assert 0 < words.effective < 1
        assert 0 < words.share < 1
        drawn += words
    p = wished(written_out(models["mlp 12"], fits), WISH)
    assert_drawn_from(drawn, p, most=1.6)


def test_several_methods_are_named(models, monkeypatch):
    monkeypatch.setattr(sampling, "MAX_ENUMERATED", 10)
    monkeypatch.setattr(sources, "estimated_steps", lambda *_: 1e300)
    words = models["mlp 12"].sample(500, lengths="1:50,2:1")
    assert words.method == "rejection and enumeration"
    assert words.effective is None
    assert words.tried > 1400
    assert set(map(len, words)) == {1, 2}


def test_lengths_that_do_not_fit_are_left_out(models):
    words = models["ngram"].sample(300, lengths="1-3,9", prefix="ab", max_length=6)
    assert set(map(len, words)) == {2, 3}
    with pytest.raises(InputError, match=r"other constraints has 1,7-9 characters \(--lengths\)"):
        models["ngram"].sample(3, lengths="1,7-9", prefix="ab", max_length=6)
    with pytest.raises(InputError, match="no word fits --max-length 1 and --prefix ab"):
        models["ngram"].sample(3, lengths="1-3", prefix="ab", max_length=1)


def test_words_to_avoid_and_distinct_words(models):
    model, avoided = models["mlp 2"], WORDS[3:6]  # three of the nine words of two letters
    words = model.sample(25, lengths="2:1,3:5", avoid=avoided, distinct=True, max_length=3)
    assert len(set(words)) == 25
    assert not set(avoided) & set(words)
    with pytest.raises(InputError, match=r"of 2 characters \(--lengths\), \d+ of them: the model can generate 9 words"):
        model.sample(30, lengths="2:9,3:1", avoid=avoided, distinct=True)


@pytest.mark.parametrize("more", [-1, 0, 400])
def test_distinct_words_come_as_if_draws_were_repeated(models, monkeypatch, more):
    """Draws of all lengths together, and of one length after the other."""
    monkeypatch.setattr(by_length, "MORE_WORDS", more)
    p = wished(written_out(models["bigram-counts"], lambda word: len(word) < 4), {2: 1})
    p = {word: q for word, q in p.items() if q}
    pairs = defaultdict[frozenset[str], float](float)
    for first, second in permutations(p, 2):
        pairs[frozenset((first, second))] += p[first] * p[second] / (1 - p[first])
    drawn = [
        frozenset(models["bigram-counts"].sample(2, seed=seed, lengths="2:1e9,3:1e-9", distinct=True, max_length=3))
        for seed in range(1500)
    ]
    found, expected = distance(drawn, pairs)  # pyright: ignore[reportArgumentType]
    assert found < 1.4 * expected


def test_the_same_seed_gives_the_same_words_in_streams_of_any_chunks(models, monkeypatch):
    options: dict[str, Any] = {"lengths": WISH, "pattern": PATTERN}
    assert models["gru"].sample(50, **options) == models["gru"].sample(50, **options)
    assert models["gru"].sample(50, **options) != models["gru"].sample(50, seed=1, **options)
    assert models["gru"].sample(0, **options) == []
    monkeypatch.setattr(by_length, "WORDS_PER_DRAW", 500)
    chunks = list(models["gru"].stream(N, **options))
    assert [len(words) for words in chunks] == [500] * (N // 500)
    assert_drawn_from([word for words in chunks for word in words], wished(written_out(models["gru"], fits), WISH))
    monkeypatch.setattr(by_length, "WORDS_PER_DRAW", 5)
    words = models["gru"].sample(60, lengths="4-5", distinct=True)
    assert len(set(words)) == 60


@pytest.fixture(scope="module")
def labelled() -> moreish.Run:
    generator, listed = np.random.default_rng(5), dict[str, float]()
    for word in WORDS[3:]:
        listed[word] = float(generator.integers(1, 40))
    words = WordList.of(listed)
    return moreish.train(words.with_labels(["short" if len(word) < 4 else "long" for word in listed]), "ngram", order=3)


@pytest.mark.parametrize("label", [None, "short", "long"])
def test_the_lengths_of_the_list_are_counted_by_weight_and_label(labelled, label):
    train, weights = labelled.corpus.parts["train"], labelled.corpus.weights("train")
    counts = defaultdict[int, float](float)
    for word, weight in zip(train, weights.tolist(), strict=True):
        if label is None or label == ("short" if len(word) < 4 else "long"):
            counts[len(word)] += weight
    drawn = labelled.model.sample(N, lengths="list", label=label)
    found = Counter(map(len, drawn))
    assert set(found) == set(counts)
    total = sum(counts.values())
    assert sum((found[k] - N * x / total) ** 2 / (N * x / total) for k, x in counts.items()) < 25
    with pytest.raises(InputError, match="label"):
        labelled.model.sample(3, lengths="list", label="middle")


def test_labels_are_drawn_as_often_as_they_go_with_a_length(labelled):
    parts = [written_out(labelled.model.given(name), lambda word: len(word) in WISH) for name in ("long", "short")]
    shares = [labelled.model.labels.shares[labelled.model.labels.number(name)] for name in ("long", "short")]
    p = defaultdict[str, float](float)
    for part, share in zip(parts, shares, strict=True):
        for word, q in part.items():
            p[word] += q * share
    assert_drawn_from(labelled.model.sample(N, lengths=WISH), wished(p, WISH))


@pytest.mark.parametrize(
    ("lengths", "says"),
    [
        ("long", "'long' is no length: give 4, 4-8 or 4:2"),
        ("4,", "'' is no length"),
        ("4:", "'4:' is no length"),
        ("0-3", "'0-3' must be lengths from 1 to 10,000"),
        ("5-4", "'5-4' must be lengths from 1"),
        ("10001", "must be lengths from 1"),
        ("4:0", "after the colon of '4:0' must be a number above 0"),
        ("4:x", "after the colon of '4:x' must be a number"),
        ("4:nan", "after the colon"),
        ({4: -1}, "after the colon of '4:-1'"),
        ({4.5: 1}, "'4.5:1' is no length"),
        ("4-6,5:2", "has the length 5 twice"),
        (4, "--lengths is 4: it must be 'list'"),
        ({0: 1, 4: 1}, "must be lengths from 1"),
    ],
    ids=str,
)
def test_wishes_that_mean_nothing_are_refused(models, lengths, says):
    with pytest.raises(InputError) as error:
        models["ngram"].sample(3, lengths=lengths)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_text_and_mapping_mean_the_same(models):
    by_text = models["ngram"].sample(50, lengths=" 2-3:1, 5:0.5")
    assert by_text == models["ngram"].sample(50, lengths={2: 1, np.int64(3): np.float64(1), 5: 0.5})


def test_a_model_without_a_list_has_no_lengths_of_one(models):
    model = pickle.loads(pickle.dumps(models["bigram-counts"]))
    with pytest.raises(InputError, match="knows no list: give lengths"):
        model.sample(3, lengths="list")
    assert set(map(len, model.sample(9, lengths="4"))) == {4}


def test_the_command_draws_wished_lengths(saved_run, capsys):
    assert run(["sample", str(saved_run.path), "--lengths", "3:1,6:1", "-n", "40", "--only-new"]) == 0
    words = capsys.readouterr().out.split()
    assert set(map(len, words)) == {3, 6}
    assert not set(words) & set(saved_run.corpus.words)
    assert run(["sample", str(saved_run.path), "--lengths", "list", "-n", "40", "--json"]) == 0
    found = [len(at["word"]) for at in json.loads(capsys.readouterr().out)["samples"]]
    assert set(found) <= {len(word) for word in saved_run.corpus.parts["train"]}
    for command in (["sample", "RUN", "--most-likely"], ["fill", "RUN", "a_"], ["vary", "RUN", "abba"]):
        assert run([str(saved_run.path) if word == "RUN" else word for word in command] + ["--lengths", "4"]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert "--lengths" in line


def test_the_server_draws_wished_lengths(client):
    answer = client.post("/sample", json={"lengths": "3:1,6:1", "n": 40})
    assert {len(at["word"]) for at in answer.json()["samples"]} == {3, 6}
