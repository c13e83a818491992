"""Weights that are mapped into memory against those that are read."""

import random

import numpy as np
import pytest
from conftest import made_up_words
from safetensors import SafetensorError
from safetensors.numpy import load, save

import moreish
from moreish.files import write_atomically
from moreish.training import tensors
from moreish.training.folder import MODEL
from moreish.training.tensors import stored_arrays


@pytest.fixture(autouse=True)
def mapped(monkeypatch) -> None:
    """Map files of all sizes."""
    monkeypatch.setattr(tensors, "MAPPED_FROM", 0)


def is_same(some: dict[str, np.ndarray], others: dict[str, np.ndarray]) -> bool:
    return some.keys() == others.keys() and all(
        (a.dtype, a.shape, a.tobytes()) == (b.dtype, b.shape, b.tobytes())
        for a, b in ((some[name], others[name]) for name in some)
    )


@pytest.fixture
def arrays() -> dict[str, np.ndarray]:
    """Arrays of all types and shapes that runs have."""
    rng = np.random.default_rng(0)
    return {
        "p": rng.random(5),
        "weight": rng.random((3, 4)).astype(np.float32),
        "char": rng.integers(0, 9, 7).astype(np.int32),
        "first": rng.integers(0, 9, 3),
        "scalar": np.array(2.5),
        "none": np.zeros((0, 4), np.float32),
        **{f"counts {bits}": rng.integers(0, 99, (3, 2)).astype(f"u{bits // 8}") for bits in (8, 16, 32, 64)},
    }


def test_mapped_arrays_are_those_of_the_file(tmp_path, arrays):
    path = tmp_path / MODEL
    path.write_bytes(save(arrays))
    found = stored_arrays(path)
    assert is_same(found, arrays)
    assert all(array.flags.writeable and array.flags.aligned for array in found.values())
    found["p"][:] = 0  # of these arrays alone
    assert is_same(stored_arrays(path), arrays)


def test_a_file_that_is_replaced_leaves_the_arrays_as_they_are(tmp_path, arrays):
    path = tmp_path / MODEL
    path.write_bytes(save(arrays))
    found = stored_arrays(path)
    write_atomically(path, save({name: np.zeros_like(array) for name, array in arrays.items()}))
    assert is_same(found, arrays)


def test_arrays_at_any_place_are_aligned(tmp_path):
    data = save({"a": np.arange(3, dtype=np.float64), "b": np.arange(5, dtype=np.int32)})
    size = int.from_bytes(data[:8], "little")
    path = tmp_path / MODEL
    for more in range(1, 8):
        path.write_bytes((size + more).to_bytes(8, "little") + data[8 : 8 + size] + b" " * more + data[8 + size :])
        found = stored_arrays(path)
        assert is_same(found, load(path.read_bytes()))
        assert all(array.flags.aligned for array in found.values())


def test_a_damaged_file_is_refused_or_read_as_before(tmp_path, arrays):
    """Bytes of the header are changed, or the file is cut."""
    data, generator, path, refused = save(arrays), random.Random(0), tmp_path / MODEL, 0
    end = 8 + int.from_bytes(data[:8], "little")
    for number in range(600):
        changed = bytearray(data)
        if number % 3:
            changed[generator.randrange(end)] = generator.choice(b'0123456789[]{},:"FI ' + bytes([255]))
        else:
            changed = changed[: generator.randrange(len(data))]
        path.write_bytes(changed)
        try:
            found = stored_arrays(path)
        except (SafetensorError, ValueError):
            refused += 1
        else:
            assert is_same(found, load(bytes(changed)))
    assert 300 < refused < 600


def test_a_run_whose_tables_are_mapped_is_the_same(tmp_path):
    made = moreish.train(made_up_words(200), "ngram", order=5).save(tmp_path / "run")
    loaded = moreish.load(tmp_path / "run")
    assert is_same(loaded.model.arrays, made.model.arrays)
    assert not loaded.model.arrays["p"].flags.owndata
    assert loaded.model.sample(50, seed=1, contains="a") == made.model.sample(50, seed=1, contains="a")
    assert loaded.loss == made.loss
