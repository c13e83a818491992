"""Checks for lesson 4: the gradients that the learner derives, as functions of tensors."""

from collections.abc import Callable
from typing import Any

import torch

from ..analysis.checker import check_gradients
from ..layers.norm import EPSILON
from .feedback import NoAnswer, feedback, missing

N, K, M, V = 6, 5, 4, 7  # all different, so that a wrong shape or a wrong 1/N cannot pass
Record = Callable[[str, Any], Any]
Forward = Callable[[Record], torch.Tensor]


def check_cross_entropy(derived: Callable[..., Any]) -> bool | None:
    """Check derived(logits (N, V), targets (N,)) -> dlogits (N, V), for the mean of -log softmax at the targets."""
    generator = _generator()
    logits, targets = _normal(generator, N, V), torch.tensor([0, 3, 3, 6, 1, 0])

    def forward(t: Record):
        probs = t("probs", t("logits", logits).softmax(1))
        return -probs[torch.arange(N), targets].log().mean()

    probs = logits.softmax(1)
    return judge_gradients(
        "dlogits",
        lambda: derived(logits.clone(), targets.clone()),
        forward,
        ("logits",),
        [
            (probs, "These are the probabilities: what does the target change?"),
            (probs / N, "These are the probabilities divided by N: what does the target change?"),
            (_shifted_at(logits, targets), "You subtracted 1 from the logits, which are not probabilities."),
        ],
    )


def check_linear(derived: Callable[..., Any]) -> bool | None:
    """Check derived(x (N, K), W (K, M), dy (N, M)) -> dW (K, M), for y = x W + b."""
    generator = _generator()
    x, W, b, dy = (_normal(generator, *shape) for shape in ((N, K), (K, M), (M,), (N, M)))

    def forward(t: Record):
        return (t("y", t("x", x) @ t("W", W) + t("b", b)) * dy).sum()

    return judge_gradients("dW", lambda: derived(x.clone(), W.clone(), dy.clone()), forward, ("W",))


def check_tanh(derived: Callable[..., Any]) -> bool | None:
    """Check derived(y (N, M), dy (N, M)) -> dx (N, M), for y = tanh(x)."""
    generator = _generator()
    x, dy = _normal(generator, N, M), _normal(generator, N, M)
    y = x.tanh()

    def forward(t: Record):
        return (t("y", t("x", x).tanh()) * dy).sum()

    return judge_gradients(
        "dx of tanh",
        lambda: derived(y.clone(), dy.clone()),
        forward,
        ("x",),
        [
            (1 - y**2, "This is the slope of tanh alone: the upstream gradient is missing."),
            (dy * (1 - y.tanh() ** 2), "You applied tanh a second time: y is already its output."),
            (dy * (1 - y), "Look at the power in the slope of tanh."),
        ],
    )


def check_gamma_beta(derived: Callable[..., Any]) -> bool | None:
    """Check derived(xhat (N, M), dy (N, M)) -> dgamma (M,), dbeta (M,), for y = gamma xhat + beta."""
    generator = _generator()
    xhat, dy, gamma, beta = (_normal(generator, *shape) for shape in ((N, M), (N, M), (M,), (M,)))

    def forward(t: Record):
        return (t("y", t("gamma", gamma) * xhat + t("beta", beta)) * dy).sum()

    return judge_gradients("dgamma and dbeta", lambda: derived(xhat.clone(), dy.clone()), forward, ("gamma", "beta"))


