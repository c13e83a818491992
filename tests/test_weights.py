"""Lists with weights: the split, the counts, the batches, the losses and the run folder."""

import json
import math
from typing import Any

import numpy as np
import pytest
from conftest import made_up_words

import moreish
from moreish import Corpus, InputError
from moreish.corpus import WordList
from moreish.corpus.stream import Words, per_token
from moreish.engine.batches import Batches, distinct_windows, example
from moreish.engine.threads import get_threads
from moreish.models import MODELS
from moreish.ngram import PADDED, SMOOTHINGS, count_tables, smoothed
from moreish.ngram.labels import recounted

OPTIONS: dict[str, dict[str, Any]] = {
    "bigram-counts": {},
    "ngram": {"order": 4},
    "bigram": {"epochs": 20.0},
    "mlp": {"steps": 30, "n_hidden": 12},
    "wavenet": {"steps": 20, "n_hidden": 8, "block_size": 4},
    "wavenet-conv": {"steps": 20, "n_hidden": 8, "block_size": 4},
    **{name: {"steps": 60, "n_hidden": 8} for name in ("bow", "rnn", "gru", "lstm")},
    "transformer": {"steps": 60, "n_layer": 1, "n_head": 2, "n_embd": 8},
}
assert set(OPTIONS) == set(MODELS)


@pytest.fixture(scope="module")
def different():
    """Words without repeats."""
    return list(dict.fromkeys(made_up_words(500, alphabet="abcdefghik")))


@pytest.fixture(scope="module")
def weights(different):
    return np.random.default_rng(3).integers(1, 9, len(different)).astype(float)


@pytest.fixture(scope="module")
def weighted(different, weights):
    return Corpus(WordList.of(different).with_weights(weights))


def test_words_without_repeats_are_split_as_in_the_lecture(different, weighted):
    plain = Corpus(different)
    assert all(list(weighted.parts[part]) == list(plain.parts[part]) for part in plain.parts)
    of_words = dict(zip(different, weighted.words.weights, strict=True))
    for part, words in weighted.parts.items():
        assert weighted.weights(part).tolist() == [of_words[word] for word in words]


def test_all_lines_of_a_word_are_in_one_part():
    words = made_up_words(400, alphabet="abcd")
    labels = ["xyz"[i % 3] for i in range(len(words))]
    lines = sorted(zip(words, labels, strict=True))
    corpus = Corpus(WordList.of(words).with_labels(labels))
    parts = {part: set(words) for part, words in corpus.parts.items()}
    assert not parts["train"] & parts["val"]
    assert not parts["train"] & parts["test"]
    assert not parts["val"] & parts["test"]
    assert sum(map(len, corpus.parts.values())) == len(words), "repeats stay lines"
    listed = [
        (word, corpus.label_names[label])
        for part, words in corpus.parts.items()
        for word, label in zip(words, corpus.labels(part).tolist(), strict=True)
    ]
    assert sorted(listed) == lines


def test_lines_of_one_word_and_label_are_merged():
    words = WordList.of(["ab", "b", "ab", "ab", "c"]).with_weights([1, 2, 3, 0.5, 4]).with_labels(list("xyxyx"))
    merged = words.merged()
    assert list(merged) == ["ab", "b", "ab", "c"]
    assert merged.weights.tolist() == [4, 2, 0.5, 4]  # pyright: ignore[reportOptionalMemberAccess]
    assert merged.labels.tolist() == [0, 1, 1, 0]  # pyright: ignore[reportOptionalMemberAccess]
    assert list(words[2:].merged()) == ["ab", "ab", "c"]


