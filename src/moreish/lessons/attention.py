"""Checks for lesson 7: gradients of attention and LayerNorm, the order of characters, a cost, and a loss to beat."""

from collections.abc import Callable
from typing import Any

import torch

from ..corpus import Corpus
from ..layers.layernorm import EPSILON
from ..models import TransformerConfig
from ..training.run import Run
from .backprop import judge_gradients
from .feedback import NoAnswer, feedback, judge, missing
from .wavenet import check_beat

N, T, C = 5, 6, 4  # all different, so that a wrong shape or a wrong 1/N cannot pass
Record = Callable[[str, Any], Any]


def check_softmax(derived: Callable[..., Any]) -> bool | None:
    """Check derived(a (N, T), da (N, T)) -> ds (N, T), for a = softmax(s) along each row."""
    generator = _generator()
    s, da = _normal(generator, N, T), _normal(generator, N, T)
    a = s.softmax(1)

    def forward(t: Record):
        return (t("a", t("s", s).softmax(1)) * da).sum()

    return judge_gradients(
        "ds of softmax",
        lambda: derived(a.clone(), da.clone()),
        forward,
        ("s",),
        [
            (a * da, "This has the path of each score to its own numerator alone. Every score is in the sum, too."),
            (
                a * (1 - a) * da,
                "This is the effect of each score on its own weight. It changes the other weights, too.",
            ),
            (
                a * (da - da.sum(1, keepdim=True)),
                "The second term has the sum of da. How much does each weight contribute to it?",
            ),
            (
                a * (da - da.mean(1, keepdim=True)),
                "The second term has the plain mean of da. How much does each weight contribute to it?",
            ),
            (a * (da - (a * da).sum()), "The second term is summed over all rows, but a softmax is over one row."),
        ],
    )


def check_keys(derived: Callable[..., Any]) -> bool | None:
    """Check derived(q (T, C), ds (T, T)) -> dk (T, C), for s = q k.T / sqrt(C)."""
    generator = _generator()
    q, k = _normal(generator, T, C), _normal(generator, T, C)
    ds = _normal(generator, T, T).tril()

    def forward(t: Record):
        return (t("s", q @ t("k", k).T / C**0.5) * ds).sum()

    return judge_gradients(
        "dk",
        lambda: derived(q.clone(), ds.clone()),
        forward,
        ("k",),
        [
            (ds @ q / C**0.5, "Row m of dk collects from the rows n that look back at m: which index is summed over?"),
            (ds @ q, "Row m of dk collects from the rows n that look back at m: which index is summed over?"),
            (ds.T @ q, "The sum is right. One factor of the score is missing."),
            (ds.T @ q / C, "The sum is right. Look again at the factor of the score."),
        ],
    )


def check_layernorm(derived: Callable[..., Any]) -> bool | None:
    """Check derived(xhat (N, C), s (N, 1), gamma (C,), dy (N, C)) -> dx (N, C), for y = gamma xhat + beta.

    xhat = (x - mean) s and s = 1 / sqrt(var + EPSILON), with the mean and the variance of each row.
    """
    generator = _generator()
    x, dy, gamma = 2 * _normal(generator, N, C) + 1, _normal(generator, N, C), _normal(generator, C)

    def forward(t: Record):
        given = t("x", x)
        mean = t("mean", given.mean(1, keepdim=True))
        var = t("var", ((given - mean) ** 2).mean(1, keepdim=True))
        return ((given - mean) * (var + EPSILON) ** -0.5 * gamma * dy).sum()

    s = (x.var(1, correction=0, keepdim=True) + EPSILON) ** -0.5
    xhat = (x - x.mean(1, keepdim=True)) * s

    def projected(d: torch.Tensor, over: int) -> torch.Tensor:
        return d - d.mean(over, keepdim=True) - xhat * (d * xhat).mean(over, keepdim=True)

    return judge_gradients(
        "dx of LayerNorm",
        lambda: derived(xhat.clone(), s.clone(), gamma.clone(), dy.clone()),
        forward,
        ("x",),
        [
            (s * gamma * dy, "This is the direct path alone: every x also changes the mean and the variance."),
            (
                s * projected(gamma * dy, 0),
                "These means are over the rows, as in BatchNorm. Over what does LayerNorm average?",
            ),
            (
                gamma * s * projected(dy, 0),
                "These means are over the rows, as in BatchNorm. Over what does LayerNorm average?",
            ),
            (gamma * s * projected(dy, 1), "gamma differs along a row. Can it stay in front of a mean over the row?"),
        ],
    )


