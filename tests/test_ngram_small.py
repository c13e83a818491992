"""Counting, reading and drawing with NumPy give what compiled code gives, to the bit."""

import subprocess
import sys

import numpy as np
import pytest

import moreish
from moreish import bundled
from moreish.engine.protocol import Draw
from moreish.layers import jit
from moreish.ngram import Automaton, automaton, count_tables, sampler, small, smoothed, tables, windows
from moreish.ngram.fitting import distinct, evidence, fit_loss, trace_tokens

ALPHABET = "abcdé"


def random_stream(seed: int, words: int, repeats: int = 3) -> np.ndarray:
    """A stream of random words, some of them many times."""
    generator = np.random.default_rng(seed)
    made = [generator.integers(1, len(ALPHABET) + 1, generator.integers(1, 12)) for _ in range(words)]
    chosen = generator.integers(0, words, repeats * words)
    return np.concatenate([[0], *(np.append(made[i], 0) for i in chosen)]).astype(np.int32)


def results(order: int, padded: bool, temperature: float, at_least: int) -> list[np.ndarray]:
    """Results of counting, fitting, reading and drawing, for random words."""
    V, train, val = len(ALPHABET) + 1, random_stream(order, 40), random_stream(order + 100, 30)
    counted = count_tables(train, order, V, at_least=at_least, padded=padded)
    arrays = smoothed(counted, "fitted", 0.1, val)
    model = Automaton(order, V, arrays)
    unended = np.append(val, [1, 2]).astype(np.int32)
    draw = Draw(temperature=temperature, seed=7, max_length=9, prefix=[2, 1], first=3)
    words = model.generate(np.zeros(0), 50, draw), model.generate(np.zeros(0), 50, Draw(seed=1, max_length=15))
    return [
        *vars(counted).values(),
        *arrays.values(),
        model.nll(np.zeros(0), val),
        model.nll(np.zeros(0), unended),
        *words,
    ]


@pytest.mark.parametrize(
    ("order", "padded", "temperature", "at_least"),
    [(1, True, 1.0, 1), (2, False, 0.3, 1), (4, True, 1.7, 1), (6, False, 1.0, 1), (5, False, 1.0, 3)],
)
def test_numpy_gives_what_compiled_code_gives(order, padded, temperature, at_least, monkeypatch):
    found = []
    for way in (True, False):
        for module in (automaton, tables, windows):
            monkeypatch.setattr(module, "is_small", lambda n, way=way: way)
        monkeypatch.setattr(sampler, "is_short", lambda n, way=way: way)
        found.append(results(order, padded, temperature, at_least))
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_small_list_is_counted_without_compiling_also_once_numba_is_imported(monkeypatch):
    _ = jit.numba.njit  # imports it
    assert jit.numba_is_imported()
    monkeypatch.setattr(small, "MAX_TOKENS", 1 << 19)
    for module in (automaton, tables, windows):
        monkeypatch.setattr(module, "compiled", lambda function: pytest.fail(f"{function} is compiled"))
    run = moreish.train(bundled("dinosaurs"), "ngram", smoothing="kneser-ney", order=4)
    assert 0 < run.loss["val"] < 4


@pytest.mark.parametrize("n", [2, 5])
def test_a_first_small_piece_is_counted_with_others_that_are_large(n, monkeypatch):
    stream, V = random_stream(n, 200), len(ALPHABET) + 1
    monkeypatch.setattr(small, "MAX_TOKENS", 1 << 19)
    expected = windows.count_windows(stream, n, V)
    ends = np.flatnonzero(stream == 0)
    first, second = stream[: ends[20] + 1], stream[ends[20] :]
    monkeypatch.setattr(small, "MAX_TOKENS", len(first))
    assert len(second) > 2 * len(first)
    monkeypatch.setattr(windows, "_runs", lambda streams, size: iter([first, second]))
    found = windows.count_windows(stream, n, V)
    np.testing.assert_array_equal(found.keys, expected.keys)
    np.testing.assert_array_equal(found.counts, expected.counts)


def test_equal_evidence_is_fitted_once_with_its_weight():
    train, val, V, generator = random_stream(1, 50), random_stream(2, 40), len(ALPHABET) + 1, np.random.default_rng(3)
    tables = count_tables(train, 4, V)
    nodes, entries = trace_tokens(tables, val, np.arange(len(val) - 1))
    weights = generator.uniform(0.5, 2, len(nodes))
    fewer = distinct(nodes, entries, weights)
    assert len(fewer[0]) < len(nodes)
    x = generator.normal(size=12)
    (loss, gradient), (loss_of_fewer, gradient_of_fewer) = (
        fit_loss(evidence(tables, *of), V)(x) for of in ((nodes, entries, weights), fewer)
    )
    assert loss_of_fewer == pytest.approx(loss, rel=1e-12)
    np.testing.assert_allclose(gradient_of_fewer, gradient, rtol=1e-9, atol=1e-12)


def test_a_small_list_is_counted_sampled_and_scored_without_numba(tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("\n".join(bundled("dinosaurs")) + "\n", encoding="utf-8")
    run = f"""
import sys
from moreish.cli import run
assert run(["train", {str(words)!r}, "--model", "ngram", "--out", {str(tmp_path / "run")!r}]) == 0
assert run(["sample", {str(tmp_path / "run")!r}, "--only-new"]) == 0
assert run(["score", {str(tmp_path / "run")!r}, "saurus"]) == 0
assert "numba" not in sys.modules and "llvmlite" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", run], check=True, capture_output=True, text=True)
