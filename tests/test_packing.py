"""Packing of whole words, against brute force on tiny alphabets."""

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moreish.engine.packing import split_evenly
from moreish.engine.words import Packed, WordBatches, pack_words, sorted_words
from moreish.layers.levels import N_LEVELS, N_PAIRS

WORD = st.lists(st.integers(1, 3), max_size=5).map(tuple)  # empty words, repeats, and beginnings of each other
LISTS = st.lists(st.tuples(WORD, st.integers(0, 2), st.integers(1, 4)), min_size=1, max_size=14)  # word, label, weight
Row = tuple[int, tuple[int, ...]]  # a label and a prefix


def stream_of(words) -> np.ndarray:
    return np.array([0, *(token for word in words for token in (*word, 0))], np.int32)


def options_of(listed, labelled: bool, weighted: bool) -> dict[str, Any]:
    """The labels and weights of a list, if it has any."""
    labels, weights = (np.array(of) for of in list(zip(*listed, strict=True))[1:])
    return {"labels": labels if labelled else None, "weights": weights.astype(float) if weighted else None}


def words_at(words, first: int, last: int) -> list[tuple[int, tuple[int, ...], int]]:
    """The label, tokens and weight of words in sorted order."""
    found, lengths = [], words.lengths()
    for i in words.order[first:last]:
        begin = words.begins[i]
        label = int(words.labels[i]) if words.labels.size else 0
        found.append((label, tuple(words.stream[begin : begin + lengths[i]].tolist()), int(words.weights[i])))
    return found


def rows_of(packed: Packed) -> list[Row]:
    """The label and the prefix of every row, found by its parent. Each level has the rows that go on first."""
    levels, found, continued = packed.levels, [], [-1]
    for level in range(levels.head[N_LEVELS]):
        first, size, alive = int(levels.begins[level]), int(levels.sizes[level]), int(levels.alive[level])
        assert first == len(found)
        assert 0 <= alive <= size
        for row in range(first, first + size):
            before, token = continued[levels.parents[row]], int(packed.contexts[row, 0])
            label = int(packed.contexts[row, 1]) if packed.contexts.shape[1] > 1 else 0
            prefix = () if before < 0 else (*found[before][1], token)
            assert len(prefix) == level
            assert before >= 0 or token == 0
            assert before < 0 or found[before][0] == label
            found.append((label, prefix))
        if level:
            parents = {continued[levels.parents[row]] for row in range(first, first + size)}
            assert parents == set(continued[-int(levels.alive[level - 1]) :]), "the rows that go on have children"
        continued += range(first, first + alive)
    assert len(found) == len(packed.contexts)
    return found


def pairs_of(packed: Packed) -> list[tuple[Row, int, int]]:
    """A row, the token that follows it, and how often."""
    rows, n = rows_of(packed), packed.levels.head[N_PAIRS]
    of_pairs = zip(packed.levels.rows[:n], packed.levels.targets[:n], packed.levels.counts[:n], strict=True)
    return [(rows[row], int(target), int(count)) for row, target, count in of_pairs]


@given(LISTS, st.booleans(), st.booleans(), st.tuples(st.integers(0, 14), st.integers(0, 14)))
def test_rows_are_the_different_prefixes_and_pairs_have_the_counts_of_what_follows(listed, labelled, weighted, cut):
    """Of all words, or of some of them in sorted order."""
    words = WordBatches.of_all(stream_of(w for w, _, _ in listed), 1, **options_of(listed, labelled, weighted)).words(0)
    for first, last in ((0, len(listed)), sorted(min(at, len(listed)) for at in cut)):
        packed, prefixes, followers = pack_words(words, first, last), set[Row](), Counter[tuple[Row, int]]()
        for label, word, weight in words_at(words, first, last):
            for n, token in enumerate((*word, 0)):
                prefixes.add((label, word[:n]))
                followers[(label, word[:n]), token] += weight
        rows, pairs = rows_of(packed), pairs_of(packed)
        assert len(rows) == len(prefixes)
        assert set(rows) == prefixes
        assert len(pairs) == len(followers)
        assert {(row, token): count for row, token, count in pairs} == followers
        assert packed.total == sum((len(w) + 1) * (n if weighted else 1) for w, _, n in listed), "of the whole batch"