@pytest.mark.parametrize("name", MODELS)
def test_weights_of_one_and_a_power_of_zero_equal_no_weights(different, weights, name):
    """Exactly: the same losses, and the same words."""
    plain = moreish.train(different, name, **OPTIONS[name])
    ones = moreish.train(different, name, weights=np.ones(len(different)), **OPTIONS[name])
    once = moreish.train(different, name, weights=weights, weight_power=0.0, **OPTIONS[name])
    counted = moreish.train(different, name, weights=weights, **OPTIONS[name])
    assert plain.loss == ones.loss == once.loss != counted.loss
    assert plain.model.sample(20) == ones.model.sample(20) == once.model.sample(20) != counted.model.sample(20)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_whole_weights_count_as_repeated_words(weighted, smoothing):
    """With the same split: each word as often as its weight says."""
    run = moreish.train(weighted, "ngram", order=4, smoothing=smoothing, added=0.3)
    train, val = (
        [word for word, n in zip(weighted.parts[part], weighted.weights(part), strict=True) for _ in range(int(n))]
        for part in ("train", "val")
    )
    tables = count_tables(weighted.vocab.stream(train), 4, len(weighted.vocab), padded=smoothing in PADDED)
    expected = smoothed(tables, smoothing, 0.3, weighted.vocab.stream(val))
    for name in ("first", "parent", "char", "after"):
        np.testing.assert_array_equal(run.model.arrays[name], expected[name])
    np.testing.assert_allclose(run.model.arrays["p"], expected["p"], rtol=1e-3 if smoothing == "fitted" else 1e-12)


def test_counts_are_sums_of_weights(weighted):
    stream, weights = weighted.stream("train"), weighted.weights("train") / 7
    tables = count_tables(stream, 3, len(weighted.vocab))
    of_tokens = per_token(stream, weights)
    counted = recounted(tables, Words(stream, weights))
    first = tables.node == 0
    expected = [of_tokens[stream[1:] == char].sum() for char in tables.char[first]]
    np.testing.assert_allclose(counted.count[first], expected, rtol=1e-12)
    np.testing.assert_allclose(counted.total[tables.start], weights.sum(), rtol=1e-12)
    np.testing.assert_allclose(recounted(tables, Words(stream)).count, tables.count, rtol=1e-15)


@pytest.mark.parametrize("whole_words", [False, True])
def test_a_pass_draws_every_example_as_often_as_its_weight_says(weighted, whole_words):
    """Up to one time more or less."""
    stream = weighted.stream("train")
    plain, batches = (
        Batches.drawn(stream, 1, 5, 3, whole_words, weights=weights) for weights in (None, weighted.weights("train"))
    )
    n, shares = batches.n_examples, np.diff(batches.source.ends, prepend=0)
    assert n == plain.n_examples
    assert shares.sum() == pytest.approx(n)
    starts = (batches.source.starts if whole_words else np.arange(1, len(stream))).tolist()
    end = np.flatnonzero(stream == 0)
    weight = weighted.weights("train")[np.searchsorted(end[1:], starts)]
    np.testing.assert_allclose(shares / shares[0], weight / weight[0])
    expected: dict[bytes, float] = {}
    examples: dict[bytes, int] = {}
    drawn: dict[bytes, int] = {}
    room = plain.room(3)
    for start, share in zip(starts, shares.tolist(), strict=True):
        for array in room:
            array.fill(0)
        example(stream, start, 0, room[0].shape[1], *room)
        key = b"".join(array.tobytes() for array in room)
        expected[key], examples[key] = expected.get(key, 0.0) + share, examples.get(key, 0) + 1
    for step in range(n):
        batches.fill(step, *room)
        key = b"".join(array.tobytes() for array in room)
        drawn[key] = drawn.get(key, 0) + 1
    assert set(drawn) <= set(expected)
    assert all(abs(drawn.get(key, 0) - expected[key]) <= examples[key] for key in expected)


def test_equal_weights_change_no_batch(weighted):
    stream = weighted.stream("train")
    plain = Batches.drawn(stream, 32, 1, 4, False)
    ones = Batches.drawn(stream, 32, 1, 4, False, weights=np.ones(len(weighted.parts["train"])))
    for step in (0, 3, 40):
        rooms = [batches.room(4) for batches in (plain, ones)]
        for batches, room in zip((plain, ones), rooms, strict=True):
            batches.fill(step, *room)
        assert all((a == b).all() for a, b in zip(*rooms, strict=True))


