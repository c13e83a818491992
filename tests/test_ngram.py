"""Counted models against a brute-force implementation from the formulas, on small alphabets."""

import itertools
import json
import math
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest
from conftest import made_up_words
from hypothesis import given, settings
from hypothesis import strategies as st

import moreish
from moreish import Corpus, InputError, WorkError
from moreish.cli import run
from moreish.engine.bfgs import minimised
from moreish.engine.protocol import Draw
from moreish.models import NGram
from moreish.ngram import PADDED, SMOOTHINGS, Automaton, count_tables
from moreish.ngram.automaton import trace_stream
from moreish.ngram.fitting import evidence, fit_loss
from moreish.ngram.numbering import Numbering
from moreish.ngram.sampler import MAX_ROW_CELLS, DrawOptions, Sampler
from moreish.ngram.smoothing import discounts
from moreish.ngram.spill import CountsOnDisk
from moreish.ngram.tables import tables_of
from moreish.ngram.windows import BYTES_PER_TOKEN, MAX_BITS, count_windows

ORDERS = (1, 2, 3, 5, 8)
SMALL = st.lists(st.text("abc", min_size=1, max_size=6), min_size=6, max_size=40)


def windows(words, n: int) -> Counter[str]:
    """Count all windows of n characters, the last one the target; '.' is the end token."""
    found = Counter()
    for word in words:
        text = "." * (n - 1) + word + "."
        found.update(text[i : i + n] for i in range(len(word) + 1))
    return found


def shortened(words, n: int, at_least: int) -> Counter[str]:
    """Count windows of up to n characters: rare ones lose their first character until they are frequent enough."""
    found, current = Counter(), windows(words, n)
    for k in range(n, 0, -1):
        rare = Counter()
        for window, count in current.items():
            if count >= at_least or k == 1:
                found[window] += count
            else:
                rare[window[1:]] += count
        current = rare
    return found


def with_one_end(found: Counter[str]) -> Counter[str]:
    """Shorten windows to one end token in front."""
    one = Counter()
    for window, count in found.items():
        context = window[:-1]
        one[("." + context.lstrip(".") if context.startswith(".") else context) + window[-1]] += count
    return one


class BruteForce:
    """p(character | context) of a smoothing, by the formulas, from dictionaries of counts."""

    def __init__(
        self, words, order: int, alphabet: str, smoothing: str, added: float = 1.0, strengths=None, at_least=1
    ):
        self.order, self.alphabet, self.smoothing, self.added = order, alphabet, smoothing, added
        self.strengths = strengths if strengths is not None else np.zeros((3, order))
        self.counts = {k: defaultdict(Counter) for k in range(1, order + 1)}
        for k in range(1, order + 1):
            found = shortened(words, order, at_least)
            for window, n in (found if smoothing in PADDED else with_one_end(found)).items():
                if len(window) >= k:
                    self.counts[k][window[-k:-1]][window[-1]] += n
        if smoothing == "kneser-ney":
            raw = {k: {h: Counter(c) for h, c in of.items()} for k, of in self.counts.items()}
            for k in range(1, order):
                for h, characters in self.counts[k].items():
                    if not h.startswith("."):
                        for c in characters:
                            before = sum(longer[1:] == h and c in raw[k + 1][longer] for longer in raw[k + 1])
                            characters[c] = max(1, before)
            numbers = {k: Counter(n for c in of.values() for n in c.values()) for k, of in self.counts.items()}
            self.D = {k: discounts(*(n[r] for r in (1, 2, 3, 4))) for k, n in numbers.items()}

    def p(self, c: str, context: str) -> float:
        if self.smoothing == "additive":
            seen = self.counts[self.order][context[len(context) - self.order + 1 :]]
            return (seen[c] + self.added) / (seen.total() + self.added * len(self.alphabet))
        p = 1 / len(self.alphabet)
        for k in range(1, self.order + 1):
            seen = self.counts[k].get(context[len(context) - k + 1 :])
            if seen is None:
                break
            N, t, n = seen.total(), len(seen), seen[c]
            if self.smoothing == "kneser-ney":
                D = (0.0, *self.D[k])
                p = (n - D[min(n, 3)] + sum(D[min(m, 3)] for m in seen.values()) * p) / N
            else:
                a, b, d = (1.0, 0.0, 0.0) if self.smoothing == "witten-bell" else self.strengths[:, k - 1]
                m = a * t + b
                p = (max(n - d, 0) + (m + d * t) * p) / (N + m)
        return p


