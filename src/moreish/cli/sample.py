"""moreish sample"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..run import load
from .terminal import announce_work, print_json, print_samples


def sample(
    run: Path,
    /,
    *,
    n: Annotated[int, Parameter(name=["-n", "--number"])] = 20,
    seed: int | None = None,
    temperature: float = 1.0,
    top_k: int = 0,
    prefix: str = "",
    max_length: int | None = None,
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Make new words with a trained model.

    Each word is marked new, or with the part of the list (train, val, test) that it stands in.

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
