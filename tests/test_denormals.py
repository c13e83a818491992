"""Denormal numbers are zero while a thread trains, and as they were before and after."""

import numpy as np
import pytest
from networks import NETWORKS, T, V

from moreish.engine.batches import Batches
from moreish.engine.optim import zero_moments
from moreish.engine.protocol import Steps
from moreish.engine.tape import Tape
from moreish.engine.tape.denormals import FLUSH, set_flushing
from moreish.layers.jit import njit
from moreish.layers.layout import Layout

on_known_processors = pytest.mark.skipif(not FLUSH, reason="this processor's denormal numbers are not flushed")


@njit
def tenths(x):
    """Tenths of x (n,), while denormal numbers are flushed and after, and the bits before, between and last."""
    flushed, kept, bits = np.empty_like(x), np.empty_like(x), np.empty(3, np.int64)
    bits[0] = set_flushing(FLUSH)
    for i in range(x.size):
        flushed[i] = x[i] * x.dtype.type(0.1)
    bits[1] = set_flushing(bits[0])
    for i in range(x.size):
        kept[i] = x[i] * x.dtype.type(0.1)
    bits[2] = set_flushing(bits[0])
    return flushed, kept, bits


@on_known_processors
def test_denormal_numbers_are_zero_until_the_bits_are_restored():
    x = np.array([3e-38, -2e-38, 1e-40, 4e-37, 1.5, 0] * 7, np.float32)
    flushed, kept, bits = tenths(x)
    np.testing.assert_array_equal(kept, x * np.float32(0.1))
    np.testing.assert_array_equal(flushed, np.where(np.abs(kept) < np.finfo(np.float32).tiny, 0, kept))
    assert (flushed != kept).sum() == 21
    assert bits.tolist() == [0, FLUSH, 0]


def test_in_plain_python_nothing_changes():
    assert set_flushing(FLUSH) == 0
    assert np.float32(3e-38) * np.float32(0.1) > 0


@on_known_processors
@pytest.mark.parametrize("last_rate", [0.1, np.inf])
def test_a_training_leaves_no_denormal_moment_and_the_thread_as_it_was(last_rate):
    """Also if it stops, because a loss is not finite."""
    layers, stream = NETWORKS["a tree"], np.append(0, np.arange(500) % (V - 2)).astype(np.int32)
    layout = Layout(layers)
    batches, moments = Batches.drawn(stream, 20, 1, T, whole_words=False), zero_moments("adamw", layout.n_trained)
    moments[0], moments[1] = 1.2e-38, 1e-39
    rates = np.array([0.01, 0.01, last_rate, 0.01])
    losses = Tape(layers, T, V).train(layout.initial(1), moments, batches, Steps("adamw", 0.0, 0, rates))
    assert np.isfinite(losses).all() == np.isfinite(last_rate)
    of_absent_tokens = np.stack([layout.views(row)["0.embedding.C"][V - 2 :] for row in moments])
    assert not of_absent_tokens.any(), "their gradients are zero, so their moments shrink"
    assert np.count_nonzero(moments) > moments.size / 2
    assert np.float32(3e-38) * np.float32(0.1) > 0
