"""Pruning by entropy against relative entropies that are added up over all contexts and characters, on small lists."""

import itertools
import json
from types import SimpleNamespace

import numpy as np
import pytest
from conftest import made_up_words
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import written_out

import moreish
from moreish import Corpus, InputError, WordList
from moreish.cli import run, values
from moreish.corpus.stream import Words
from moreish.ngram import SMOOTHINGS
from moreish.ngram.pruning import costs_of, frequencies, n_bytes, pruned

SMALL = st.lists(st.text("abc", min_size=1, max_size=5), min_size=6, max_size=25)


class Plain:
    """An n-gram model as a dictionary for each context: p of its characters, and the context that has the others.

    Contexts are numbered from the shortest; 0 is the empty one. All numbers have a value for each label.
    """

    def __init__(self, arrays: dict[str, np.ndarray], n_vocab: int):
        p, share = np.atleast_2d(arrays["p"]), np.atleast_2d(arrays["share"])
        self.V, self.parent, self.start = n_vocab, arrays["parent"].tolist(), int(arrays["start"][0])
        self.share = list(share.T)
        places = [range(a, b) for a, b in itertools.pairwise(arrays["first"].tolist())]
        self.p = [{int(arrays["char"][e]): p[:, e] for e in place} for place in places]
        self.after = [{int(arrays["char"][e]): int(arrays["after"][e]) for e in place} for place in places]

    def prob(self, h: int, c: int) -> np.ndarray:
        if c in self.p[h]:
            return self.p[h][c]
        return self.share[h] * (self.prob(self.parent[h], c) if h else 1 / self.V)

    def all_probs(self) -> np.ndarray:
        """Every probability, (contexts, V, labels)."""
        return np.array([[self.prob(h, c) for c in range(self.V)] for h in range(len(self.p))])

    def without(self, h: int, left_out: set[int]) -> "Plain":
        """Return the model without some entries of a context, whose share makes its probabilities sum to one."""
        made = object.__new__(Plain)
        vars(made).update(vars(self), p=list(self.p), share=list(self.share))
        made.p[h] = {c: p for c, p in self.p[h].items() if c not in left_out}
        rest = [c for c in range(self.V) if c not in made.p[h]]
        own, lower = (sum(self.prob(at, c) for c in rest) for at in (h, self.parent[h]))
        made.share[h] = own / lower if rest and np.all(lower) else self.share[h]
        return made

    def length(self, h: int) -> int:
        return 0 if h == 0 else 1 + self.length(self.parent[h])

    def needed(self, h: int, c: int) -> bool:
        """True if a longer context with entries has this entry too, or begins with what it reads."""
        reached = self.after[h][c]
        longer = (x for x in range(len(self.p)) if self.parent[x] == h and x)
        return any(c in self.p[x] for x in longer) or (
            self.length(reached) == self.length(h) + 1 and c != 0 and bool(self.p[reached])
        )

    def read(self, tokens: list[int]) -> int:
        """Return the longest context with entries after some tokens of one or more words."""
        at = self.start
        for token in tokens:
            while token not in self.after[at] and at:
                at = self.parent[at]
            at = self.after[at].get(token, 0 if token else self.start)
        return at

    def kept(self, h: int) -> int:
        while h and not self.p[h]:
            h = self.parent[h]
        return h


def relative_entropy(full: Plain, other: Plain, frequency: np.ndarray) -> float:
    """Nats per token, of contexts that occur with a frequency (labels, contexts)."""
    p, q = full.all_probs(), other.all_probs()
    return float((frequency.T[:, None] * p * np.log(p / q)).sum())


