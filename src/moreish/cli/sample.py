"""moreish sample"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..run import load
from .terminal import announce_work, print_json, print_samples
from .values import Flag, WholeNumber, whole_number


def sample(
    run: Path,
    /,
    *,
    n: Annotated[int, Parameter(name=["-n", "--number"], converter=whole_number)] = 20,
    seed: WholeNumber | None = None,
    temperature: float = 1.0,
    top_k: WholeNumber = 0,
    prefix: str = "",
    max_length: WholeNumber | None = None,
    json: Flag = False,
) -> None:
    """`moreish sample`: its text stands in VERBS.

    Parameters
    ----------
    run
        Folder of a run.
    n
        How many words.
    seed
        Seed of the draw: the same seed gives the same words [default: that of the run].
    temperature
        Below 1 keeps to the likely, above 1 ventures; 0 always takes the likeliest character.
    top_k
        Draw among the K likeliest characters only; 0 is all of them.
    prefix
        What every word begins with.
    max_length
        Longest word, in characters [default: 50 more than the prefix].
    json
        Print JSON: {"samples": [{"word": ..., "seen": "new" | "train" | "val" | "test"}, ...]}.
    """
    announce_work()
    loaded = load(run)
    words = loaded.model.sample(
        n,
        seed=loaded.options.seed if seed is None else seed,
        temperature=temperature,
        top_k=top_k,
        prefix=prefix,
        max_length=max_length,
    )
    marks = [loaded.corpus.mark(word) for word in words]
    if json:
        print_json({"samples": [{"word": word, "seen": mark} for word, mark in zip(words, marks, strict=True)]})
    else:
        print_samples(words, marks)