def test_windows_of_all_words_are_counted_by_their_weights(weighted):
    stream, weights = weighted.stream("train"), weighted.weights("train")
    labels = np.arange(len(weights)) % 3
    rows, counts = distinct_windows(stream, 3, labels, weights)
    expected: dict[tuple[int, ...], float] = {}
    for word, weight, label in zip(weighted.parts["train"], weights, labels.tolist(), strict=True):
        text = [0, 0, *weighted.vocab.encode(word), 0]
        for i in range(2, len(text)):
            key = (label, *text[i - 2 : i + 1])
            expected[key] = expected.get(key, 0) + weight
    assert dict(zip(map(tuple, rows.tolist()), counts.tolist(), strict=True)) == expected
    _, scaled = distinct_windows(stream, 3, labels, weights / 3)
    np.testing.assert_allclose(scaled / scaled.sum(), counts / counts.sum(), rtol=1e-6)


@pytest.mark.parametrize("name", ["ngram", "mlp"])
def test_losses_are_weighted_and_those_of_each_word_once_stand_beside(weighted, name):
    run = moreish.train(weighted, name, **OPTIONS[name])
    found = moreish.evaluate(run.model, weighted, intervals=True)
    for part in ("train", "val", "test"):
        nats = [sum(run.model.score(word).per_char) for word in weighted.parts[part]]
        tokens, weights = [len(word) + 1 for word in weighted.parts[part]], weighted.weights(part)
        assert found.loss[part] == pytest.approx(np.dot(nats, weights) / np.dot(tokens, weights), rel=1e-6)
        assert found.each_once[part] == pytest.approx(sum(nats) / sum(tokens), rel=1e-6)
        low, high = found.interval[part]  # pyright: ignore[reportGeneralTypeIssues]
        assert low < found.loss[part] < high
    assert run.loss == pytest.approx(found.loss)


@pytest.mark.parametrize("name", ["ngram", "mlp", "wavenet-conv"])
def test_a_run_with_weights_and_labels_is_saved_and_loaded(different, weights, tmp_path, name):
    labels = ["x" if word[0] < "c" else "y z" for word in different]
    run = moreish.train(different, name, weights=weights, labels=labels, weight_power=0.5, **OPTIONS[name])
    run.save(tmp_path / "run")
    assert (tmp_path / "run" / "words.txt").read_text(encoding="utf-8").split("\n")[:3] == different[:3]
    config = json.loads((tmp_path / "run" / "config.json").read_text(encoding="utf-8"))
    assert config["labels"] == ["x", "y z"]
    assert config["format"] == 2
    again = moreish.load(tmp_path / "run")
    assert again.loss == run.loss
    assert again.corpus.data_hash == run.corpus.data_hash
    assert again.corpus.weights("val").tolist() == run.corpus.weights("val").tolist()  # pyright: ignore[reportOptionalMemberAccess]
    assert again.model.sample(5, label="x") == run.model.sample(5, label="x")
    for damage in (b"", (tmp_path / "run" / "columns.safetensors").read_bytes()[:-3]):
        (tmp_path / "run" / "columns.safetensors").write_bytes(damage)
        with pytest.raises(InputError, match=r"columns.safetensors: damaged"):
            moreish.load(tmp_path / "run")
    (tmp_path / "run" / "columns.safetensors").unlink()
    with pytest.raises(InputError, match=r"columns.safetensors: damaged or incomplete \(missing\)"):
        moreish.load(tmp_path / "run")


def test_small_weights_are_scaled_to_one(different, weights):
    small, large = (Corpus(WordList.of(different).with_weights(weights * factor)) for factor in (1e-3, 1.0))
    np.testing.assert_allclose(small.weights("train"), large.weights("train"))  # pyright: ignore[reportArgumentType, reportCallIssue]


