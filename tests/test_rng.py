"""Counter-based random numbers, and the batches drawn with them."""

import numpy as np
import pytest

from moreish.tape.batch import draw_batch
from moreish.tape.rng import bit_width, bits, permuted, uniform


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


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_batches_of_a_pass_hold_every_window_once(corpus, batch_size):
    stream, T = corpus.stream("train"), 3
    X, Y = corpus.windows("train", T)
    drawn = []
    for step in range(-(-len(Y) // batch_size)):
        contexts, targets = np.zeros((batch_size, T), np.int64), np.zeros(batch_size, np.int64)
        draw_batch(stream, 5, step, batch_size, contexts, targets)
        drawn += [(*c, t) for c, t in zip(contexts.tolist(), targets.tolist(), strict=True)]
    assert sorted(drawn[: len(Y)]) == sorted((*x, y) for x, y in zip(X.tolist(), Y.tolist(), strict=True))


def test_a_batch_depends_on_seed_and_step_alone(corpus):
    stream = corpus.stream("train")

    def draw(seed, step):
        contexts, targets = np.full((8, 3), -1, np.int64), np.full(8, -1, np.int64)
        draw_batch(stream, seed, step, 8, contexts, targets)
        return contexts.tolist(), targets.tolist()

    assert draw(1, 10) == draw(1, 10)
    assert draw(1, 10) != draw(1, 11)
    assert draw(1, 10) != draw(2, 10)
