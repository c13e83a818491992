"""Views of a training on a page of the lab: words, pairs, embeddings, layers."""

import dataclasses
import json
import math
from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words

from moreish import Corpus, InputError, WordList
from moreish.analysis.embedding import principal, turned
from moreish.analysis.pairs import expected_pairs, frequent, pair_counts
from moreish.engine.statistics import record
from moreish.lab.snapshot import Bench, Snapshot
from moreish.lab.views import answer
from moreish.models import MODELS, CountConfig
from moreish.training.fit import count, first_state
from moreish.training.loop import Loop
from moreish.training.prepare import Task, engine_of, prepare

SMALL = {"steps": 40, "batch_size": 16}
WORDS = ["anna", "hannah", "nan", "ana", "dana", "hand", "ann", "and", "had", "dad", "add", "nada"]


class Trained:
    """A training, and a snapshot of it after any step."""

    def __init__(self, words: Any, model: str = "mlp", **options: Any):
        self.task: Task = prepare(words, model, options)
        self.counted = self.task.batches is None
        self.run = count(self.task) if self.counted else self.task.start()
        self.bench = Bench(self.run, self.task)
        if not self.counted:
            self.loop = Loop(self.run, first_state(self.run), self.task.need_steps(), engine_of(self.run))
            self.loop.stretch, self.steps = 1, iter(self.loop)

    def after(self, step: int = 0) -> Snapshot:
        if self.counted:
            return Snapshot(1, 0, 0, self.run, None, self.task, self.bench)
        while self.loop.state.step < step:
            next(self.steps)
        model = self.run.model.with_params(self.run.model.params.copy())
        run = dataclasses.replace(self.run, model=model, history=list(self.run.history))
        return Snapshot(1, step, step, run, self.loop.state.moments.copy(), self.task, self.bench)


def mlp(**options: Any) -> Trained:
    small = {"n_embd": 3, "n_hidden": 8, "block_size": 3}
    return Trained(Corpus(made_up_words(200)), "mlp", **{**small, **SMALL, **options})


def brute_pairs(words, weights=None) -> Counter:
    counts: Counter = Counter()
    for word, weight in zip(words, weights if weights is not None else [1] * len(words), strict=True):
        for pair in pairwise(["", *word, ""]):
            counts[pair] += weight
    return counts


def expected_by_hand(model, words, characters) -> dict:
    """Mean probability of each character after each, one place of the words at a time."""
    sums: dict = {a: Counter() for a in characters}
    for word in words:
        for n in range(len(word) + 1):
            before = word[n - 1] if n else ""
            sums[before].update(model.next(word[:n]))
    return {a: {b: total[b] / sum(total.values()) for b in characters} for a, total in sums.items()}


# Words


def test_words_are_those_of_the_model_for_the_same_seed():
    trained = Trained(Corpus(WORDS), "ngram")
    model, corpus = trained.run.model, trained.run.corpus
    shown = answer(trained.after(), "words", {"n": 20, "seed": 5})["words"]
    drawn = list(model.sample(20, seed=5))
    assert shown == [{"word": word, "mark": corpus.mark(word)} for word in drawn]
    assert {"new", "train"} <= {row["mark"] for row in shown}
    other = answer(trained.after(), "words", {"n": 20, "seed": 6})["words"]
    assert [row["word"] for row in other] != drawn


def test_a_net_that_never_ends_a_word_has_it_cut_off():
    trained = mlp()
    trained.run.model.weights["4.linear.b"][0] = -50
    shown = answer(trained.after(), "words", {"n": 3})["words"]
    assert [(len(row["word"]), row["mark"]) for row in shown] == [(50, "cut")] * 3
    assert answer(trained.after(), "pair", {"before": shown[0]["word"][-1], "after": ""})["drawn"] == []


def test_labels_are_drawn_by_their_shares(small_labelled):
    corpus, labels, weights = small_labelled
    trained = Trained(corpus, "ngram", order=3)
    shown = answer(trained.after(), "words", {"n": 100})["words"]
    share = sum(w for label, w in zip(labels, weights, strict=True) if label == "x") / sum(weights)
    assert sum(row["label"] == "x" for row in shown) / 100 == pytest.approx(share, abs=0.15)
    model = trained.run.model
    for row in shown[:5]:
        assert math.isfinite(model.score(row["word"], label=row["label"]).nll)


# Pairs