def counted(words, order: int, smoothing: str, labels=None, weights=None) -> tuple[moreish.Run, np.ndarray]:
    """Return a run of an n-gram model, and the frequencies of its contexts, counted one token after another."""
    listed = WordList.of(words)
    if labels:
        listed = listed.with_labels(labels)
    if weights:
        listed = listed.with_weights(np.array(weights, float))
    made = moreish.train(Corpus(listed), "ngram", order=order, smoothing=smoothing, added=0.3)
    corpus, plain = made.corpus, Plain(made.model.arrays, len(made.corpus.vocab))
    found = np.zeros((len(corpus.label_names) or 1, len(plain.p)))
    parts = corpus.by_label("train") if labels else [Words(corpus.stream("train"), corpus.weights("train"))]
    for row, part in zip(found, parts, strict=True):
        at, number = plain.start, 0
        for token in part.stream[1:].tolist():
            row[at] += 1 if part.weights is None else part.weights[number]
            while token not in plain.after[at]:
                at = plain.parent[at]
            at = plain.after[at][token]
            number += token == 0
    return made, found / found.sum()


LISTS = st.tuples(
    SMALL, st.sampled_from((2, 3, 5)), st.sampled_from(SMOOTHINGS), st.sampled_from(("", "labels", "weights"))
)


def from_list(made) -> tuple[moreish.Run, np.ndarray]:
    words, order, smoothing, columns = made
    words = sorted({*words, "abc", "cab", "ca", "bb", "a", "b"})
    labels = ["xy"[i % 2] for i in range(len(words))] if columns == "labels" else None
    weights = [1 + i % 3 for i in range(len(words))] if columns == "weights" else None
    return counted(words, order, smoothing, labels, weights)


@given(LISTS)
@settings(max_examples=25, deadline=None)
def test_the_cost_of_an_entry_is_the_relative_entropy_without_it(made):
    """Contexts count as often as they occur in the train words; all probabilities still sum to one without it."""
    found, frequency = from_list(made)
    arrays, V = found.model.arrays, len(found.corpus.vocab)
    words = found.corpus.by_label("train") if found.model.labels else None
    stream = Words(found.corpus.stream("train"), found.corpus.weights("train"))
    np.testing.assert_allclose(frequencies(arrays, words or [stream]), frequency, rtol=1e-12)
    costs, _ = costs_of(arrays, V, frequency)
    plain, entry = Plain(arrays, V), 0
    for h, characters in enumerate(plain.p):
        for c in characters:
            if h == 0 or plain.needed(h, c):
                assert np.isinf(costs[entry])
            else:
                without = plain.without(h, {c})
                np.testing.assert_allclose(without.all_probs().sum(1), 1, rtol=1e-12 if words is None else 1e-9)
                expected = relative_entropy(plain, without, frequency)
                assert costs[entry] == pytest.approx(expected, rel=1e-8, abs=1e-14)
            entry += 1


@given(LISTS, st.floats(-4, 0))
@settings(max_examples=25, deadline=None)
def test_a_pruned_model_is_that_of_brute_force(made, exponent):
    """From the longest contexts on, entries are judged one by one by what they add to the relative entropy."""
    found, frequency = from_list(made)
    arrays, V, threshold = found.model.arrays, len(found.corpus.vocab), 10**exponent / 10
    plain = Plain(arrays, V)
    for h in range(len(plain.p) - 1, 0, -1):
        whole, lost = plain, 0.0
        for c in [c for c in plain.p[h] if not plain.needed(h, c)]:
            without = plain.without(h, {c})
            rise = relative_entropy(whole, without, frequency)
            if abs(rise - lost - threshold) < 1e-6 * threshold:
                return  # rounding decides
            if rise - lost < threshold:
                plain, lost = without, rise
    small = Plain(pruned(arrays, V, frequency, threshold), V)
    stays = [h for h, characters in enumerate(plain.p) if characters]
    assert [list(plain.p[h]) for h in stays] == [list(characters) for characters in small.p]
    np.testing.assert_allclose(small.all_probs(), plain.all_probs()[stays], rtol=1e-10)
    full = Plain(arrays, V)
    before = abs(full.all_probs().sum(1) - 1).max()  # with labels up to 1e-11
    assert abs(small.all_probs().sum(1) - 1).max() < 1e-12 + 2 * before
    for n in range(4):  # every text reaches the longest context that is kept
        for tokens in itertools.product(range(V), repeat=n):
            assert small.read(list(tokens)) == stays.index(plain.kept(full.read(list(tokens))))


