"""List the most likely words at an edit distance from a word, and some drawn at random.

An edit inserts, deletes or replaces one character.

Examples:
  moreish vary runs/names-mlp anna
  moreish vary runs/names-mlp anna --edits 2 --suffix a
"""

from pathlib import Path
from typing import Annotated

from ..errors import InputError
from .arguments import constraint_arguments, given_constraints
from .candidates import print_both
from .fields import Flat
from .values import Flag, Number, WholeNumber

ConstraintArguments = constraint_arguments("near")


def vary(
    run: Path,
    word: str,
    /,
    *,
    n: Number = 10,
    samples: WholeNumber = 10,
    seed: WholeNumber | None = None,
    json: Flag = False,
    constraints: Annotated[ConstraintArguments, Flat] = ConstraintArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish vary`.

    Parameters
    ----------
    run
        Folder of a run.
    word
        Any word. Characters that the model does not know are deleted or replaced.
    n
        Number of most likely words.
    samples
        Number of words drawn at random.
    seed
        Seed of the random draw [default: the seed of the run].
    json
        Print JSON as `moreish fill` does.
    """
    if not word:
        raise InputError("an empty word has no variations")
    print_both(run, n, samples, seed, {**given_constraints(constraints), "near": word}, json)
