"""The float32 polynomials, and the matrix products."""

import math

import numpy as np
import pytest

from moreish.layers.jit import njit
from moreish.layers.maths import erf, exp, kernel, tanh
from moreish.layers.matmul import affine, dot


@kernel
def apply_exp(x, y):
    for i in range(x.size):
        y[i] = exp(x[i])


@kernel
def apply_tanh(x, y):
    for i in range(x.size):
        y[i] = tanh(x[i])


@kernel
def apply_erf(x, y):
    for i in range(x.size):
        y[i] = erf(x[i])


def exact_erf(x):
    return np.array([math.erf(element) for element in x])


def ulp_error(y, reference):
    """The largest error in units of the last place of float32."""
    return (np.abs(y - reference) / np.spacing(np.abs(reference).astype(np.float32)).astype(np.float64)).max()


def points(low, high):
    """A dense grid, and numbers of every magnitude."""
    generator = np.random.default_rng(0)
    tiny = 10.0 ** generator.uniform(-30, 0, 100_000) * generator.choice([-1, 1], 100_000)
    return np.concatenate([np.linspace(low, high, 2_000_001), tiny]).astype(np.float32)


@pytest.mark.parametrize(
    ("function", "reference", "low", "high", "ulp"),
    [(apply_exp, np.exp, -87, 88, 2), (apply_tanh, np.tanh, -20, 20, 5), (apply_erf, exact_erf, -5, 5, 7)],
)
def test_float32_polynomials_are_as_exact_as_documented(function, reference, low, high, ulp):
    x = points(low, high)
    y = np.empty_like(x)
    function(x, y)
    assert ulp_error(y.astype(np.float64), reference(x.astype(np.float64))) <= ulp


@pytest.mark.parametrize("function", [apply_exp, apply_tanh, apply_erf])
def test_nan_stays_nan_and_infinity_has_its_limit(function):
    x = np.array([np.nan] * 17 + [np.inf, -np.inf], np.float32)
    y = np.empty_like(x)
    function(x, y)
    assert np.isnan(y[:17]).all()
    assert np.isfinite(y[17:]).all()
    if function is not apply_exp:
        assert y[17:].tolist() == pytest.approx([1, -1])
        assert np.abs(y[17:]).max() <= 1


@pytest.mark.parametrize("function", [apply_tanh, apply_erf])
def test_an_odd_function_is_odd_to_the_last_bit_and_never_exceeds_1(function):
    x = points(-20, 20)
    y, of_negative = np.empty((2, x.size), np.float32)
    function(x, y)
    function(-x, of_negative)
    np.testing.assert_array_equal(y, -of_negative)
    assert np.abs(y).max() == 1


@pytest.mark.parametrize(("function", "reference"), [(apply_tanh, np.tanh), (apply_erf, exact_erf)])
def test_float64_is_the_exact_function(function, reference):
    x = np.linspace(-30, 30, 1001)
    y = np.empty_like(x)
    function(x, y)
    np.testing.assert_allclose(y, reference(x), rtol=1e-15)


@njit
def products(a, b, at, bt, bias, out):
    dot(a, b, out[0])
    dot(at.T, b, out[1])
    dot(a, bt.T, out[2])
    affine(a, b, bias, out[3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("N", [1, 2, 3, 4, 5, 7, 8, 10, 15, 16, 17, 27, 32, 33, 64, 70])
def test_products_are_products(dtype, N):
    generator = np.random.default_rng(N)
    for M in (1, 2, 3, 8, 9, 20):
        for K in (1, 2, 5, 40):
            a, b = generator.standard_normal((M, K)).astype(dtype), generator.standard_normal((K, N)).astype(dtype)
            bias = generator.standard_normal(N).astype(dtype)
            out = np.full((4, M, N), np.nan, dtype)
            products(a, b, np.ascontiguousarray(a.T), np.ascontiguousarray(b.T), bias, out)
            exact = a.astype(np.float64) @ b.astype(np.float64)
            scale = np.abs(a).astype(np.float64) @ np.abs(b) + np.abs(bias)
            for got, expected in zip(out, [exact, exact, exact, exact + bias], strict=True):
                assert (np.abs(got - expected) / scale).max() < 8 * np.finfo(dtype).eps


def test_a_row_of_a_product_does_not_depend_on_the_others():
    generator = np.random.default_rng(0)
    a, b = generator.standard_normal((37, 50), np.float32), generator.standard_normal((50, 27), np.float32)
    bias = np.zeros(27, np.float32)
    whole, alone = np.zeros((4, 37, 27), np.float32), np.zeros((4, 1, 27), np.float32)
    products(a, b, np.ascontiguousarray(a.T), np.ascontiguousarray(b.T), bias, whole)
    for i in (0, 20, 36):
        row = np.ascontiguousarray(a[i : i + 1])
        products(row, b, np.ascontiguousarray(row.T), np.ascontiguousarray(b.T), bias, alone)
        assert alone[0].tobytes() == whole[0, i : i + 1].tobytes()
