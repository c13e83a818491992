"""Vary a word: the likeliest words at an edit distance from it, and some by chance.

An edit puts a character in, leaves one out, or exchanges one.

Examples:
  moreish vary runs/names-mlp anna
  moreish vary runs/names-mlp anna --edits 2 --suffix a
"""

from pathlib import Path
from typing import Annotated

from ..errors import InputError
from .arguments import Flat, constraint_arguments, given
from .candidates import print_both
from .values import Flag, Number, WholeNumber

Asked = constraint_arguments("near")


def vary(
    run: Path,
    word: str,
    /,
    *,
    n: Number = 10,
    samples: WholeNumber = 10,
    seed: WholeNumber | None = None,
    json: Flag = False,
    asked: Annotated[Asked, Flat] = Asked(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish vary`.

    Parameters
    ----------
    run
        Folder of a run.
    word
        Any word; characters that the model does not know have to be edited away.
    n
        How many of the likeliest.
    samples
        How many to draw by chance besides.
    seed
        Seed of that draw [default: that of the run].
    json
        Print JSON as `moreish fill` does.
    """
    if not word:
        raise InputError("an empty word has no variations")
    print_both(run, n, samples, seed, {**given(asked), "near": word}, json)