@given(SMALL, st.sampled_from(ORDERS), st.sampled_from(SMOOTHINGS), st.sampled_from((1, 1, 2, 3)))
@settings(max_examples=100, deadline=None)  # the first one compiles
def test_every_probability_is_that_of_brute_force(words, order, smoothing, at_least):
    """Of every character, at every place of every word that there is, and of some that there is not."""
    corpus = Corpus([*words, "abc"])
    run = moreish.train(corpus, "ngram", order=order, smoothing=smoothing, added=0.3, at_least=at_least)
    strengths = run.model.weights.get("strengths")
    alphabet = "." + corpus.vocab.characters
    brute = BruteForce(corpus.parts["train"], order, alphabet, smoothing, 0.3, strengths, at_least)
    for word in ["abc", "cba", "a", "ccccccc", *words[:5]]:
        if set(word) <= set(corpus.vocab.characters):
            text = "." * order + word + "."
            expected = [-math.log(brute.p(text[i], text[:i])) for i in range(order, len(text))]
            assert run.model.score(word).per_char == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
@pytest.mark.parametrize("order", ORDERS)
def test_distributions_sum_to_one_after_every_context(order, smoothing):
    """Of an alphabet of three characters and the end, after every context of up to four characters."""
    model = moreish.train(made_up_words(30, alphabet="abc"), "ngram", order=order, smoothing=smoothing).model
    for length in range(5):
        for context in map("".join, itertools.product(model.vocab.characters, repeat=length)):
            total = math.exp(-model.score(context).per_char[-1]) if context else 0.0
            total += sum(math.exp(-model.score(context + c).per_char[length]) for c in model.vocab.characters)
            if not context:
                total += math.exp(-model.nll(np.array([0, 0], np.int32))[0])
            assert total == pytest.approx(1, rel=1e-9)


@given(SMALL, st.integers(1, 9))
@settings(deadline=None)
def test_windows_are_counted_as_they_occur(words, n):
    corpus = Corpus(words)
    counted = count_windows(corpus.stream("train"), n, len(corpus.vocab))
    letters = np.array(list("." + corpus.vocab.characters))
    found = {"".join(letters[[counted.at(k)[i] for k in range(n)]]): int(m) for i, m in enumerate(counted.counts)}
    assert found == windows(corpus.parts["train"], n)


