"""Feedback on the answer to an exercise."""

from collections.abc import Callable
from typing import Any


class NoAnswer(str):
    """The hint to print while there is no answer."""


def missing(answer: Any) -> bool:
    """True if `answer` is still a placeholder: None or the three dots."""
    return answer is None or answer is ...


def feedback(exercise: str, problem: str | None) -> bool | None:
    """Print that the answer is right, or what is wrong with it.

    Returns True if it is right, False if it is wrong, and None if there is no answer (a notebook then shows no value).
    """
    print(f"{exercise}: right" if problem is None else f"{exercise}: not yet. {problem}")
    return None if isinstance(problem, NoAnswer) else problem is None


def judge(exercise: str, answer: Any, problem: Callable[[], str | None]) -> bool | None:
    """Give feedback on an answer from what is wrong with it; if the learner's code raises an error, print that."""
    if missing(answer):
        return feedback(exercise, NoAnswer("There is no answer yet."))
    try:
        return feedback(exercise, problem())
    except Exception as error:  # whatever the learner's code raises
        return feedback(exercise, f"It raises {type(error).__name__}: {error}")


def number_feedback(exercise: str, found: float, wanted: float, tolerance: float, hint: str) -> bool | None:
    """Give feedback on a number that must lie within a tolerance of `wanted`, without printing `wanted`."""
    found = float(found)
    if abs(found - wanted) <= tolerance:
        return feedback(exercise, None)
    side = "too high" if found > wanted else "too low"
    return feedback(exercise, f"{found:.4f} is {side}. {hint}")
