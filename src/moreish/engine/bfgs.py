"""Minimising a function of few numbers by BFGS."""

from collections.abc import Callable

import numpy as np

Loss = Callable[[np.ndarray], tuple[float, np.ndarray]]  # from numbers (n,) to a value and its gradient (n,)


def minimised(function: Loss, x: np.ndarray, steps: int = 200, least: float = 1e-7) -> np.ndarray:
    """Minimise a function by BFGS from x (Broyden, Fletcher, Goldfarb and Shanno 1970); return where it is least.

    After a step that gains less than `least` the next one follows the plain gradient. If that gains less too, it is the
    last.
    """
    value, gradient = function(x)
    inverse, plain = np.eye(len(x)), True
    for _ in range(steps):
        direction = -inverse @ gradient
        direction *= min(1.0, 2.0 / max(np.abs(direction).max(), 1e-12))
        length, slope = 1.0, gradient @ direction
        while True:
            moved = x + length * direction
            found, turned = function(moved)
            if found <= value + 1e-4 * length * slope or length < 1e-6:
                break
            length /= 2
        if not found < value - least:
            if plain:
                return moved if found < value else x
            inverse, plain = np.eye(len(x)), True
            continue
        dx, dg = moved - x, turned - gradient
        if dx @ dg > 1e-12:
            left = np.eye(len(x)) - np.outer(dx, dg) / (dx @ dg)
            inverse = left @ inverse @ left.T + np.outer(dx, dx) / (dx @ dg)
        else:
            inverse = 4 * inverse  # the slope grows: take a longer step
        plain = False
        x, value, gradient = moved, found, turned
    return x