def check_order(words: Any = None) -> bool | None:
    """Check two words after which one block without positions predicts the same, and two blocks do not."""

    def problem() -> str | None:
        if not isinstance(words, tuple | list) or len(words) != 2 or not all(isinstance(w, str) for w in words):
            return "Give two words, such as ('anna', 'otto')."
        one, other = words
        if not one or not other:
            return "An empty word has no character to look back from."
        if one == other:
            return "These are equal: give two different words."
        found = [_apart(one, other, blocks) for blocks in (1, 2)]
        if not found[0]:
            return None if found[1] else "Two blocks do not tell them apart either."
        if one[-1] != other[-1]:
            return "One block tells them apart. Where does the query of the last position come from?"
        return (
            "One block tells them apart. Which characters, and how many of each, does the last position look back at?"
        )

    return judge("order without positions", words, problem)


def _apart(one: str, other: str, blocks: int) -> bool:
    """True if a random net of blocks without positions predicts differently after two words."""
    places = {character: i + 1 for i, character in enumerate(sorted(set(one + other)))}
    generator = _generator()
    embedding = _normal(generator, len(places) + 1, 8)
    weights = [_normal(generator, 3, 8, 8) for _ in range(blocks)]

    def last(word: str) -> torch.Tensor:
        x = embedding[[0, *(places[character] for character in word)]]
        past = torch.ones((len(x), len(x)), dtype=torch.bool).tril()
        for Wq, Wk, Wv in weights:
            scores = (x @ Wq) @ (x @ Wk).T / 8
            x = x + scores.masked_fill(~past, -torch.inf).softmax(1) @ (x @ Wv)
            x = torch.nn.functional.layer_norm(x, (8,))
        return x[-1]

    return not torch.allclose(last(one), last(other), rtol=1e-9, atol=1e-9)


def check_cost(multiplications: Any = None) -> bool | None:
    """Check multiplications(T, C): of the scores and the weighted sums of causal attention, over all heads."""

    def problem() -> str | None:
        for positions, width in ((1, 8), (2, 8), (7, 64), (16, 12)):
            found, wanted = multiplications(positions, width), _counted(positions, width)
            if isinstance(found, bool) or not isinstance(found, int):
                return f"It returns {found!r}, and should return a whole number."
            if found == wanted:
                continue
            side = "too many" if found > wanted else "too few"
            hints = {
                2 * positions**2 * width: "Does a position look at those after it?",
                positions * (positions - 1) * width: "A position looks at itself, too.",
                wanted // 2: "There are two products: one makes the scores, and the other sums the values.",
            }
            hint = hints.get(found, "Count for one position first: how many does it look at?")
            return f"For T = {positions} and C = {width} it gives {found:,}: {side}. {hint}"
        return None

    return judge("multiplications of attention", multiplications, problem)


def _counted(positions: int, width: int) -> int:
    """Multiplications of causal attention, counted one position after another."""
    total = 0
    for n in range(positions):
        for _ in range(n + 1):
            total += width  # q[n] . k[m]
            total += width  # a[m] v[m]
    return total


def check_transformer(run: Any = None, target: float = 0.0, corpus: Corpus | None = None) -> bool | None:
    """Check that a run of a Transformer on the corpus has a val loss below the target; test is not evaluated."""
    exercise = f"val below {target:.3f}"
    if missing(run):
        return feedback(exercise, NoAnswer("There is no answer yet."))
    if isinstance(run, Run) and not isinstance(run.model.config, TransformerConfig):
        return feedback(exercise, f"The exercise is about a Transformer, and {run.model.name} is not one.")
    return check_beat(run, target, corpus)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(7)


def _normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)