def test_a_context_that_has_seen_every_character_keeps_most_of_them():
    """Any one of its entries follows from the others, and costs nothing; all of them together cost a lot."""
    words = ["".join(pair) for pair in itertools.product("abc", repeat=2)] * 3 + ["aa", "aa", "ba", "cc"] * 20
    made, _ = counted(words, 2, "witten-bell")
    small = moreish.prune(made, entropy=1e-9)
    assert len(small.model.arrays["p"]) < len(made.model.arrays["p"])
    before, after = (of.model.nll(made.corpus.stream("train")).mean() for of in (made, small))
    assert after == pytest.approx(before, abs=1e-6)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_a_higher_threshold_leaves_less_and_costs_more(smoothing):
    made, frequency = counted(made_up_words(400), 5, smoothing)
    arrays, V, stream = made.model.arrays, len(made.corpus.vocab), made.corpus.stream("train")
    sizes, losses = [], []
    for threshold in (1e-9, 1e-4, 1e-3, 1e-2):
        small = moreish.prune(made, entropy=threshold)
        assert small.pruned == threshold
        assert small.model.arrays.keys() == arrays.keys()
        np.testing.assert_array_equal(small.model.arrays["p"], pruned(arrays, V, frequency, threshold)["p"])
        sizes.append(n_bytes(small.model.arrays))
        losses.append(small.model.nll(stream).mean())
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] < sizes[0]
    if smoothing != "additive":  # whose shorter contexts know nothing
        assert losses == sorted(losses)