def test_the_pairs_of_the_list_are_counted():
    shown = answer(mlp().after(), "pairs", {})
    words = Corpus(made_up_words(200)).parts["train"]
    counts, characters = brute_pairs(words), shown["characters"]
    assert shown["counts"] == [[counts[a, b] for b in characters] for a in characters]
    letters = Counter("".join(words))
    assert characters == ["", *sorted(letters, key=lambda c: (-letters[c], c))]
    for row, a in zip(shown["list"], characters, strict=True):
        total = sum(n for (first, _), n in counts.items() if first == a)
        assert row == pytest.approx([counts[a, b] / total for b in characters], abs=6e-5)


def test_of_many_characters_the_rows_still_sum_over_all():
    stream = np.array([0, 1, 2, 0, 3, 2, 0, 1, 3, 2, 0], np.int32)
    counts = pair_counts(stream, np.array([0, 2]), 4)
    assert counts.tolist() == [[0, 0, 3], [3, 0, 0]]
    weighted = pair_counts(stream, np.array([0, 2]), 4, np.array([0.5, 2.0, 4.0]))
    assert weighted.tolist() == [[0, 0, 6.5], [6.5, 0, 0]]


@pytest.mark.parametrize("name", ["mlp", "gru", "transformer", "ngram"])
def test_what_a_model_expects_is_its_mean_probability_at_the_places_of_the_list(name):
    trained = Trained(Corpus(WORDS), name, **({} if name == "ngram" else {"steps": 3}))
    shown, words = answer(trained.after(0 if name == "ngram" else 3), "pairs", {}), Corpus(WORDS).parts["train"]
    characters = shown["characters"]
    by_hand = expected_by_hand(trained.run.model, list(words), characters)
    assert (shown["read"], shown["words"]) == (len(words), len(words))
    for row, a in zip(shown["model"], characters, strict=True):
        assert row == pytest.approx([by_hand[a][b] for b in characters], abs=6e-5)


def test_words_are_read_given_their_labels_and_count_by_their_weights(small_labelled):
    corpus, labels, weights = small_labelled
    trained = Trained(corpus, "ngram", order=3)
    words = list(corpus.parts["train"])
    tokens = frequent(corpus, 30)
    found, n = expected_pairs(trained.run.model, corpus, tokens, 10**6)
    characters = ["" if t == 0 else corpus.vocab.characters[t - 1] for t in tokens]
    sums: dict = {a: Counter() for a in characters}
    for word, label, weight in zip(words, labels, weights, strict=True):
        for k in range(len(word) + 1):
            for b, p in trained.run.model.next(word[:k], label=label).items():
                sums[word[k - 1] if k else ""][b] += weight * p
    assert n == len(words)
    for row, a in zip(found, characters, strict=True):
        assert row == pytest.approx([sums[a][b] / sum(sums[a].values()) for b in characters], rel=1e-9)


@pytest.fixture
def small_labelled():
    """A corpus with labels and weights, and those of its train words."""
    words = made_up_words(120)
    listed = WordList.of(words).with_weights([1.0 + 3 * (i % 4) for i in range(120)])
    corpus = Corpus(listed.with_labels(["xy"[i % 2] for i in range(120)]))
    labels = [corpus.label_names[i] for i in corpus.labels("train")]
    return corpus, labels, corpus.weights("train")


def test_a_part_of_a_large_list_is_read():
    trained = Trained(Corpus(made_up_words(400)), "bigram-counts")
    corpus = trained.run.corpus
    tokens = frequent(corpus, 30)
    some, n = expected_pairs(trained.run.model, corpus, tokens, 200)
    all_of_them, _ = expected_pairs(trained.run.model, corpus, tokens, 10**6)
    assert 0 < n < 100
    # Counts of pairs expect the same after a character wherever it is.
    seen = np.isfinite(some).all(1)
    assert seen.sum() > 5
    assert some[seen] == pytest.approx(all_of_them[seen], rel=1e-9)


@pytest.mark.parametrize(("before", "after"), [("a", "n"), ("", "h"), ("a", ""), ("h", "h")])
def test_a_cell_shows_the_words_behind_it(before, after):
    trained = Trained(Corpus(WORDS), "bigram-counts")
    shown = answer(trained.after(), "pair", {"before": before, "after": after})
    train = list(Corpus(WORDS).parts["train"])
    having = [word for word in train if (before, after) in pairwise(["", *word, ""])]
    assert (shown["words"], shown["of"]) == (having, len(having))
    assert shown["times"] == brute_pairs(train)[before, after]
    assert all((before, after) in pairwise(["", *word, ""]) for word in shown["drawn"])
    assert bool(shown["drawn"]) == bool(having) or before == "h"


