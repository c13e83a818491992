"""How a check speaks."""


class NoAnswer(str):
    """What is asked for, said where no answer stands yet."""


def verdict(what: str, trouble: str | None) -> bool | None:
    """Print that `what` is right, or what is off about it.

    Returns whether it is right; None where there is no answer, after which a notebook shows nothing.
    """
    print(f"{what}: right" if trouble is None else f"{what}: not yet. {trouble}")
    return None if isinstance(trouble, NoAnswer) else trouble is None


def near(what: str, found: float, wanted: float, tolerance: float, hint: str) -> bool | None:
    """The verdict on a number that should come within a tolerance of another; the other is not told."""
    found = float(found)
    if abs(found - wanted) <= tolerance:
        return verdict(what, None)
    side = "too high" if found > wanted else "too low"
    return verdict(what, f"{found:.4f} is {side}. {hint}")
