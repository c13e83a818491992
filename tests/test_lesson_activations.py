"""The checks of lesson 3 accept right answers and give hints for wrong ones that do not contain the answer."""

import math

import pytest
import torch
from torch import nn

import moreish
from moreish.lessons import activations
from moreish.lessons.activations import (
    PATIENTS,
    TROUBLES,
    check_bound,
    check_folded,
    check_gain,
    check_moving,
    check_patients,
    patients,
)

HIDDEN, LAST = ("W1", "b1", "W2", "b2"), ("W2", "b2")
ANSWER = {name: trouble for name, (_, trouble) in PATIENTS.items()}


def leaky(z):
    return nn.functional.leaky_relu(z, 0.3)


@pytest.fixture(scope="module")
def pair():
    """BatchNorm1d followed by a Linear, with statistics of real inputs; and an input."""
    torch.manual_seed(1)
    norm, linear = nn.BatchNorm1d(5), nn.Linear(5, 4)
    for _ in range(50):
        norm(1 + 2 * torch.randn(32, 5))
    with torch.no_grad():
        norm.weight.add_(torch.randn(5) / 4)
        norm.bias.add_(torch.randn(5))
    return nn.Sequential(norm, linear).eval(), torch.randn(20, 5)


def folded(net):
    norm, linear = net
    s = norm.weight / (norm.running_var + norm.eps).sqrt()
    return s[:, None] * linear.weight.T, (norm.bias - s * norm.running_mean) @ linear.weight.T + linear.bias


@pytest.mark.parametrize(
    ("check", "arguments"),
    [
        (check_moving, ({"b2"}, HIDDEN)),
        (check_moving, ("b2", HIDDEN)),
        (check_moving, (["b2", "W2"], LAST)),
        (check_gain, (math.sqrt(2), torch.relu)),
        (check_gain, (1.4108, torch.relu)),
        (check_gain, (math.sqrt(2 / 1.09), leaky)),
        (check_bound, (5 / 3 * math.sqrt(3 / 30), 30, 5 / 3)),
        (check_patients, (ANSWER,)),
    ],
)
def test_right(check, arguments, capsys):
    assert check(*arguments)
    assert capsys.readouterr().out.endswith(": right\n")


@pytest.mark.parametrize(
    ("check", "arguments", "says", "silent"),
    [
        (check_moving, (..., HIDDEN), "dots", "b2\n"),
        (check_moving, (None, LAST), "dots", "W2 and"),
        (check_moving, ({"W2", "b2"}, HIDDEN), "gradient of zero", "W2:"),
        (check_moving, (set(), HIDDEN), "One is missing", "b2."),
        (check_moving, ({"b2"}, LAST), "One is missing", "W2."),
        (check_moving, ({"b3"}, LAST), "there is no b3", "b2 moves"),
        (check_gain, (..., torch.relu), "dots", "1.41"),
        (check_gain, (1, torch.relu), "shrinks by a factor of about 4e+07", "1.41"),
        (check_gain, (5 / 3, torch.relu), "grows", "1.41"),
        (check_gain, (2, torch.relu), "grows", "1.41"),
        (check_gain, (math.sqrt(2), leaky), "grows", "1.35"),
        (check_gain, (-1, torch.relu), "above zero", "1.41"),
        (check_bound, (None, 30, 5 / 3), "dots", "0.527"),
        (check_bound, (5 / 3 / math.sqrt(30), 30, 5 / 3), "too low", "0.527"),
        (check_bound, (5 / 3 * 3 / math.sqrt(30), 30, 5 / 3), "too high", "0.527"),
        (check_patients, (...,), "dots", "healthy"),
        (check_patients, ({**ANSWER, "ada": ...},), "dots", "healthy"),
        (check_patients, ({"ada": "healthy"},), "no answer for bea", "weights too small"),
        (check_patients, ({**ANSWER, "zoe": "healthy"},), "no zoe", "weights too small"),
        (check_patients, ({**ANSWER, "dov": "lazy"},), "'lazy' for dov", "dov: dead"),
        (check_patients, ({**ANSWER, "dov": "healthy"},), "4 of 5 are right; dov is not", "dead units"),
        (check_patients, (dict.fromkeys(PATIENTS, "healthy"),), "1 of 5 are right; ada is not", "weights too small"),
    ],
)
def test_not_yet(check, arguments, says, silent, capsys):
    assert not check(*arguments)
    out = capsys.readouterr().out
    assert ": not yet. " in out
    assert says in out
    assert silent not in out


def test_folded_is_right(pair, capsys):
    net, x = pair
    W, b = folded(net)
    assert check_folded((W, b), net, x)
    assert check_folded(lambda x: x @ W + b, net, x)
    assert capsys.readouterr().out.count(": right\n") == 2


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda W, b: (..., b), "dots"),
        (lambda W, b: (W, b + 1), "W is right, but b is not"),
        (lambda W, b: (W, 0 * b), "W is right, but b is not"),
        (lambda W, b: (1.01 * W, b), "is each scale exact"),
        (lambda W, b: (2 * W, b), "Begin with W"),
        (lambda W, b: (W.T, b), "x @ W is not defined for x"),
        (lambda W, b: (W, b[:2]), "b (2,) does not fit W"),
        (lambda W, b: lambda x: (x @ W + b)[:, :2], "Their output has the shape (20, 2)"),
        (lambda W, b: None, "dots"),
    ],
)
def test_folded_is_not_yet(pair, change, says, capsys):
    net, x = pair
    assert not check_folded(change(*folded(net)), net, x)
    out = capsys.readouterr().out
    assert ": not yet. " in out
    assert says in out


def test_the_measurements_show_the_diagnoses():
    told = patients(moreish.Corpus(moreish.bundled("names")), steps=60)
    assert list(told) == list(PATIENTS)
    assert set(ANSWER.values()) == set(TROUBLES) == set(activations.HINTS)
    even = math.log(27)
    start = {name: told[name]["start"] for name in told}
    assert told["eli"]["first_loss"] > 3 * even > told["cas"]["first_loss"]
    assert start["ada"][-1]["std"] < 0.1 * start["ada"][0]["std"]
    assert start["ada"][0]["gradient"] < 0.1 * start["ada"][-1]["gradient"]
    assert start["eli"][0]["saturated"] > 0.5 > start["cas"][0]["saturated"]
    assert max(told["bea"]["update"][1:-1]) < min(told["cas"]["update"][1:-1]) - 1
    assert max(layer["dead"] for layer in told["dov"]["end"]) > 0.3 > max(layer["dead"] for layer in start["dov"])
    assert max(layer["dead"] for name in ("ada", "bea", "cas", "eli") for layer in told[name]["end"]) < 0.15