def test_a_pair_of_unknown_characters_is_one_clear_line():
    with pytest.raises(InputError, match="'q' is not in the word list"):
        answer(Trained(Corpus(WORDS), "bigram-counts").after(), "pair", {"before": "q", "after": "a"})
    with pytest.raises(InputError, match="at most 1 character"):
        answer(Trained(Corpus(WORDS), "bigram-counts").after(), "pair", {"before": "an", "after": "a"})


# Embeddings


def distances(at: Any) -> np.ndarray:
    at = np.array(at)
    return np.linalg.norm(at[:, None] - at, axis=2)


def test_the_map_keeps_its_distances_when_it_is_turned():
    trained = mlp(n_embd=6)
    first = answer(trained.after(), "embedding", {})
    snapshot = trained.after(30)
    second = answer(snapshot, "embedding", {})
    tokens = [0, *snapshot.run.model.vocab.encode("".join(second["characters"]))]
    plane, shares = principal(snapshot.run.model.weights["0.embedding.C"].astype(np.float64)[tokens])
    assert distances(second["at"]) == pytest.approx(distances(plane), abs=1e-3)
    assert second["share"] == pytest.approx(shares.sum())
    assert second["kinds"][0] == "end"
    # No rotation and no reflection brings it nearer to the first map.
    own = np.sum((np.array(second["at"]) - first["at"]) ** 2)
    for angle in np.linspace(0, 2 * np.pi, 50):
        turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        for mirror in (1, -1):
            other = np.array(second["at"]) @ turn * [1, mirror]
            assert np.sum((other - first["at"]) ** 2) >= own * 0.999


def test_turning_undoes_a_rotation_and_a_reflection():
    at = np.random.default_rng(3).normal(size=(20, 2))
    turn = np.array([[0.6, -0.8], [0.8, 0.6]]) @ np.diag([1.0, -1.0])
    assert turned(at @ turn, at) == pytest.approx(at)


def test_two_numbers_are_the_map():
    snapshot = mlp(n_embd=2).after(5)
    shown, C = answer(snapshot, "embedding", {}), snapshot.run.model.weights["0.embedding.C"]
    tokens = [0, *snapshot.run.model.vocab.encode("".join(shown["characters"]))]
    assert np.array(shown["at"]) == pytest.approx(C[tokens], abs=6e-5)
    assert (shown["dimensions"], shown["share"]) == (2, 1)


# Layers


@pytest.mark.parametrize("name", ["mlp", "gru"])
def test_layers_have_the_statistics_of_their_trace(name):
    trained = Trained(Corpus(made_up_words(200)), name, **SMALL)
    snapshot = trained.after(7)
    shown = answer(snapshot, "layers", {})
    trace = trained.bench.tracer(snapshot.run.model.params, 0)
    assert shown["loss"] == trace.loss
    for row, expected, layer in zip(shown["layers"], record(trace)["layers"], trace.layers, strict=True):
        assert {name: row[name] for name in expected} == expected
        limit, shares = row["output"]["limit"], row["output"]["shares"]
        edges = np.linspace(-limit, limit, len(shares) + 1)
        edges[0], edges[-1] = -np.inf, np.inf
        counts = np.histogram(layer.output, edges)[0]
        assert shares == pytest.approx(counts / counts.sum(), abs=2e-3)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_the_update_is_that_of_the_next_step(optimizer):
    trained = mlp(optimizer=optimizer, lr=0.05)
    before = trained.after(6)
    shown = answer(before, "layers", {})
    params = before.run.model.params.copy()
    after = trained.after(7)
    assert before.run.model.params.tolist() == params.tolist(), "the next step was made on a copy"
    of_before, of_after = before.run.model.weights, after.run.model.weights
    assert [row["name"] for row in shown["weights"]] == ["0.embedding.C", "2.linear.W", "4.linear.W"]
    for row in shown["weights"]:
        old, new = of_before[row["name"]].astype(np.float64), of_after[row["name"]].astype(np.float64)
        assert row["ratio"] == pytest.approx((new - old).std() / old.std(), rel=6e-3)
        assert row["before"] == [row["ratio"]]


def test_looking_changes_nothing_of_the_training():
    seen, unseen = mlp(), mlp()
    for step in range(1, 12):
        snapshot = seen.after(step)
        for view in ("words", "pairs", "embedding", "layers"):
            answer(snapshot, view, {})
    assert seen.after(20).run.model.params.tolist() == unseen.after(20).run.model.params.tolist()


def test_the_points_of_a_long_training_are_bounded():
    trained = mlp(steps=400)
    for step in range(299):
        answer(trained.after(step), "layers", {})
    shown = answer(trained.after(299), "layers", {})
    steps = shown["steps"]
    assert (steps[0], steps[-1]) == (1, 300)
    assert 60 <= len(steps) <= 120
    assert steps == sorted(set(steps))
    assert all(len(row["before"]) == len(steps) for row in shown["weights"])


