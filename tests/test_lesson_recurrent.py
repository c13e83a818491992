"""The checks of lesson 6 accept right answers and give hints for wrong ones that do not contain the answer."""

import math

import pytest

from moreish.lessons.recurrent import check_forget_bias, check_gates, check_multiplications, check_rnn_step


def step_back(h, before, U, dh):
    du = dh * (1 - h**2)
    return du, du @ U.T


def gates(r, z, n, m, before, dh):
    dx_n = dh * (1 - z) * (1 - n * n)
    return dx_n * m * r * (1 - r), dh * (before - n) * z * (1 - z), dx_n


def changed(place, function):
    """The gates with one of the three gradients replaced by a function of the same arguments."""

    def answer(*arguments):
        found = list(gates(*arguments))
        found[place] = function(*arguments)
        return tuple(found)

    return answer


def bias(distance, share):
    return -math.log(share ** (-1 / distance) - 1)


def multiplications(N, Q, H):
    return 3 * Q * H * H, (2 * Q + N) * H * H


RIGHT = [
    (check_rnn_step, step_back),
    (check_rnn_step, lambda h, before, U, dh: [x.float() for x in step_back(h, before, U, dh)]),
    (check_gates, gates),
    (check_gates, lambda *given: list(gates(*given))),
    (check_forget_bias, bias),
    (check_multiplications, multiplications),
    (check_multiplications, lambda N, Q, H: [H * H * 3 * Q, H * H * (N + 2 * Q)]),
]

WRONG = [
    (check_rnn_step, lambda h, before, U, dh: (dh, dh @ U.T), "lacks the slope of tanh"),
    (check_rnn_step, lambda h, before, U, dh: (1 - h**2, (1 - h**2) @ U.T), "upstream gradient is missing"),
    (check_rnn_step, lambda h, before, U, dh: step_back(h.tanh(), before, U, dh), "second time"),
    (check_rnn_step, lambda h, before, U, dh: (step_back(h, before, U, dh)[0], dh @ U.T), "lies in between"),
    (check_rnn_step, lambda h, before, U, dh: step_back(h, before, U.T, dh), "wrong way round"),
    (check_rnn_step, lambda h, before, U, dh: step_back(h, before, U, -dh), "wrong sign"),
    (check_rnn_step, lambda h, before, U, dh: step_back(h, before, U, dh)[0], "as a pair"),
    (check_rnn_step, lambda h, before, U, dh: step_back(h, before, U, dh)[::-1], "wrong everywhere"),
    (check_gates, changed(1, lambda r, z, n, m, before, dh: dh * (before - n)), "x_z lacks the slope"),
    (check_gates, changed(2, lambda r, z, n, m, before, dh: dh * (1 - z)), "x_n lacks the slope"),
    (check_gates, changed(0, lambda r, z, n, m, before, dh: dh * (1 - z) * (1 - n * n) * m), "x_r lacks the slope"),
    (check_gates, changed(0, lambda r, z, n, m, before, dh: dh * (1 - z) * m * r * (1 - r)), "through tanh"),
    (
        check_gates,
        changed(0, lambda r, z, n, m, before, dh: dh * (1 - z) * (1 - n * n) * r * (1 - r)),
        "multiplied by something",
    ),
    (check_gates, changed(1, lambda r, z, n, m, before, dh: dh * before * z * (1 - z)), "one of the two paths"),
    (check_gates, changed(1, lambda r, z, n, m, before, dh: -dh * n * z * (1 - z)), "one of the two paths"),
    (check_gates, changed(1, lambda r, z, n, m, before, dh: dh * (n - before) * z * (1 - z)), "wrong sign"),
    (check_gates, changed(2, lambda r, z, n, m, before, dh: dh * z * (1 - n * n)), "stands before n"),
    (check_gates, changed(2, lambda r, z, n, m, before, dh: dh * (1 - n * n)), "lacks its factor"),
    (check_gates, lambda *given: gates(*given)[:2], "as a triple"),
    (check_forget_bias, lambda distance, share: share ** (1 / distance), "the gate itself"),
    (check_forget_bias, lambda distance, share: math.log(share) / distance, "logarithm of the gate"),
    (check_forget_bias, lambda distance, share: -bias(distance, share), "sign is wrong"),
    (check_forget_bias, lambda distance, share: bias(1, share), "after one character"),
    (check_forget_bias, lambda distance, share: bias(1, 1 - (1 - share) / distance), "Shares multiply"),
    (check_forget_bias, lambda distance, share: 1.0, "of the cell would be left"),
    (check_forget_bias, lambda distance, share: -1e9, "0 of the cell would be left"),
    (check_forget_bias, lambda distance, share: "3", "should return a number"),
    (check_forget_bias, lambda distance, share: 1 / 0, "ZeroDivisionError"),
    (check_multiplications, lambda N, Q, H: multiplications(N, Q, H)[::-1], "swapped"),
    (check_multiplications, lambda N, Q, H: (3 * N * H * H, 3 * N * H * H), "How many different states"),
    (check_multiplications, lambda N, Q, H: (3 * Q * H, 3 * Q * H), "one vector times a matrix"),
    (check_multiplications, lambda N, Q, H: (Q * H * H, 3 * Q * H * H), "for all blocks"),
    (check_multiplications, lambda N, Q, H: (3 * Q * H * H, 3 * Q * H * H), "on its character too"),
    (check_multiplications, lambda N, Q, H: (3 * Q * H * H, 3 * N * H * H), "two of the three blocks"),
    (check_multiplications, lambda N, Q, H: (3 * Q * H * H, N * H * H), "separately"),
    (check_multiplications, lambda N, Q, H: 3 * Q * H * H, "two numbers"),
]
CHECKS = dict.fromkeys(check for check, _ in RIGHT)
OF_TENSORS = (check_rnn_step, check_gates)


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_a_right_answer_is_right(check, answer, capsys):
    assert check(answer)
    assert capsys.readouterr().out.endswith(": right\n")


@pytest.mark.parametrize(("check", "answer", "word"), WRONG)
def test_a_wrong_answer_gets_a_hint_without_the_answer(check, answer, word, capsys):
    assert check(answer) is False
    said = capsys.readouterr().out
    assert ": not yet. " in said
    assert word in said
    for answer_itself in ("(1 - h", "U.T", "z (1 - z)", "1 / distance", "3 Q", "2 Q", "instead of"):
        assert answer_itself not in said


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("nothing", [..., None, (..., ...), (None, None), (..., ..., ...)])
def test_a_placeholder_is_not_yet_right(check, nothing, capsys):
    assert not check(lambda *arguments: nothing)
    assert ": not yet. " in capsys.readouterr().out


@pytest.mark.parametrize("check", [check_forget_bias, check_multiplications])
def test_no_answer_is_not_yet_right(check, capsys):
    assert check(...) is None
    assert "no answer yet" in capsys.readouterr().out


@pytest.mark.parametrize("check", OF_TENSORS)
def test_an_answer_may_change_its_arguments(check):
    answer = dict(reversed(RIGHT))[check]

    def careless(*arguments):
        found = answer(*arguments)
        for argument in arguments:
            argument.zero_()
        return found

    assert check(careless)


@pytest.mark.parametrize("check", OF_TENSORS)
def test_an_error_in_the_answer_is_printed(check, capsys):
    def broken(*arguments):
        raise KeyError("emma")

    assert not check(broken)
    assert "KeyError" in capsys.readouterr().out