def check_batchnorm(derived: Callable[..., Any]) -> bool | None:
    """Check derived(xhat (N, M), s (M,), gamma (M,), dy (N, M)) -> dx (N, M), for y = gamma xhat + beta.

    xhat = (x - mean) s and s = 1 / sqrt(var + EPSILON), with the variance that divides by N.
    """
    generator = _generator()
    x, dy, gamma = 2 * _normal(generator, N, M) + 1, _normal(generator, N, M), _normal(generator, M)

    def forward(t: Record):
        given = t("x", x)
        mean = t("mean", given.mean(0))
        var = t("var", ((given - mean) ** 2).mean(0))
        return ((given - mean) * (var + EPSILON) ** -0.5 * gamma * dy).sum()

    s = (x.var(0, correction=0) + EPSILON) ** -0.5
    xhat = (x - x.mean(0)) * s
    direct = gamma * s * dy
    variance = xhat * (direct * xhat).mean(0)
    return judge_gradients(
        "dx of BatchNorm",
        lambda: derived(xhat.clone(), s.clone(), gamma.clone(), dy.clone()),
        forward,
        ("x",),
        [
            (direct, "This is the direct path alone: every x also changes the mean and the variance."),
            (direct - variance, "The path through the mean is missing."),
            (direct - direct.mean(0), "The path through the variance is missing."),
            (direct - direct.mean(0) + variance, "The path through the variance has the wrong sign."),
            (direct + direct.mean(0) - variance, "The path through the mean has the wrong sign."),
            (
                direct - direct.mean(0) - variance * N / (N - 1),
                "This is right for the variance with Bessel's correction; the one here divides by N.",
            ),
        ],
    )


def check_embedding(derived: Callable[..., Any]) -> bool | None:
    """Check derived(tokens (N, T), C (V, M), dy (N, T, M)) -> dC (V, M), for y = C[tokens]."""
    generator = _generator()
    tokens = torch.tensor([[0, 0, 2], [0, 2, 5], [1, 1, 1], [0, 4, 4], [2, 5, 0], [0, 0, 0]])  # 3 and 6 do not occur
    C, dy = _normal(generator, V, M), _normal(generator, *tokens.shape, M)

    def forward(t: Record):
        return (t("y", t("C", C)[tokens]) * dy).sum()

    overwritten = torch.zeros_like(C)
    overwritten[tokens] = dy
    times = torch.bincount(tokens.view(-1), minlength=V).clamp(min=1)[:, None]
    summed = torch.zeros_like(C).index_add(0, tokens.view(-1), dy.view(-1, M))
    return judge_gradients(
        "dC",
        lambda: derived(tokens.clone(), C.clone(), dy.clone()),
        forward,
        ("C",),
        [
            (overwritten, "A row that was looked up several times keeps the gradient of one place only: add them up."),
            (summed / times, "These are means over the places where a row was used, not sums."),
        ],
    )


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(4)


def _normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _shifted_at(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """(logits - onehot) / N, a common mistake in the fused formula."""
    moved = logits.clone()
    moved[torch.arange(N), targets] -= 1
    return moved / N


def judge_gradients(
    exercise: str,
    call: Callable[[], Any],
    forward: Forward,
    tensors: tuple[str, ...],
    known: list[tuple[torch.Tensor, str]] | None = None,
) -> bool | None:
    """Give feedback on the gradients that a learner's function returns, one for each of the tensors.

    known lists common wrong answers and a hint for each; for others the hint is the checker's.
    """
    try:
        found = call()
    except Exception as error:
        return feedback(exercise, f"Your function raised {type(error).__name__}: {error}")
    answers = found if len(tensors) > 1 else (found,)
    if not isinstance(answers, tuple | list) or len(answers) != len(tensors):
        together = {2: "a pair", 3: "a triple"}.get(len(tensors), "a tuple")
        return feedback(exercise, f"Return the gradients of {' and '.join(tensors)} as {together}, in this order.")
    for name, answer in zip(tensors, answers, strict=True):
        if missing(answer):
            return feedback(exercise, NoAnswer("Your function does not return a tensor yet."))
        if not isinstance(answer, torch.Tensor):
            return feedback(exercise, f"The gradient of {name} should be a tensor, but is a {type(answer).__name__}.")
    for mistake, hint in known or []:
        if any(a.shape == mistake.shape and torch.allclose(a.double(), mistake) for a in answers):
            return feedback(exercise, hint)
    # an answer in float32 is precise enough to check its formula
    wanted = {name: answer.double() for name, answer in zip(tensors, answers, strict=True)}
    report = check_gradients(forward, wanted, tolerance=1e-5)
    wrong = report.first_wrong
    if wrong is None:
        return feedback(exercise, None)
    # what follows the colon is part of the answer
    words = wrong.words.split(":")[0] if wrong.words.startswith("it is wrong") else wrong.words
    return feedback(exercise, f"The gradient of {wrong.name}: {words}.".replace("?.", "?"))
