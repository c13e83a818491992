"""Fill the gaps in a word in the most likely ways, and in ways drawn at random.

Each completion is shown with its probability among all words of the model, and among the words that fit.

Examples:
  moreish fill runs/names-mlp jo__than
  moreish fill runs/names-mlp 'ma*[aeiou]' --max-length 7
"""

from pathlib import Path
from typing import Annotated

from ..errors import InputError
from .arguments import constraint_arguments, given_constraints
from .candidates import print_both
from .fields import Flat
from .values import Flag, Number, WholeNumber

ConstraintArguments = constraint_arguments("gap")


def fill(
    run: Path,
    text: str,
    /,
    *,
    n: Number = 10,
    samples: WholeNumber = 10,
    seed: WholeNumber | None = None,
    json: Flag = False,
    constraints: Annotated[ConstraintArguments, Flat] = ConstraintArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish fill`.

    Parameters
    ----------
    run
        Folder of a run.
    text
        Word with gaps, such as jo__than: _ is any character, * is any number of them, \\v is a vowel, \\c a consonant,
        and classes such as [aeiou] are allowed; a backslash makes any other character literal.
    n
        Number of most likely words.
    samples
        Number of words drawn at random.
    seed
        Seed of the random draw [default: the seed of the run].
    json
        Print JSON: {"likeliest": [{"word", "seen", "probability", "share"}, ...], "proven": ..., "samples": [{"word",
        "seen"}, ...], "method": ..., "share": ..., "head": ..., "tried": ...}.
    """
    if not text:
        raise InputError("an empty word has no gap")
    print_both(run, n, samples, seed, {**given_constraints(constraints), "gap": text}, json)
