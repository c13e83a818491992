"""How a check speaks."""


def verdict(what: str, trouble: str | None) -> bool:
    """Print that `what` is right, or what is off about it; returns whether it is right."""
    print(f"{what}: right" if trouble is None else f"{what}: not yet. {trouble}")
    return trouble is None


def near(what: str, found: float, wanted: float, tolerance: float, hint: str) -> bool:
    """The verdict on a number that should come within a tolerance of another; the other is not told."""
    found = float(found)
    if abs(found - wanted) <= tolerance:
        return verdict(what, None)
    side = "too high" if found > wanted else "too low"
    return verdict(what, f"{found:.4f} is {side}. {hint}")
