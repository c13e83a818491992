"""Checks for lesson 6: a step back through time, the gates of a GRU, the forget bias, and two places for a reset."""

import math
from collections.abc import Callable
from typing import Any

import torch

from .backprop import Record, judge_gradients
from .feedback import NoAnswer, judge, missing

B, H = 5, 4  # all sizes are different, so that a wrong shape cannot pass


def check_rnn_step(derived: Callable[..., Any]) -> bool | None:
    """Check derived(h, before, U, dh) -> du, dbefore, (B, H) each, for h = tanh(x + u) and u = before U."""
    generator = torch.Generator().manual_seed(6)
    x, before, U, dh = (_normal(generator, *shape) for shape in ((B, H), (B, H), (H, H), (B, H)))

    def forward(t: Record):
        u = t("u", t("before", before) @ U)
        return (t("h", (x + u).tanh()) * dh).sum()

    h = (x + before @ U).tanh()
    slope = 1 - h**2
    return judge_gradients(
        "one step back",
        lambda: derived(h.clone(), before.clone(), U.clone(), dh.clone()),
        forward,
        ("u", "before"),
        [
            (slope, "This is the slope of tanh alone: the upstream gradient is missing."),
            (dh * (1 - h.tanh() ** 2), "You applied tanh a second time: h is already its output."),
            (dh, "The gradient of u lacks the slope of tanh."),
            (dh @ U.T, "The gradient of before comes from u, not from h: the slope of tanh lies in between."),
            (dh * slope @ U, "U is the wrong way round in the gradient of before: write down the sum for one entry."),
        ],
    )


def check_gates(derived: Callable[..., Any]) -> bool | None:
    """Check derived(r, z, n, m, before, dh) -> dx_r, dx_z, dx_n, (B, H) each, for one step of a GRU.

    r = sigmoid(x_r + ...), z = sigmoid(x_z + ...), n = tanh(x_n + r m), h = (1 - z) n + z before
    """
    generator = torch.Generator().manual_seed(7)
    x_r, x_z, x_n, m, before, dh = (_normal(generator, B, H) for _ in range(6))

    def forward(t: Record):
        r, z = t("x_r", x_r).sigmoid(), t("x_z", x_z).sigmoid()
        n = (t("x_n", x_n) + r * m).tanh()
        return (((1 - z) * n + z * before) * dh).sum()

    r, z = x_r.sigmoid(), x_z.sigmoid()
    n = (x_n + r * m).tanh()
    dn, dz = dh * (1 - z), dh * (before - n)
    dx_n = dn * (1 - n**2)
    return judge_gradients(
        "gates of a GRU",
        lambda: derived(*(tensor.clone() for tensor in (r, z, n, m, before, dh))),
        forward,
        ("x_r", "x_z", "x_n"),
        [
            (dz, "The gradient of x_z lacks the slope of the sigmoid."),
            (dn, "The gradient of x_n lacks the slope of tanh."),
            (dx_n * m, "The gradient of x_r lacks the slope of the sigmoid."),
            (dh * before * z * (1 - z), "z occurs twice in the last line: one of the two paths is missing in x_z."),
            (dh * -n * z * (1 - z), "z occurs twice in the last line: one of the two paths is missing in x_z."),
            (dn * m * r * (1 - r), "r reaches n through tanh: its slope is missing in the gradient of x_r."),
            (dx_n * r * (1 - r), "r is multiplied by something in the candidate: that is missing in x_r."),
            (dh * z * (1 - n**2), "Which of the two gates' factors, z or 1 - z, stands before n?"),
            (dh * (1 - n**2), "The gradient of n lacks its factor in the last line."),
        ],
    )


def check_forget_bias(bias: Any = None) -> bool | None:
    """Check bias(distance, share): the bias whose sigmoid, to the power of distance, is the share."""

    def problem() -> str | None:
        for distance, share in ((10, 0.5), (1, 0.2), (40, 0.9), (3, 0.01)):
            found = bias(distance, share)
            if missing(found):
                return NoAnswer("Your function does not return a number yet.")
            if isinstance(found, bool) or not isinstance(found, int | float):
                return f"It returns {found!r}, and should return a number."
            f = share ** (1 / distance)
            if math.isclose(found, math.log(f / (1 - f)), rel_tol=1e-6, abs_tol=1e-9):
                continue
            for wrong, hint in (
                (f, "This is the gate itself: which number has it as its sigmoid?"),
                (math.log(f), "This is the logarithm of the gate: the sigmoid is not an exponential alone."),
                (math.log((1 - f) / f), "The sign is wrong: a gate that is open more than half has a positive bias."),
                (math.log(share / (1 - share)), "The share would be left after one character: what of the next ones?"),
                (_logit(1 - (1 - share) / distance), "Shares multiply from character to character, they do not add."),
            ):
                if math.isclose(found, wrong, rel_tol=1e-6):
                    return hint
            left = _sigmoid(found) ** distance
            return f"With your bias for {share} after {distance} characters, {left:.3g} of the cell would be left."
        return None

    return judge("forget bias", bias, problem)


def check_multiplications(count: Any = None) -> bool | None:
    """Check count(N, Q, H): the multiplications of a level of N rows after Q states, reset after and reset before."""

    def problem() -> str | None:
        for N, Q, H in ((5, 3, 4), (100, 40, 256), (7, 7, 2), (26, 1, 64)):
            found = count(N, Q, H)
            if isinstance(found, tuple | list) and len(found) == 2 and any(map(missing, found)):
                return NoAnswer("Your function does not return two numbers yet.")
            if missing(found):
                return NoAnswer("Your function does not return two numbers yet.")
            if not isinstance(found, tuple | list) or len(found) != 2:
                return f"It returns {found!r}, and should return two numbers: reset after, reset before."
            after, before = found
            if after == 3 * Q * H * H and before == (2 * Q + N) * H * H:
                continue
            if (before, after) == (3 * Q * H * H, (2 * Q + N) * H * H):
                return "The two are swapped: the first is the reset after the product."
            if after == 3 * N * H * H:
                return "After: the product is one of the state alone. How many different states are there?"
            if after == 3 * Q * H:
                return "After: how many multiplications is one vector times a matrix?"
            if after != 3 * Q * H * H:
                return "After: count the columns of the matrix that multiplies a state of H numbers, for all blocks."
            if before == 3 * Q * H * H:
                return "Before: does the reset gate of a row depend on the state alone, or on its character too?"
            if before == 3 * N * H * H:
                return "Before: two of the three blocks still multiply the state alone."
            return "Before: count the gates' two blocks and the candidate's block separately. Who can share which?"
        return None

    return judge("multiplications", count, problem)


def _normal(generator: torch.Generator, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


def _logit(p: float) -> float:
    return math.log(p / (1 - p))
