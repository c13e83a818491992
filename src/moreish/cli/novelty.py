"""Measure how new the words are that a trained model makes.

Draws samples, and tells how many of them stand in train, how many are different, how many edits lead from each to the
nearest train word (characters put in, taken out or exchanged), and how much of it is one piece of a train word. Beside
them stands the same of held-out words, those of val and test, which is how much is to be expected.

Examples:
  moreish novelty runs/names-mlp
  moreish novelty runs/names-mlp -n 2000 --temperature 0.8 --json
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from ..training.run import load
from .terminal import announce_work, print_json, print_table
from .values import Flag, WholeNumber, whole_number


def novelty(
    run: Path,
    /,
    *,
    n: Annotated[int, Parameter(name=["-n", "--number"], converter=whole_number)] = 10_000,
    seed: WholeNumber | None = None,
    temperature: float = 1.0,
    top_k: WholeNumber = 0,
    json: Flag = False,
) -> None:
    """Run `moreish novelty`.

    Parameters
    ----------
    run
        Folder of a run.
    n
        How many samples.
    seed
        Seed of the draw [default: that of the run].
    temperature
        Below 1 keeps to the likely, above 1 ventures; 0 always takes the likeliest character.
    top_k
        Draw among the K likeliest characters only; 0 is all of them.
    json
        Print JSON: {"samples": {"words", "copies", "copied", "interval", ...}, "held_out": {...}, "difference": [low,
        high], "hits": ..., "favour": ..., "favour_interval": [low, high], "verdicts": [...], "words": [{"word", "seen",
        "nearest", "distance", "shared"}, ...]}.
    """
    from ..analysis.novelty import novelty as novelty_of

    announce_work()
    loaded, console = load(run), Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("nearest train words", total=None)
        found = novelty_of(
            loaded,
            n,
            seed=seed,
            temperature=temperature,
            top_k=top_k,
            tell=lambda done, words: progress.update(task, completed=done, total=words),
        )
    if json:
        print_json(found.as_json())
        return
    heading, cells = found.table()
    print_table([heading[0], *(f">{name}" for name in heading[1:])], cells)
    print()
    rows = [
        [kind if i == 0 else "", kin.word, kin.nearest, kin.distance, f"{kin.shared} of {len(kin.word)}"]
        for kind, kins in found.examples().items()
        for i, kin in enumerate(kins)
    ]
    if rows:
        print_table(["samples", "", "nearest train word", ">edits", ">shared characters"], rows)
        print()
    for verdict in found.verdicts:
        print(verdict)
