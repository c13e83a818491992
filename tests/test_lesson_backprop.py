"""The checks of lesson 4 accept right answers and give hints for wrong ones that do not contain the answer."""

import pytest
import torch

from moreish.lessons.backprop import (
    check_batchnorm,
    check_cross_entropy,
    check_embedding,
    check_gamma_beta,
    check_linear,
    check_tanh,
)


def cross_entropy(logits, targets):
    return (logits.softmax(1) - torch.eye(logits.shape[1])[targets]) / len(logits)


def embedding(tokens, C, dy):
    return torch.zeros_like(C).index_add(0, tokens.view(-1), dy.view(-1, C.shape[1]))


def batchnorm(xhat, s, gamma, dy):
    N = len(dy)
    return gamma * s / N * (N * dy - dy.sum(0) - xhat * (dy * xhat).sum(0))


def overwritten(tokens, C, dy):
    dC = torch.zeros_like(C)
    dC[tokens] += dy
    return dC


RIGHT = [
    (check_cross_entropy, cross_entropy),
    (check_linear, lambda x, W, dy: x.T @ dy),
    (check_linear, lambda x, W, dy: (x.T @ dy).float()),
    (check_linear, lambda x, W, dy: torch.einsum("nk,nm->km", x, dy)),
    (check_tanh, lambda y, dy: dy * (1 - y**2)),
    (check_gamma_beta, lambda xhat, dy: ((xhat * dy).sum(0), dy.sum(0))),
    (check_gamma_beta, lambda xhat, dy: [(xhat * dy).sum(0), dy.sum(0)]),
    (check_batchnorm, batchnorm),
    (check_embedding, embedding),
]

WRONG = [
    (check_cross_entropy, lambda logits, targets: logits.softmax(1), "what does the target change"),
    (check_cross_entropy, lambda logits, targets: logits.softmax(1) / 6, "what does the target change"),
    (check_cross_entropy, lambda logits, targets: 6 * cross_entropy(logits, targets), "6 times too large"),
    (check_cross_entropy, lambda logits, targets: -cross_entropy(logits, targets), "wrong sign"),
    (check_cross_entropy, lambda logits, targets: (logits - torch.eye(7)[targets]) / 6, "not probabilities"),
    (check_cross_entropy, lambda logits, targets: logits.log_softmax(1), "wrong everywhere"),
    (check_linear, lambda x, W, dy: dy.T @ x, "transposed"),
    (check_linear, lambda x, W, dy: x.T @ dy / 6, "6 times too small"),
    (check_linear, lambda x, W, dy: x[:, :, None] * dy[:, None], "lacks a sum over dimension 0"),
    (check_linear, lambda x, W, dy: x @ dy, "raised RuntimeError"),
    (check_tanh, lambda y, dy: 1 - y**2, "the upstream gradient is missing"),
    (check_tanh, lambda y, dy: dy * (1 - y.tanh() ** 2), "second time"),
    (check_tanh, lambda y, dy: dy * (1 - y), "power"),
    (check_tanh, lambda y, dy: dy * (y**2 - 1), "wrong sign"),
    (check_gamma_beta, lambda xhat, dy: (xhat * dy, dy), "lacks a sum over dimension 0"),
    (check_gamma_beta, lambda xhat, dy: ((xhat * dy).sum(0), dy.mean(0)), "6 times too small"),
    (check_gamma_beta, lambda xhat, dy: (dy.sum(0), (xhat * dy).sum(0)), "wrong everywhere"),
    (check_gamma_beta, lambda xhat, dy: (xhat * dy).sum(0), "as a pair"),
    (check_batchnorm, lambda xhat, s, gamma, dy: gamma * s * dy, "direct path alone"),
    (check_batchnorm, lambda xhat, s, gamma, dy: gamma * s * (dy - dy.mean(0)), "path through the variance"),
    (
        check_batchnorm,
        lambda xhat, s, gamma, dy: gamma * s * (dy - xhat * (dy * xhat).mean(0)),
        "path through the mean",
    ),
    (
        check_batchnorm,
        lambda xhat, s, gamma, dy: gamma * s * (dy - dy.mean(0) + xhat * (dy * xhat).mean(0)),
        "wrong sign",
    ),
    (
        check_batchnorm,
        lambda xhat, s, gamma, dy: gamma * s * (dy - dy.mean(0) - xhat * (dy * xhat).sum(0) / 5),
        "Bessel's correction",
    ),
    (check_batchnorm, lambda xhat, s, gamma, dy: 6 * batchnorm(xhat, s, gamma, dy), "6 times too large"),
    (check_embedding, overwritten, "looked up several times"),
    (check_embedding, lambda tokens, C, dy: dy, "its shape is (6, 3, 4), but the shape of C is (7, 4)"),
    (check_embedding, lambda tokens, C, dy: C, "wrong everywhere"),
    (check_embedding, lambda tokens, C, dy: dy.tolist(), "should be a tensor"),
]
CHECKS = dict.fromkeys(check for check, _ in RIGHT)


@pytest.mark.parametrize(("check", "answer"), RIGHT)
def test_a_right_answer_is_right(check, answer, capsys):
    assert check(answer)
    assert capsys.readouterr().out.endswith(": right\n")


@pytest.mark.parametrize(("check", "answer", "word"), WRONG)
def test_a_wrong_answer_gets_a_hint_without_the_answer(check, answer, word, capsys):
    assert not check(answer)
    said = capsys.readouterr().out
    assert ": not yet. " in said
    assert word in said
    assert "is right" not in said.replace("This is right for the variance with", "")


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("nothing", [..., None, (..., ...), (None, None)])
def test_a_placeholder_is_not_yet_right(check, nothing, capsys):
    assert not check(lambda *arguments: nothing)
    assert ": not yet. " in capsys.readouterr().out


@pytest.mark.parametrize("check", CHECKS)
def test_an_answer_may_change_its_arguments(check, capsys):
    answer = dict(RIGHT)[check]

    def careless(*arguments):
        found = answer(*arguments)
        for argument in arguments:
            argument.zero_()
        return found

    assert check(careless)
