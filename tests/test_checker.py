"""The checker of a user's gradients: it accepts right ones and explains wrong ones."""

from typing import Any

import numpy as np
import pytest
import torch

import moreish
from moreish import InputError

N, K, H, V = 8, 5, 5, 4


class Case:
    """A two-layer net with the lecture's steps inside the loss, and its right gradients, in NumPy or PyTorch."""

    def __init__(self, library: str):
        generator = np.random.default_rng(0)
        make = torch.tensor if library == "torch" else np.array
        arrays = [generator.standard_normal(shape) for shape in ((N, K), (K, H), (H,), (H, V))]
        self.x, self.W, self.b, self.U = (make(a) for a in arrays)
        self.y = generator.integers(0, V, N)
        self.lib: Any = torch if library == "torch" else np
        x, W, b, U = arrays
        h = np.tanh(x @ W + b)
        counts = np.exp(h @ U)
        counts_sum = counts.sum(1, keepdims=True)
        probs = counts / counts_sum
        dprobs = np.zeros_like(probs)
        dprobs[np.arange(N), self.y] = -1 / N / probs[np.arange(N), self.y]
        self.through_probs = dprobs / counts_sum
        dcounts_sum = -(dprobs * counts).sum(1, keepdims=True) / counts_sum**2
        dcounts = self.through_probs + dcounts_sum
        dlogits = dcounts * counts
        dh = dlogits @ U.T
        dhpre = dh * (1 - h**2)
        self.right = {
            "dprobs": dprobs,
            "dcounts_sum": dcounts_sum,
            "dcounts": dcounts,
            "dlogits": dlogits,
            "dU": h.T @ dlogits,
            "dh": dh,
            "dhpre": dhpre,
            "dW": x.T @ dhpre,
            "db": dhpre.sum(0),
        }
        self.make = make

    def forward(self, t):
        hpre = t("hpre", self.x @ t("W", self.W) + t("b", self.b))
        h = t("h", self.lib.tanh(hpre))
        logits = t("logits", h @ t("U", self.U))
        counts = t("counts", self.lib.exp(logits))
        counts_sum = t("counts_sum", counts.sum(1).reshape(N, 1))
        probs = t("probs", counts / counts_sum)
        return -self.lib.log(probs[self.lib.arange(N), self.y]).mean()

    def check(self, **wrong):
        return moreish.check_gradients(self.forward, {k: self.make(v) for k, v in {**self.right, **wrong}.items()})


@pytest.fixture(params=["numpy", "torch"])
def case(request):
    return Case(request.param)


def test_right_gradients_pass(case):
    report = case.check()
    assert report.ok, report
    assert [v.name for v in report.verdicts] == [
        "dprobs",
        "dcounts_sum",
        "dcounts",
        "dlogits",
        "dU",
        "dh",
        "dhpre",
        "db",
        "dW",
    ]


@pytest.mark.parametrize(
    ("name", "spoil", "says"),
    [
        ("dlogits", lambda c: -c.right["dlogits"], "wrong sign"),
        ("dlogits", lambda c: c.right["dlogits"] * N, f"{N} times too large: is a 1/{N} missing?"),
        ("dh", lambda c: c.right["dh"] * 0.3, "off by a factor of 0.3"),
        ("dU", lambda c: c.right["dU"].T, "it is transposed"),
        ("dW", lambda c: c.right["dW"].T, "it is transposed"),
        ("db", lambda c: c.right["dhpre"], "lacks a sum over dimension 0, along which b was broadcast"),
        (
            "dcounts_sum",
            lambda c: np.broadcast_to(c.right["dcounts_sum"] / V, (N, V)).copy(),
            "lacks a sum over dimension 1",
        ),
        ("dcounts", lambda c: c.through_probs, "lacks one of two paths: the one through counts_sum"),
        ("dh", lambda c: c.right["dh"][:, :3], "its shape is (8, 3), but the shape of h is (8, 5)"),
    ],
)
def test_each_kind_of_mistake_is_named(case, name, spoil, says):
    report = case.check(**{name: spoil(case)})
    assert not report.ok
    assert report.first_wrong is not None
    assert report.first_wrong.name == name
    assert says in report.first_wrong.explanation
    assert report.first_wrong.words == report.first_wrong.explanation, "its old name"
    assert f"look at {name} first" in str(report)


def test_wrong_entries_are_located(case):
    wrong = case.right["dW"].copy()
    wrong[2, 3] += 1
    report = case.check(dW=wrong)
    assert report.first_wrong is not None
    assert "in 1 of 25 entries, the first at (2, 3)" in report.first_wrong.explanation


def test_the_first_in_the_order_of_the_backward_pass_is_named(case):
    report = case.check(dW=-case.right["dW"], dlogits=-case.right["dlogits"])
    assert report.first_wrong is not None
    assert report.first_wrong.name == "dlogits"
    assert sum(not verdict.ok for verdict in report.verdicts) == 2


def test_wrong_use_is_refused(case):
    with pytest.raises(InputError, match="unknown tensor dlogit; did you mean logits"):
        moreish.check_gradients(case.forward, {"dlogit": case.right["dlogits"]})
    with pytest.raises(InputError, match="a single number"):
        moreish.check_gradients(lambda t: t("W", case.W), {})
    with pytest.raises(InputError, match="two tensors are named W"):
        moreish.check_gradients(lambda t: (t("W", case.W) * t("W", case.W)).sum(), {})