def test_a_model_is_pruned_to_a_size():
    made = moreish.train(made_up_words(400), "ngram", order=5)
    whole = n_bytes(made.model.arrays)
    for size in (whole // 2, whole // 5):
        small = moreish.prune(made, size=size)
        assert 0.8 * size < n_bytes(small.model.arrays) <= size
    same = moreish.prune(made, size=whole)
    assert same.pruned == 0
    np.testing.assert_array_equal(same.model.arrays["p"], made.model.arrays["p"])


@pytest.fixture(scope="module")
def small_run() -> moreish.Run:
    """A pruned run over three letters."""
    made, _ = counted(
        ["".join(word) for word in itertools.product("abd", repeat=3)] * 2 + ["abba", "da", "bad"], 4, "fitted"
    )
    small = moreish.prune(made, entropy=1e-4)
    assert 0 < len(small.model.arrays["p"]) < len(made.model.arrays["p"])
    return small


def test_constraints_on_a_pruned_model_are_exact(small_run):
    model = small_run.model
    expected = written_out(model, lambda word: "b" in word and len(word) <= 3)
    total = sum(expected.values())
    found = model.most_likely(len(expected), contains="b", max_length=3)
    assert {c.word for c in found} == set(expected)
    for candidate in found:
        assert candidate.share == pytest.approx(expected[candidate.word] / total, rel=1e-6)


def test_a_pruned_run_is_saved_and_loaded(small_run, tmp_path):
    small_run.save(tmp_path / "small")
    loaded = moreish.load(tmp_path / "small")
    assert loaded.pruned == small_run.pruned
    assert json.loads((tmp_path / "small" / "config.json").read_text())["pruned"] == small_run.pruned
    assert loaded.model.sample(20, seed=3) == small_run.model.sample(20, seed=3)
    again = moreish.prune(loaded, entropy=1e-2)
    assert again.pruned == 1e-2
    assert moreish.prune(again, entropy=1e-9).pruned == 1e-2


def test_an_arpa_file_has_the_probabilities_of_a_pruned_model(tmp_path):
    made = moreish.prune(moreish.train(made_up_words(300), "ngram", order=5), entropy=3e-4)
    made.save(tmp_path / "small")
    (tmp_path / "list.txt").write_text("\n".join(made_up_words(300)))
    export = ["export", str(tmp_path / "small"), "--to", "arpa", "--out", str(tmp_path / "small.arpa")]
    assert run(export) == 0
    words = ["--words", str(tmp_path / "list.txt"), "--out", str(tmp_path / "loaded")]
    assert run(["load", str(tmp_path / "small.arpa"), *words]) == 0
    loaded = moreish.load(tmp_path / "loaded")
    for word in made_up_words(40):
        np.testing.assert_allclose(loaded.model.score(word).per_char, made.model.score(word).per_char, rtol=1e-5)
    stream = made.corpus.stream("val")  # a model from another program is pruned as well
    np.testing.assert_allclose(
        moreish.prune(loaded, entropy=1e-3).model.nll(stream),
        moreish.prune(made, entropy=1e-3).model.nll(stream),
        rtol=0.1,
    )


def test_the_command_says_what_pruning_costs(tmp_path, capsys):
    made = moreish.train(made_up_words(300), "ngram", order=5).save(tmp_path / "whole")
    assert run(["prune", str(made.path), "--size", "20kB", "--out", str(tmp_path / "small")]) == 0
    lines = {line.split("  ")[0]: line.split() for line in capsys.readouterr().out.splitlines()}
    small = moreish.load(tmp_path / "small")
    assert n_bytes(small.model.arrays) <= 20_000
    assert lines["entries"][1:3] == [f"{len(x.model.arrays['char']):,}" for x in (made, small)]
    assert lines["val loss"][2:4] == [f"{x.loss['val']:.4f}" for x in (made, small)]
    assert json.loads((tmp_path / "small" / "config.json").read_text())["loss"] == small.loss


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give one of them"),
        (["--entropy", "1e-3", "--size", "1MB"], "give one of them"),
        (["--entropy", "0"], "must be a number above 0"),
        (["--entropy", "nan"], "entropy (--entropy) is nan: it must be a number above 0"),
        (["--size", "3 apples"], "not a size"),
        (["--size", "100"], "cannot be pruned to 100 bytes"),
    ],
)
def test_wrong_requests_are_explained(options, message, tmp_path, capsys):
    moreish.train(made_up_words(60), "ngram", order=3).save(tmp_path / "whole")
    assert run(["prune", str(tmp_path / "whole"), *options, "--out", str(tmp_path / "small")]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "small").exists()


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ("2000", 2e3),
        ("5 kB", 5e3),
        ("5KiB", 5120),
        (".5MB", 5e5),
        ("1.5mib", 1.5 * 2**20),
        ("1TB", 1e12),
        ("2TiB", 2**41),
    ],
)
def test_sizes_have_the_units_of_bytes(size, expected):
    assert values.n_bytes(None, [SimpleNamespace(value=size)]) == expected


def test_only_n_gram_models_are_pruned():
    net = moreish.train(made_up_words(60), "mlp", steps=2, n_hidden=4)
    with pytest.raises(InputError, match="mlp is an mlp: only n-gram models"):
        moreish.prune(net, entropy=1e-3)


def test_a_pruned_run_has_no_counts_to_merge():
    made = moreish.train(made_up_words(300), "ngram", order=3, split="hash")
    small = moreish.prune(made, size=1e9)
    assert small.model.arrays.keys() < made.model.arrays.keys()
    assert moreish.prune(made, entropy=1e-3).model.arrays.keys() == small.model.arrays.keys()
    with pytest.raises(InputError, match="has no counts"):
        moreish.merge([made, small])


def test_a_net_takes_no_pruned_n_gram_inside():
    """Its probabilities without a train word follow from the counts of all."""
    small = moreish.prune(moreish.train(made_up_words(100), "ngram", order=3), entropy=1e-3)
    with pytest.raises(InputError, match="is pruned: --with-ngram"):
        moreish.train(small.corpus, "gru", with_ngram=small, steps=2, n_hidden=4)