@given(LISTS, st.booleans())
def test_words_are_sorted_by_label_and_tokens(listed, labelled):
    words = WordBatches.of_all(stream_of(w for w, _, _ in listed), 1, **options_of(listed, labelled, True)).words(0)
    found = words_at(words, 0, len(listed))
    assert sorted(found) == sorted((label * labelled, word, weight) for word, label, weight in listed)
    assert [word[:2] for word in found] == sorted(word[:2] for word in found)
    for (label, word, _), (other, after, _), common in zip(found, found[1:], words.common[1:], strict=False):
        one, two = (*word, 0), (*after, 0)
        equal = [n for n in range(7) if n <= min(len(one), len(two)) and one[:n] == two[:n]]
        assert common == (max(equal) if label == other else -1)


@given(LISTS, st.booleans())
def test_without_sharing_every_token_has_a_row_and_a_pair(listed, labelled):
    words = WordBatches.of_all(stream_of(w for w, _, _ in listed), 1, **options_of(listed, labelled, True)).words(0)
    packed = pack_words(words, 0, len(listed), shared=False)
    tokens = [
        ((label * labelled, word[:n]), token, weight)
        for word, label, weight in listed
        for n, token in enumerate((*word, 0))
    ]
    assert sorted(pairs_of(packed)) == sorted(tokens)
    assert sorted(rows_of(packed)) == sorted(row for row, _, _ in tokens)
    assert sorted(packed.levels.rows[: len(tokens)]) == list(range(len(tokens)))


@given(LISTS)
def test_every_token_of_the_stream_has_its_pair(listed):
    stream = stream_of(w for w, _, _ in listed)
    pairs = np.full(len(stream) - 1, -1)
    packed = pack_words(sorted_words(stream), 0, len(listed), pairs=pairs)
    known, prefix = pairs_of(packed), ()
    for token, pair in zip(stream[1:].tolist(), pairs, strict=True):
        assert known[pair][:2] == ((0, prefix), token)
        prefix = (*prefix, token) if token else ()
    assert Counter(pairs.tolist()) == {number: count for number, (_, _, count) in enumerate(known)}


