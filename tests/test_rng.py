"""Counter-based random numbers, and the batches drawn with them."""

from collections import Counter

import numpy as np
import pytest

from moreish import Corpus
from moreish.engine.batches import Batches
from moreish.engine.rng import bit_width, bits, permuted, uniform


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 16, 17, 1000, 1024, 1025])
def test_a_pass_is_a_permutation(n):
    for key in (0, 1, 2**63 - 1):
        width = bit_width(n)
        assert sorted(permuted(i, n, width, np.uint64(key)) for i in range(n)) == list(range(n))


def test_permutations_differ_by_key_and_show_no_order():
    n = 5000
    width = bit_width(n)
    orders = np.array([[permuted(i, n, width, np.uint64(key)) for i in range(n)] for key in range(3)])
    for i in range(3):
        assert abs(np.corrcoef(np.arange(n), orders[i])[0, 1]) < 0.05
        assert abs(np.corrcoef(orders[i][:-1], orders[i][1:])[0, 1]) < 0.05
        assert abs(np.corrcoef(orders[i], orders[(i + 1) % 3])[0, 1]) < 0.05


def test_uniform_numbers_are_uniform():
    u = np.array([uniform(np.uint64(7), i) for i in range(100_000)])
    assert u.min() >= 0
    assert u.max() < 1
    counts = np.histogram(u, 50, (0, 1))[0]
    # chi-square of 49 degrees of freedom: mean 49, standard deviation 9.9
    assert ((counts - 2000) ** 2 / 2000).sum() < 49 + 5 * 9.9
    assert len({int(bits(np.uint64(key), 0)) for key in range(1000)}) == 1000


def drawn(batches: Batches, step: int, T: int):
    """The contexts (B, T), targets (B, L) and counts (B, L) of a step."""
    contexts, targets, counts = batches.room(T)
    for array in (contexts, targets, counts):
        array.fill(-1)
    batches.fill(step, contexts, targets, counts)
    return contexts, targets, counts


@pytest.mark.parametrize("whole_words", [False, True])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches_of_a_pass_hold_every_window_once(corpus, batch_size, whole_words):
    """Also batches of whole words, in which every target follows the same context as in its window."""
    T = 3
    X, Y = corpus.windows("train", T)
    batches, found = Batches.drawn(corpus.stream("train"), batch_size, 5, T, whole_words), []
    for number in range(batches.n_examples):
        contexts, targets, counts = drawn(batches, number // batch_size, T)
        row = number % batch_size
        for k in np.flatnonzero(counts[row]):
            found.append((*contexts[row, k : k + T].tolist(), int(targets[row, k])))
        assert (targets[row][counts[row] == 0] == 0).all()
    assert sorted(found) == sorted((*x, y) for x, y in zip(X.tolist(), Y.tolist(), strict=True))


def test_words_longer_than_the_room_are_several_examples():
    corpus = Corpus(["ab"] * 30 + ["abcdefghij"] * 3)
    batches = Batches.drawn(corpus.stream("train"), 4, 1, 2, whole_words=True)
    assert batches.n_places < 11
    assert batches.n_examples > len(corpus.parts["train"])


def test_the_full_batch_holds_every_window_as_often_as_the_data(corpus):
    X, Y = corpus.windows("train", 3)
    contexts, targets, counts = drawn(Batches.of_all(corpus.stream("train"), 3), 0, 3)
    examples = zip(contexts.tolist(), targets.tolist(), counts.tolist(), strict=True)
    found = Counter({(*c, t): n for c, ts, ns in examples for t, n in zip(ts, ns, strict=True) if n})
    assert found == Counter((*x, y) for x, y in zip(X.tolist(), Y.tolist(), strict=True))
    assert len({tuple(c) for c in contexts.tolist()}) == len(contexts) < len(found) < len(Y) / 2


def test_a_batch_depends_on_seed_and_step_alone(corpus):
    def draw(seed, step):
        return [a.tolist() for a in drawn(Batches.drawn(corpus.stream("train"), 8, seed, 3, False), step, 3)]

    assert draw(1, 10) == draw(1, 10)
    assert draw(1, 10) != draw(1, 11)
    assert draw(1, 10) != draw(2, 10)
