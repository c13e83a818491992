"""Models with labels: what each is given a label, sums over labels, draws, and runs."""

import itertools
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words
from test_ngram import BruteForce

import moreish
from moreish import Corpus, InputError
from moreish.analysis.gradcheck import check_layers
from moreish.corpus import WordList
from moreish.engine.tape import Tape
from moreish.models import MODELS, NETS, NetConfig, make_config
from moreish.models.labels import sum_over_labels
from moreish.sampling import draw, sources

OPTIONS: dict[str, dict[str, Any]] = {
    "bigram-counts": {},
    "ngram": {"order": 4},
    "bigram": {"epochs": 30.0},
    "mlp": {"steps": 60, "n_hidden": 12, "n_embd": 5},
    "wavenet": {"steps": 30, "n_hidden": 8, "n_embd": 5, "block_size": 4},
    "wavenet-conv": {"steps": 30, "n_hidden": 8, "n_embd": 5, "block_size": 4},
    **{name: {"steps": 20, "n_hidden": 8, "n_embd": 5} for name in ("bow", "rnn", "gru", "lstm")},
    "transformer": {"steps": 20, "n_layer": 1, "n_head": 2, "n_embd": 8},
}
assert set(OPTIONS) == set(MODELS)
WITH_CONTEXT = [name for name, kind in NETS.items() if kind().context]
LABELS = ("few a", "many a", "no a")


def label_of(word: str) -> str:
    return "no a" if "a" not in word else "few a" if word.count("a") < len(word) / 2 else "many a"


@pytest.fixture(scope="module")
def words():
    listed = list(dict.fromkeys(made_up_words(500, alphabet="abcde")))
    return WordList.of(listed).with_labels(map(label_of, listed))


@pytest.fixture(scope="module")
def corpus(words):
    return Corpus(words)


@pytest.fixture(scope="module")
def runs(corpus):
    found = {name: moreish.train(corpus, name, **options) for name, options in OPTIONS.items()}
    found["mixture"] = moreish.mix([found["ngram"], found["mlp"]])
    return found


RUNS = (*OPTIONS, "mixture")


def probability(model: moreish.Model, word: str, label: int) -> float:
    """p(word | label), among all words but the empty one."""
    given = model.of_label(label)
    empty = math.exp(-given.nll(np.zeros(2, np.int32))[0])
    return math.exp(-sum(given.score(word).per_char)) / (1 - empty)


@pytest.mark.parametrize("name", WITH_CONTEXT)
def test_a_net_given_a_label_is_the_net_that_saw_the_label(runs, corpus, name):
    """The layers with a label in the last column give the logits of the net without labels."""
    model = runs[name].model
    contexts, _ = corpus.windows("val", model.config.context)
    tape = Tape(model.layers, model.columns, len(model.vocab))
    for label in range(3):
        labelled = np.column_stack([contexts, np.full(len(contexts), label)])
        np.testing.assert_allclose(
            model.of_label(label).engine.logits(model.of_label(label).params, contexts),
            tape.logits(model.params, labelled),
            rtol=1e-4,
            atol=1e-5,
        )


@pytest.mark.parametrize("name", WITH_CONTEXT)
def test_the_gradients_of_a_net_with_labels_are_right(name):
    """Against autograd and central differences. The label is one of as many as there are tokens."""
    small = {k: v for k, v in OPTIONS[name].items() if k not in ("steps", "epochs")}
    config, V = make_config(name, small), 7
    assert isinstance(config, NetConfig)
    assert config.context is not None
    checks = check_layers(config.layers(V, V), config.context + 1, V, n_places=3 if config.whole_words else 1)
    assert any("labelledembedding.D" in check.name for check in checks)
    assert all(check.ok for check in checks), [check for check in checks if not check.ok]