def test_a_bad_start_is_named_at_once():
    shown = answer(mlp(init="naive", n_hidden=40).after(), "layers", {})
    assert {"first loss", "saturation"} <= {verdict["trouble"] for verdict in shown["verdicts"]}
    assert not shown["judged"]
    assert answer(mlp().after(), "layers", {})["verdicts"] == []


def test_a_rate_too_low_is_named_once_there_are_enough_points():
    trained = mlp(lr=1e-7)
    for step in range(6):
        shown = answer(trained.after(step), "layers", {})
        assert [verdict["trouble"] for verdict in shown["verdicts"]] == ["rate too low"] * shown["judged"]
        assert shown["judged"] == (step >= 2)


def test_the_image_shows_what_is_saturated():
    trained = mlp(init="naive", n_hidden=40)
    snapshot = trained.after()
    image = np.array(answer(snapshot, "layers", {"image": "3.tanh"})["image"])
    saturated = trained.bench.tracer(snapshot.run.model.params, 0).layers[-2].saturated
    assert saturated is not None
    assert image.shape == (64, 40)
    rows = np.linspace(0, len(saturated) - 1, 64).astype(int)
    assert image.tolist() == saturated[rows].tolist()
    assert 0 < image.mean() < 1
    with pytest.raises(InputError, match="linear: no layer of this name saturates"):
        answer(snapshot, "layers", {"image": "2.linear"})


# Architecture


def test_the_list_of_layers_has_shapes_formulas_and_all_parameters():
    snapshot = mlp().after()
    shown = answer(snapshot, "architecture", {})
    model = snapshot.run.model
    V = len(model.vocab)
    assert [(row["kind"], row["shape"]) for row in shown["layers"]] == [
        ("Embedding", (3, 3)),
        ("FlattenConsecutive", (9,)),
        ("Linear", (8,)),
        ("Tanh", (8,)),
        ("Linear", (V,)),
    ]
    assert sum(row["n"] for row in shown["layers"]) == shown["parameters"] == model.n_parameters
    assert shown["layers"][2]["formula"].startswith("y = x W + b")
    assert shown["layers"][3]["formula"].startswith("y = tanh(x)")


def test_the_layers_of_a_residual_are_inside_it():
    shown = answer(Trained(Corpus(WORDS), "transformer", n_layer=2, steps=1).after(), "architecture", {})
    depths = [(row["kind"], row["depth"]) for row in shown["layers"]]
    assert ("CausalSelfAttention", 1) in depths
    assert ("Residual", 0) in depths
    assert depths.index(("CausalSelfAttention", 1)) < depths.index(("Residual", 0))


def test_the_contexts_of_counts_are_those_of_the_list():
    trained = Trained(Corpus(WORDS), "ngram", order=4)
    shown = answer(trained.after(), "architecture", {})
    words = ["\0\0\0" + word for word in Corpus(WORDS).parts["train"]]
    contexts = {(word[:i] + "\0")[-1 - n : -1] for word in words for i in range(3, len(word) + 1) for n in range(4)}
    of_length = Counter(map(len, contexts))
    assert shown["contexts"] == [of_length[n] for n in range(4)]
    assert ["order", "4"] in shown["rows"]


@pytest.mark.parametrize("name", MODELS)
def test_every_view_of_every_model_is_an_answer_or_one_line(name):
    counted = issubclass(MODELS[name], CountConfig)
    trained = Trained(Corpus(made_up_words(100)), name, **({} if counted else {"steps": 2, "batch_size": 8}))
    snapshot = trained.after(0 if counted else 1)
    for view in ("words", "pairs", "embedding", "layers", "architecture"):
        if counted and view in ("embedding", "layers"):
            with pytest.raises(InputError, match="^[^\n]* has no layers: train a net[^\n]*$"):
                answer(snapshot, view, {})
        else:
            json.dumps(answer(snapshot, view, {}), allow_nan=False)


@pytest.mark.parametrize("weight", [np.nan, np.inf, -1e20])
def test_weights_that_are_too_large_are_one_clear_line_and_leave_the_statistics(weight):
    trained = mlp()
    trained.run.model.params[:] = weight
    snapshot = trained.after()
    for view in ("words", "pairs", "embedding"):
        with pytest.raises(InputError, match="weights are too large to compute with: start anew with a lower --lr"):
            answer(snapshot, view, {})
    shown = answer(snapshot, "layers", {})
    json.dumps(shown, allow_nan=False)
    assert math.isfinite(weight) or (shown["loss"], shown["steps"]) == (None, [])