@given(
    LISTS,
    *(st.booleans() for _ in range(3)),
    st.integers(1, 40),
    st.integers(1, 5),
    st.integers(0, 9),
)
def test_parts_of_a_batch_fit_their_room_and_lose_no_word(listed, labelled, weighted, shared, size, parts, step):
    """Also where a batch is larger than a pass, or than several."""
    stream, options = stream_of(w for w, _, _ in listed), options_of(listed, labelled, weighted)
    for batches in (
        WordBatches.drawn(stream, size, 5, **options, shared=shared),
        WordBatches.of_all(stream, 5, **options),
    ):
        words, room, bounds = batches.words(step), batches.room(parts), np.zeros(parts + 1, np.int64)
        shared = batches.source.shared
        split_evenly(words, shared, parts, room, bounds)
        assert bounds[0] == 0
        assert bounds[-1] == len(words.order) == batches.size
        whole = pack_words(words, 0, batches.size, shared=shared).levels.head[N_PAIRS]
        for first, last in pairwise(bounds.tolist()):
            assert first <= last
            packed = pack_words(words, first, last, shared=shared)
            n_pairs = packed.levels.head[N_PAIRS]
            assert len(packed.contexts) <= n_pairs <= room
            assert n_pairs <= -(-whole // parts) + 2 * (batches.longest + 1), "about as many in each"


@given(LISTS, st.booleans(), st.integers(1, 4), st.integers(6, 20))
def test_no_part_is_larger_than_its_room(listed, shared, parts, room):
    """Even if the room is too small for all words: it is at least that of one word."""
    batches, bounds = WordBatches.of_all(stream_of(w for w, _, _ in listed), 1), np.zeros(parts + 1, np.int64)
    words = batches.words(0)
    split_evenly(words, shared, parts, room, bounds)
    sizes = [pack_words(words, *cut, shared=shared).levels.head[N_PAIRS] for cut in pairwise(bounds.tolist())]
    assert max(sizes) <= room
    if bounds[-1] < len(listed):
        longer = pack_words(words, int(bounds[-2]), int(bounds[-1]) + 1, shared=shared)
        assert longer.levels.head[N_PAIRS] > room, "the last part takes all that fits"


@pytest.fixture
def batches():
    """Batches of 7 of 30 different words."""
    words = [(1 + i % 3, 1 + i // 3 % 3, 1 + i // 9) for i in range(30)]
    return WordBatches.drawn(stream_of(words), 7, 3)


def test_the_words_of_a_step_depend_on_the_seed_and_the_step_alone(batches):
    def chosen(batches, step):
        return [word for _, word, _ in words_at(batches.words(step), 0, batches.size)]

    steps = [chosen(batches, step) for step in range(6)]
    assert chosen(batches, 2) == steps[2]
    assert len({tuple(step) for step in steps}) == 6
    other = WordBatches(batches.source._replace(seed=4))
    assert chosen(other, 2) != steps[2]
    assert len({batches.key(step) for step in range(100)} | {other.key(step) for step in range(100)}) == 200


def test_a_pass_draws_every_word_once(batches):
    """A batch may lie in two passes."""
    order = np.concatenate([batches.of_size(1).words(step).begins for step in range(90)]).reshape(3, 30)
    assert (np.sort(order) == batches.source.begins).all()
    assert not (order[0] == order[1]).all()
    sevens = np.concatenate([np.sort(batches.words(step).begins) for step in range(12)])
    expected = np.concatenate([np.sort(of) for of in order.ravel()[:84].reshape(12, 7)])
    assert sevens.tolist() == expected.tolist()


def test_weights_say_how_often_a_pass_draws_a_word(batches):
    weights = np.random.default_rng(1).uniform(0.1, 5, 30)
    weighted = WordBatches.drawn(batches.source.stream, 30, 3, weights=weights)
    expected, sums = 30 * weights / weights.sum(), np.zeros(30)
    for step in range(200):
        times = np.array([(weighted.words(step).begins == begin).sum() for begin in batches.source.begins])
        assert times.sum() == 30
        assert (np.abs(times - expected) < 1 + 1e-9).all()
        sums += times
    np.testing.assert_allclose(sums / 200, expected, atol=0.2)


def test_the_batch_of_all_words_has_their_weights():
    stream = stream_of([(1, 2), (1, 2), (1,), (2, 2, 2)])
    whole, halves = (WordBatches.of_all(stream, 1, weights=np.array([3, 1, 2, 5.0]) / by) for by in (1, 2))
    assert whole.packed(0).total == 4 * 3 + 2 * 2 + 5 * 4
    assert dict(Counter(whole.packed(3).levels.counts.tolist())) == dict(
        Counter(whole.packed(0).levels.counts.tolist())
    )
    shares = [np.array([count for _, _, count in pairs_of(b.packed(0))]) / b.packed(0).total for b in (whole, halves)]
    np.testing.assert_allclose(*shares, rtol=1e-9)


@given(LISTS, st.booleans())
def test_equal_prefixes_have_equal_keys_and_others_have_other_ones(listed, labelled):
    """In any batch. Without sharing every row has a key of its own."""
    found: dict[Row, int] = {}
    for some in (listed, listed[::2]):
        stream, options = stream_of(w for w, _, _ in some), options_of(some, labelled, False)
        packed = WordBatches.of_all(stream, 1, **options).packed(0)
        for row, key in zip(rows_of(packed), packed.levels.keys.tolist(), strict=False):
            assert found.setdefault(row, key) == key
    assert len(set(found.values())) == len(found)
    words = WordBatches.of_all(stream_of(w for w, _, _ in listed), 1).words(0)
    packed = pack_words(words, 0, len(listed), shared=False)
    assert len(set(packed.levels.keys[: len(packed.contexts)].tolist())) == len(packed.contexts)


def test_a_batch_may_be_packed_in_parts(batches):
    """The parts have the pairs of the whole; `most` takes some words evenly from all."""
    whole, many = Counter(), batches.of_size(29)
    for part in range(3):
        packed = many.packed(4, part=part, parts=3)
        for row, token, count in pairs_of(packed):
            whole[row, token] += count
        assert packed.total == 29 * 4
    assert whole == Counter({(row, token): count for row, token, count in pairs_of(many.packed(4))})
    sorted_words = [word for _, word, _ in words_at(many.words(4), 0, 29)]
    wanted = Counter()
    for place in (0, 7, 14, 21, 28):
        word = sorted_words[place]
        wanted.update((word[:n], token) for n, token in enumerate((*word, 0)))
    found = Counter()
    for (_, prefix), token, count in pairs_of(many.packed(4, 5)):
        found[prefix, token] += count
    assert found == wanted
