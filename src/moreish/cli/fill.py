"""Fill the gaps of a word: the likeliest ways, and some by chance.

Each completion stands with its probability among all words of the model, and its share of those that fit.

Examples:
  moreish fill runs/names-mlp jo__than
  moreish fill runs/names-mlp 'ma*[aeiou]' --max-length 7
"""

from pathlib import Path
from typing import Annotated

from ..errors import InputError
from .arguments import Flat, constraint_arguments, given
from .candidates import print_both
from .values import Flag, Number, WholeNumber

Asked = constraint_arguments("gap")


def fill(
    run: Path,
    text: str,
    /,
    *,
    n: Number = 10,
    samples: WholeNumber = 10,
    seed: WholeNumber | None = None,
    json: Flag = False,
    asked: Annotated[Asked, Flat] = Asked(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish fill`.

    Parameters
    ----------
    run
        Folder of a run.
    text
        A word with gaps: jo__than. _ is one character, * any run of them, and classes as [aeiou] may stand in it too;
        a backslash takes the next character as it is.
    n
        How many of the likeliest.
    samples
        How many to draw by chance besides.
    seed
        Seed of that draw [default: that of the run].
    json
        Print JSON: {"likeliest": [{"word", "seen", "probability", "share"}, ...], "proven": ..., "samples": [{"word",
        "seen"}, ...], "method": ..., "share": ..., "head": ..., "tried": ...}.
    """
    if not text:
        raise InputError("an empty word has no gap")
    print_both(run, n, samples, seed, {**given(asked), "gap": text}, json)