@pytest.mark.parametrize("n_vocab", [4, 1 << 21])
def test_streams_one_after_another_are_counted_as_one(n_vocab):
    words = made_up_words(300, alphabet="abc")
    corpus = Corpus(words)
    whole = count_windows(corpus.vocab.stream(words), 5, n_vocab)
    parts = count_windows((corpus.vocab.stream(words[i : i + 70]) for i in range(0, 300, 70)), 5, n_vocab)
    for a, b in zip(whole, parts, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_large_alphabet_and_a_long_window_are_counted_too():
    """Also if a window does not fit into one number, and if the table has to grow."""
    words = [chr(0x4E00 + i % 3000) + chr(0x4E00 + i * 7 % 3000) for i in range(9000)]
    corpus = Corpus(words)
    for n in (2, 8):
        counted = count_windows(corpus.stream("train"), n, len(corpus.vocab))
        assert counted.counts.sum() == corpus.stream("train").size - 1
        assert len(counted.counts) == len(windows(corpus.parts["train"], n))
        assert (counted.at(n - 1) < len(corpus.vocab)).all()
    assert moreish.train(corpus, "ngram", order=8).loss["val"] < math.log(len(corpus.vocab))


def test_counts_that_do_not_fit_in_memory_are_refused(corpus):
    for n_vocab in (len(corpus.vocab), 1 << 20):  # packed, and sorted
        with pytest.raises(InputError, match="more than 100 different sequences of 5 characters.*with --order 4"):
            count_windows(corpus.stream("train"), 5, n_vocab, memory=50 * 5 * 100)


@given(SMALL, st.integers(1, 9), st.integers(1, 4), st.booleans())
@settings(deadline=None)
def test_rare_windows_are_shortened(words, n, at_least, wide):
    """Also if a window fills the bits of a number."""
    corpus = Corpus(words)
    n_vocab = 1 << MAX_BITS // n if wide else len(corpus.vocab)
    counted = count_windows(corpus.stream("train"), n, n_vocab, at_least)
    letters = np.array(list("." + corpus.vocab.characters))
    found = {
        "".join(str(letters[counted.at(k)[i]]) for k in range(n - length, n)): int(m)
        for i, (length, m) in enumerate(zip(counted.lengths, counted.counts, strict=True))
    }
    assert found == shortened(corpus.parts["train"], n, at_least)


@pytest.mark.parametrize("order", [3, 5, 9])
def test_counts_that_do_not_fit_in_memory_go_to_the_disk(order, monkeypatch, tmp_path):
    """The arrays are the same to the last bit, and no file is left."""
    monkeypatch.setattr("moreish.ngram.windows.TOKENS_AT_A_TIME", 300)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    added, add = [], CountsOnDisk.add
    monkeypatch.setattr(CountsOnDisk, "add", lambda *some: (added.append(len(some[1])), add(*some)))
    corpus = Corpus(made_up_words(300, seed=3))
    held = moreish.train(corpus, "ngram", order=order, at_least=12)
    assert not added
    most = len(count_windows(corpus.stream("train"), order, len(corpus.vocab), 12).counts)
    memory = (most + 1) * BYTES_PER_TOKEN * order  # enough for the windows that are kept, and no more
    kept = moreish.train(corpus, "ngram", order=order, at_least=12, memory=memory / 2**30)
    assert len(added) > 1
    for name, weight in held.model.weights.items():
        np.testing.assert_array_equal(kept.model.weights[name], weight)
    assert not list(tmp_path.rglob("counts*"))
    with pytest.raises(InputError, match="that occur at least 12 times.*--order .*--at-least 24"):
        moreish.train(corpus, "ngram", order=order, at_least=12, memory=memory / 2 / 2**30)


def test_a_full_disk_is_reported_in_one_line(monkeypatch, corpus):
    import duckdb

    def add(*_):
        raise duckdb.IOException("no space\nleft on device")

    monkeypatch.setattr(CountsOnDisk, "add", add)
    with pytest.raises(WorkError, match=r"counting on disk failed \(no space left on device\)"):
        moreish.train(corpus, "ngram", at_least=2, memory=1e-5)


def test_rare_windows_are_those_that_fit_into_a_number(corpus):
    with pytest.raises(InputError, match="up to 2 of these 1,048,577 characters: give --order 2"):
        count_windows(corpus.stream("train"), 5, (1 << 20) + 1, at_least=2)


def test_the_disk_needs_duckdb(monkeypatch, corpus):
    monkeypatch.setitem(sys.modules, "duckdb", None)
    with pytest.raises(InputError, match='pip install "duckdb'):
        moreish.train(corpus, "ngram", at_least=2, memory=1e-5)


@given(st.lists(st.integers(0, 299), min_size=1), st.sampled_from((300, 1 << 40)))
def test_values_are_numbered_in_their_order(values, size):
    """In a set of bits, and sorted if there are too many possible values."""
    found = Numbering(np.array(values), size)
    assert found.sorted.tolist() == sorted(set(values))
    wanted = [found.sorted.tolist().index(value) if value in values else -1 for value in range(300)]
    assert found.of(np.arange(300)).tolist() == wanted


def plain_tables(words, order, padded, at_least):
    """Count each entry, which is a context and a character."""
    found, counts = shortened(words, order, at_least), Counter()
    for window, n in (found if padded else with_one_end(found)).items():
        for begin in range(len(window)):
            counts[window[begin:-1], window[-1]] += n
    return counts


@given(SMALL, st.integers(1, 7), st.booleans(), st.integers(1, 3), st.booleans())
@settings(deadline=None)
def test_tables_are_those_of_plain_counts(words, order, padded, at_least, large):
    """Contexts in the order of their characters from the last to the first, entries in the order of their characters;
    also if a window does not fit into one number.
    """
    corpus = Corpus(words)
    at_least, n_vocab = (1, 1 << 31) if large else (at_least, len(corpus.vocab))
    windows = count_windows(corpus.stream("train"), order, n_vocab, at_least)
    assert (windows.keys.shape[1] > 1) == (large and order > 2)
    t = tables_of(windows, len(corpus.vocab), padded)
    plain = plain_tables(corpus.parts["train"], order, padded, at_least)
    contexts = sorted({context for context, _ in plain}, key=lambda context: (len(context), context[::-1]))
    place = {context: node for node, context in enumerate(contexts)}
    entries = sorted(plain, key=lambda entry: (place[entry[0]], entry[1]))
    number = {entry: i for i, entry in enumerate(entries)}

    def longest(context):
        while context not in place:
            context = context[1:]
        return place[context]

    start = longest("." * (order - 1 if padded else min(order - 1, 1)))
    assert t.start == start
    assert t.level.tolist() == [1 + len(context) for context in contexts]
    assert t.parent.tolist() == [place[context[1:]] for context in contexts]
    assert t.outer_end.tolist() == [context.startswith(".") for context in contexts]
    assert t.node.tolist() == [place[context] for context, _ in entries]
    assert t.char.tolist() == [("." + corpus.vocab.characters).index(char) for _, char in entries]
    assert t.count.tolist() == [plain[entry] for entry in entries]
    assert t.lower.tolist() == [number[context[1:], char] if context else -1 for context, char in entries]
    assert t.after.tolist() == [start if char == "." else longest(context + char) for context, char in entries]


def test_tables_hold_what_they_say():
    corpus = Corpus(made_up_words(200))
    t = count_tables(corpus.stream("train"), 4, len(corpus.vocab))
    assert t.sums(t.count)[0] == corpus.stream("train").size - 1
    deeper = t.lower >= 0
    assert (t.char[deeper] == t.char[t.lower[deeper]]).all()
    assert (t.level[t.parent[1:]] == t.level[1:] - 1).all()
    assert (t.count[deeper] <= t.count[t.lower[deeper]]).all()
    assert (t.after[t.char == 0] == t.start).all()
    assert (t.level[t.after[t.char > 0]] == np.minimum(t.level[t.node[t.char > 0]] + 1, 4)).all()


def test_without_padding_words_begin_with_one_end_token():
    """The contexts are those of the padded tables that do not begin with two of them."""
    corpus = Corpus(made_up_words(200))
    padded, one = (
        count_tables(corpus.stream("train"), 5, len(corpus.vocab), padded=padded) for padded in (True, False)
    )
    assert one.level[one.start] == 2
    assert one.parent[one.start] == 0
    # A padded context begins with two end tokens if its parent begins with one.
    again = padded.outer_end & padded.outer_end[padded.parent]
    assert again.sum() > 20
    for name in ("level", "outer_end", "total", "different"):
        np.testing.assert_array_equal(getattr(one, name), getattr(padded, name)[~again])
    assert (one.level[one.after[one.char > 0]] == np.minimum(one.level[one.node[one.char > 0]] + 1, 5)).all()


def test_fitted_strengths_are_at_a_minimum(corpus):
    """No single strength, moved, gives val a smaller loss."""
    run = moreish.train(corpus, "ngram", order=3)
    best, fitted = run.loss["val"], run.model.weights["strengths"]
    assert best < min(
        moreish.train(corpus, "ngram", order=3, smoothing=s).loss["val"] for s in SMOOTHINGS if s != "fitted"
    )
    words, alphabet = corpus.parts["train"], "." + corpus.vocab.characters
    val = [("." * 3 + w + ".", i) for w in corpus.parts["val"] for i in range(3, len(w) + 4)]
    for row, order, factor in itertools.product(range(3), range(3), (0.7, 1.3)):
        moved = fitted.copy()
        moved[row, order] *= factor
        if row == 2 and not 0 < moved[row, order] < 1:
            continue
        brute = BruteForce(words, 3, alphabet, "fitted", strengths=moved)
        assert -np.mean([math.log(brute.p(text[i], text[:i])) for text, i in val]) >= best - 1e-5


def test_the_minimiser_finds_the_minimum_of_a_curved_valley():
    """Rosenbrock's function, whose minimum is 0 at (1, 1)."""

    def valley(x):
        a, b = x[1] - x[0] ** 2, 1 - x[0]
        return 100 * a * a + b * b, np.array([-400 * a * x[0] - 2 * b, 200 * a])

    assert minimised(valley, np.array([-1.2, 1.0]), least=1e-14) == pytest.approx([1, 1], rel=1e-4)


def test_the_gradient_of_the_fit_is_right(corpus):
    """Against central differences, at random strengths."""
    tables = count_tables(corpus.stream("train"), 4, len(corpus.vocab))
    loss = fit_loss(evidence(tables, *trace_stream(tables, corpus.stream("val"))), tables.n_vocab)
    x = np.random.default_rng(1).normal(size=12)
    gradient = loss(x)[1]
    moved = np.eye(12) * 1e-5
    slopes = [(loss(x + h)[0] - loss(x - h)[0]) / 2e-5 for h in moved]
    np.testing.assert_allclose(gradient, slopes, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("counts", [[1], [5, 5], [1, 1, 1], [1, 2, 3, 4], [2] * 9, [1] * 99 + [2], [3, 3, 1, 9]])
def test_discounts_leave_something_and_take_no_more_than_there_is(counts):
    found = discounts(*(counts.count(r) for r in (1, 2, 3, 4)))
    assert all(0 < d <= r for r, d in enumerate(found, start=1))


def test_words_are_drawn_by_their_probabilities():
    model = moreish.train(made_up_words(60, alphabet="abc"), "ngram", order=3).model
    drawn = Counter(model.sample(40_000, seed=3))
    assert sum(drawn.values()) == 40_000
    empty = 1 - math.exp(-model.nll(np.array([0, 0], np.int32))[0])  # no word is empty
    for word, n in drawn.most_common(8):
        score = model.score(word)
        p = math.exp(-sum(score.per_char)) / empty
        assert n / 40_000 == pytest.approx(p, abs=5 * math.sqrt(p / 40_000))
    assert model.sample(30, seed=5) == model.sample(60, seed=5)[:30]
    assert all(word.startswith("ab") for word in model.sample(20, prefix="ab"))
    assert all(len(word) <= 3 for word in model.sample(200, max_length=3))
    assert len(set(model.sample(20, temperature=0))) == 1


def test_a_run_is_saved_and_loaded(tmp_path, words, capsys):
    saved = moreish.train(words, "ngram", order=4, out=tmp_path / "run")
    loaded = moreish.load(tmp_path / "run")
    assert loaded.model.sample(20) == saved.model.sample(20)
    assert loaded.loss == saved.loss
    assert json.loads((tmp_path / "run" / "config.json").read_text())["model_options"]["order"] == 4
    assert run(["show", str(tmp_path / "run")]) == 0
    assert "probabilities and shares" in capsys.readouterr().out
    assert run(["train", "--model", "ngram", "--steps", "5", "--out", str(tmp_path / "other")]) == 2
    assert "counted, not trained by steps" in capsys.readouterr().err
    with pytest.raises(InputError, match="an n-gram has no layers"):
        loaded.model.to_torch()


@pytest.mark.parametrize("name", ["first", "parent", "char", "after", "start", "p", "share"])
def test_arrays_that_point_nowhere_are_refused(words, name):
    model = moreish.train(words, "ngram", order=3).model
    assert isinstance(model.config, NGram)
    for broken in (model.arrays[name] - 10_000, model.arrays[name][:-1], model.arrays[name].astype(np.float32)):
        with pytest.raises(ValueError, match="its arrays|no probability"):
            model.config.reader({**model.arrays, name: broken}, len(model.vocab))


def test_words_depend_neither_on_the_size_of_the_row_table_nor_on_that_of_the_buffer():
    automaton = moreish.train(made_up_words(200), "ngram").model.engine
    assert isinstance(automaton, Automaton)
    whole = automaton.generate(np.zeros(0), 300, Draw(seed=3))
    for buffer_tokens, max_cells in ((60, MAX_ROW_CELLS), (1 << 20, 60), (100, 1)):
        sampler = Sampler(automaton.graph, automaton.probabilities, DrawOptions(1.0, 0, 1.0), max_cells)
        for _ in range(2):
            np.testing.assert_array_equal(sampler.draw(300, Draw(seed=3), buffer_tokens), whole)
    later = automaton.generate(np.zeros(0), 100, Draw(seed=3, first=200))
    np.testing.assert_array_equal(later, whole[-len(later) :])
