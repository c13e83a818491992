"""Measure how new a model's words are.

Draws samples from the model and reports how many of them are copies of train words, how many are distinct, the edit
distance from each to the nearest train word, and the longest substring that each shares with a train word. The same
figures for held-out words, those of val and test, show what to expect from words of this kind.

Examples:
  moreish novelty runs/names-mlp
  moreish novelty runs/names-mlp -n 2000 --temperature 0.8 --json
"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.progress import Progress

from ..training.loading import load
from .terminal import announce_work, print_json, print_table, print_text
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
        Number of samples.
    seed
        Seed of the random draw [default: the seed of the run].
    temperature
        Below 1, likely characters become more likely; above 1, all become more equal; at 0, the most likely is always
        taken.
    top_k
        Draw from the K most likely characters only; 0 means all.
    json
        Print JSON: {"samples": {"words", "copies", "copied", "interval", ...}, "held_out": {...}, "difference": [low,
        high], "hits": ..., "memorisation_ratio": ..., "memorisation_interval": [low, high], "verdicts": [...], "words":
        [{"word", "seen", "nearest", "distance", "shared", "source"}, ...]}.
    """
    from ..analysis.novelty import novelty as measure_novelty

    announce_work()
    loaded, console = load(run), Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("nearest train words", total=None)
        found = measure_novelty(
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
        [
            kind if i == 0 else "",
            row.word,
            row.nearest,
            row.distance,
            f"{row.piece} in {row.source}" if row.piece else "",
        ]
        for kind, neighbours in found.examples().items()
        for i, row in enumerate(neighbours)
    ]
    if rows:
        print_table(["samples", "", "nearest train word", ">edits", "longest shared piece"], rows)
        print()
    for verdict in found.verdicts:
        print_text(verdict)