@pytest.mark.parametrize(
    ("weights", "problem"),
    [
        ([1, 2], "2 weights for 3 words"),
        ([1, 0, 2], "word 2, 'b', has the weight 0"),
        ([1, -1, 2], "word 2, 'b', has the weight -1"),
        ([1, 2, float("nan")], "word 3, 'c', has the weight nan"),
        ([1, 2, 1.5e120], "word 3, 'c', has the weight 1.5e\\+120, which is above 1e\\+120: divide all weights"),
        ([1e-308, 2, 1], "word 1, 'a', has the weight 1e-308, which is below 1e-120: multiply all weights"),
        (["1", "much", "2"], "not all numbers"),
    ],
)
def test_wrong_weights_are_refused(weights, problem):
    with pytest.raises(InputError, match=problem):
        WordList.of(["a", "b", "c"]).with_weights(weights)


def test_weights_that_are_too_large_together_are_refused(different):
    with pytest.raises(InputError, match="word 1, 'a', has the weight 1.8e\\+120"):
        Corpus(WordList.of([*"aba", *different]).with_weights([9e119, 1, 9e119, *range(1, 1 + len(different))]))
    wide = WordList.of(different).with_weights(np.geomspace(1e-100, 1e100, len(different)))
    assert np.isfinite(Corpus(wide, weight_power=1.25).weights("train")).all()  # pyright: ignore[reportArgumentType, reportCallIssue]
    with pytest.raises(InputError, match="1e-100 to 1e\\+100 to the power of 1.3 are too large: .*--weight-power"):
        Corpus(wide, weight_power=1.3)


@pytest.mark.parametrize("split", ["hash", "distinct"])
@pytest.mark.parametrize("smoothing", ["witten-bell", "kneser-ney", "additive"])
@pytest.mark.parametrize("scale", [1e17, 1e19, 1e30, 1e100])
def test_large_weights_give_the_frequencies_of_train(different, weights, scale, smoothing, split):
    """Nothing is left to smoothing: a character begins a word as often as the weights of the words say."""
    run = moreish.train(different, "ngram", weights=weights * scale, smoothing=smoothing, split=split)
    train = run.corpus.parts["train"]
    assert train.weights is not None
    for character, p in run.model.next("").items():
        share = (
            sum(w for word, w in zip(train, train.weights, strict=True) if word[0] == character) / train.weights.sum()
        )
        assert p == pytest.approx(share, rel=1e-6, abs=1e-9), character


@pytest.mark.parametrize("name", ["bigram", "gru"])
@pytest.mark.parametrize("scale", [2.0**48, 2.0**64, 2.0**300])
def test_the_scale_of_large_weights_changes_no_exact_gradient(different, weights, name, scale):
    options: dict[str, Any] = {"full_batch": True, "steps": 5} | ({"n_hidden": 8} if name == "gru" else {})
    one, other = (moreish.train(different, name, weights=w, **options) for w in (weights, weights * scale))
    np.testing.assert_allclose(other.model.params, one.model.params, rtol=1e-4, atol=1e-5)
    assert other.loss["val"] == pytest.approx(one.loss["val"], rel=1e-5)


@pytest.mark.parametrize("labelled", [False, True])
def test_weights_of_all_sizes_give_probabilities(different, labelled):
    weights = 10.0 ** np.random.default_rng(0).uniform(-120, 120, len(different))
    labels = [word[0] for word in different] if labelled else None
    for smoothing in ("fitted", "witten-bell"):
        run = moreish.train(different, "ngram", weights=weights, labels=labels, smoothing=smoothing)
        heaviest = run.corpus.parts["train"][int(np.argmax(run.corpus.weights("train")))]  # pyright: ignore[reportArgumentType, reportCallIssue]
        assert math.isfinite(run.model.score(heaviest, label=heaviest[0] if labelled else None).nll)
        assert all(map(math.isfinite, run.loss.values()))
        for prefix in ("", heaviest[:3], heaviest):
            assert sum(run.model.next(prefix).values()) == pytest.approx(1, rel=1e-6)


def test_the_number_of_threads_changes_no_weighted_training(weighted):
    losses, before = [], get_threads()
    for threads in (1, 2):
        moreish.set_threads(threads)
        losses.append(moreish.train(weighted, "mlp", steps=10, batch_size=512).loss)
    moreish.set_threads(before)
    assert losses[0] == losses[1]