@pytest.mark.parametrize("engine", ["tape", "torch"])
def test_both_engines_train_labels_alike(words, engine):
    if engine == "torch":
        pytest.importorskip("torch")
    run = moreish.train(words, "mlp", steps=10, n_hidden=8, engine=engine)
    other = moreish.train(words, "mlp", steps=10, n_hidden=8)
    np.testing.assert_allclose(run.model.params, other.model.params, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("smoothing", ["fitted", "witten-bell", "additive"])
def test_every_probability_of_an_ngram_with_labels_is_that_of_brute_force(corpus, smoothing):
    order = 3
    model = moreish.train(corpus, "ngram", order=order, smoothing=smoothing, added=0.3).model
    fitted, alphabet = model.arrays.get("strengths"), "." + corpus.vocab.characters
    train = corpus.parts["train"]
    plain = moreish.train(Corpus(list(corpus.words), "distinct"), "ngram", order=order, smoothing=smoothing, added=0.3)
    everything = BruteForce(train, order, alphabet, smoothing, 0.3, plain.model.arrays.get("strengths"))
    by_order = [
        BruteForce(train, k, alphabet, smoothing, 0.3, None if fitted is None else plain.model.arrays["strengths"])
        for k in range(1, order + 1)
    ]
    w = {"additive": [1.0] * order}.get(smoothing, [0.9] * order if fitted is None else fitted[3])
    for label in range(3):
        own = [word for word, of in zip(train, corpus.labels("train"), strict=True) if of == label]
        counts = defaultdict(Counter)
        for word in own:
            text = "." * order + word + "."
            for i in range(order, len(text)):
                for k in range(order):
                    counts[text[i - k : i]][text[i]] += 1
        for context in ("...", "..a", ".ba", "eba", "cab", "ddd"):
            p = dict.fromkeys(alphabet, 1 / len(alphabet))
            for k in range(1, order + 1):
                h = context[len(context) - k + 1 :]
                seen = everything.counts[k].get(h)
                if smoothing == "additive" and k < order:
                    continue
                if seen is None:
                    break
                n = counts[h]
                N, t = n.total(), len(n)
                if smoothing == "additive":
                    kept, share = {c: n[c] / (N + 0.3 * len(p)) for c in p}, 0.3 * len(p) / (N + 0.3 * len(p))
                else:
                    a, b, d = (1.0, 0.0, 0.0) if fitted is None else fitted[:3, k - 1]
                    m = a * t + b
                    kept = {c: max(n[c] - d, 0) / (N + m) if N + m else 0.0 for c in p}
                    share = (m + d * t) / (N + m) if N + m else 1.0
                mixed = {
                    c: kept[c] + share * (w[k - 1] * p[c] + (1 - w[k - 1]) * by_order[k - 1].p(c, context))
                    for c in seen
                }
                left = (1 - sum(mixed.values())) / max(1 - sum(p[c] for c in seen), 1e-12)
                p = {c: mixed.get(c, left * p[c]) for c in p}
            found = model.of_label(label).next(context.strip("."))
            assert found == pytest.approx({c.strip("."): q for c, q in p.items()}, rel=1e-6)


def test_kneser_ney_with_labels_sums_to_one(words):
    model = moreish.train(words, "ngram", order=3, smoothing="kneser-ney").model
    for label, prefix in itertools.product(LABELS, ("", "a", "ba", "ebad", "ccccc")):
        assert sum(model.next(prefix, label=label).values()) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("name", RUNS)
def test_probabilities_given_a_label_sum_to_one_after_every_prefix(runs, name):
    model = runs[name].model
    for label, prefix in itertools.product(LABELS, ("", "a", "ba", "ebad", "ccccc")):
        assert sum(model.next(prefix, label=label).values()) == pytest.approx(1, rel=1e-5)
    assert sum(model.next("ba").values()) == pytest.approx(1, rel=1e-5)


@pytest.mark.parametrize("name", RUNS)
def test_scores_without_a_label_are_sums_over_labels(runs, name):
    """Of the whole word, and of every beginning of it."""
    model = runs[name].model
    shares = model.labels.shares
    assert shares.sum() == pytest.approx(1)
    for word in ("abed", "cece", "a"):
        given = np.array([np.cumsum(model.score(word, label=label).per_char) for label in LABELS])
        expected = -np.log((shares[:, None] * np.exp(-given)).sum(0))
        np.testing.assert_allclose(np.cumsum(model.score(word).per_char), expected, rtol=1e-5)
        after = model.next(word[:1])
        ratio = (shares * np.exp(-given[:, 1])).sum() / (shares * np.exp(-given[:, 0])).sum()
        assert after[word[1:2]] == pytest.approx(ratio, rel=1e-4)


@pytest.mark.parametrize("kind", ["linear", "log-linear"])
def test_mixtures_with_labels_predict_as_they_score(runs, corpus, kind):
    """The weights are fitted on the val words of all labels, each read given its label."""
    parts = [runs["ngram"], runs["mlp"]]
    mixed = moreish.mix(parts, kind)
    assert mixed.loss["val"] <= min(part.loss["val"] for part in parts) + 1e-4
    for label in corpus.label_names:
        word = corpus.words[3]
        per_char = mixed.model.score(word, label=label).per_char
        for k, char in enumerate([*word, ""]):
            p = mixed.model.next(word[:k], label=label)
            assert sum(p.values()) == pytest.approx(1, rel=1e-6)
            assert per_char[k] == pytest.approx(-math.log(p[char]), rel=1e-4, abs=1e-6)


def test_the_sum_over_labels_of_a_word_does_not_depend_on_its_place():
    generator, word, n = np.random.default_rng(4), np.array([3, 1, 2, 0]), 5000
    nlls, shares = np.tile(generator.uniform(0.1, 9, (3, 4)), n), np.array([0.2, 0.3, 0.5])
    found = sum_over_labels(nlls, shares, np.concatenate([[0], *[word] * n])).reshape(n, 4)
    assert (found == found[0]).all()


def test_the_sum_over_labels_begins_anew_with_each_word():
    nlls, shares = np.random.default_rng(1).exponential(size=(3, 5)), np.array([0.2, 0.5, 0.3])
    stream = np.array([0, 1, 2, 0, 3, 0], np.int32)
    found = sum_over_labels(nlls, shares, stream)
    for first, last in ((0, 3), (3, 5)):
        one = sum_over_labels(nlls[:, first:last], shares, np.append(0, stream[1 + first : 1 + last]))
        np.testing.assert_allclose(found[first:last], one)


CASES: dict[str, tuple[dict[str, Any], Callable[[str], bool]]] = {
    "free": ({}, lambda word: True),
    "prefix": ({"prefix": "b"}, lambda word: word[0] == "b"),
    "contains": ({"contains": "ba"}, lambda word: "ba" in word),
    "length": ({"max_length": 3}, lambda word: len(word) <= 3),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("method", ["enumeration", "dynamic programming", "rejection"])
@pytest.mark.parametrize("name", ["ngram", "bigram"])
def test_words_are_drawn_as_often_as_their_probability_says(runs, name, method, case, monkeypatch):
    """The label comes by its share and by how well it goes with the constraint, whichever way words are drawn."""
    monkeypatch.setattr(draw, "MAX_ENUMERATED", 1e9 if method == "enumeration" else 0)
    monkeypatch.setattr(sources, "estimated_steps", lambda *_: 1e99 * (method == "rejection"))
    constraint, fits = CASES[case]
    if method == "enumeration" and "max_length" not in constraint:
        constraint, fits = constraint | {"max_length": 4}, lambda word, fits=fits: fits(word) and len(word) <= 4
    model, n = runs[name].model, 20_000
    drawn = model.sample(n, seed=4, exact=True, **constraint)
    assert all(map(fits, drawn))
    short = [
        "".join(word)
        for k in range(1, 5)
        for word in itertools.product(model.vocab.characters, repeat=k)
        if fits("".join(word))
    ]
    p = {w: sum(s * probability(model, w, k) for k, s in enumerate(model.labels.shares)) for w in short[:900]}
    counts = Counter(word for word in drawn if word in p)
    frequent = sorted(p, key=p.get)[-20:]  # pyright: ignore[reportArgumentType, reportCallIssue]
    total, found = sum(p[word] for word in frequent), sum(counts[word] for word in frequent)
    assert found > 1000
    expected = np.array([found * p[word] / total for word in frequent])
    chi = (((np.array([counts[word] for word in frequent]) - expected) ** 2) / expected).sum()
    assert (chi - 19) / math.sqrt(38) < 4


def test_more_words_do_not_change_the_first_ones(runs):
    model = runs["mlp"].model
    assert model.sample(50, seed=3)[:9] == model.sample(9, seed=3)
    assert [word for some in model.stream(50, seed=3) for word in some] == model.sample(50, seed=3)


@pytest.mark.parametrize("name", ["ngram", "mlp", "mixture"])
def test_the_most_likely_words_are_those_with_the_highest_sums(runs, name, monkeypatch):
    model = runs[name].model
    words = ["".join(letters) for k in range(1, 5) for letters in itertools.product(model.vocab.characters, repeat=k)]
    p = {w: sum(s * probability(model, w, k) for k, s in enumerate(model.labels.shares)) for w in words}
    best = sorted(p, key=p.get, reverse=True)[:5]  # pyright: ignore[reportArgumentType, reportCallIssue]
    for most in (0, 1e9):
        monkeypatch.setattr("moreish.sampling.ranking.MAX_ENUMERATED", most)
        found = model.most_likely(5, max_length=4)
        assert found.proven
        assert [candidate.word for candidate in found] == best
        assert [candidate.probability for candidate in found] == pytest.approx([p[word] for word in best], rel=1e-4)


@pytest.mark.parametrize("name", ["ngram", "mlp"])
def test_a_label_changes_what_is_drawn(words, name):
    model = moreish.train(words, name).model
    shares = {label: np.mean(["a" in word for word in model.sample(500, label=label)]) for label in LABELS}
    assert shares["no a"] < 0.3 < 0.7 < shares["many a"]


@pytest.mark.parametrize("name", ["mlp", "wavenet-conv"])
def test_a_stopped_training_with_labels_goes_on_as_if_it_had_not_stopped(words, tmp_path, name):
    options = {"steps": 40, "n_hidden": 8, **({"block_size": 4} if name == "wavenet-conv" else {})}
    whole = moreish.train(words, name, **options)  # pyright: ignore[reportArgumentType]

    def stop(progress):
        if progress.step >= 20:
            raise RuntimeError

    with pytest.raises(RuntimeError):
        moreish.train(words, name, out=tmp_path / "run", on_progress=stop, **options)  # pyright: ignore[reportArgumentType]
    resumed = moreish.resume(tmp_path / "run")
    assert resumed.loss == whole.loss
    np.testing.assert_array_equal(resumed.model.params, whole.model.params)


def test_full_batches_have_the_label_in_their_contexts(words):
    run = moreish.train(words, "mlp", full_batch=True, n_hidden=10, epochs=60)
    plain = moreish.train(list(words), "mlp", split="distinct", full_batch=True, n_hidden=10, epochs=60)
    assert run.loss["train"] < plain.loss["train"]


def test_a_label_without_train_words_has_a_small_share_and_can_be_drawn():
    words = made_up_words(40)
    corpus = Corpus(WordList.of(words).with_labels(["x"] * 40))
    rare = next(word for word in corpus.parts["val"] if word not in set(corpus.parts["train"]))
    labels = ["rare" if word == rare else "x" for word in words]
    model = moreish.train(words, "ngram", labels=labels).model
    assert 0 < model.labels.shares[0] < 0.05  # pyright: ignore[reportOptionalMemberAccess]
    assert len(model.sample(5, label="rare")) == 5


def test_wrong_labels_are_refused_in_one_line(runs, words):
    model = runs["mlp"].model
    for call in (model.sample, lambda n, label: model.score("a", label=label), model.most_likely):
        with pytest.raises(InputError, match=r"unknown label no b; did you mean no a\?"):
            call(3, label="no b")
    with pytest.raises(InputError, match="this mlp has no labels: train one with --labels"):
        moreish.train(list(words), "mlp", steps=2).model.sample(3, label="no a")
    for labels, problem in (
        (["x"] * 3, "3 labels for"),
        ([""] * len(words), "label 1 is '': a label needs a character"),
        (["x", None] * (len(words) // 2), "label 2 is None"),
        (["x", float("nan")] * (len(words) // 2), "label 2 is nan"),
        (["x", "a\tb"] * (len(words) // 2), r"label 2 is 'a\\tb'"),
        ("x" * len(words), "labels are a str"),
        (map(str, range(len(words))), None),
    ):
        if problem:
            with pytest.raises(InputError, match=problem):
                words.with_labels(labels)
    with pytest.raises(InputError, match="1,001 different labels"):
        WordList.of(f"w{i}" for i in range(1001)).with_labels(range(1001))
