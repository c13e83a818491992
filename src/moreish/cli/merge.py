"""Merge n-gram runs of the parts of a list into the run of the whole list.

Use it to count a list on several machines, or to add words to a list that is counted. Train the parts with --model
ngram --split hash: a hash of each word then decides between train, val and test, so a word is in the same part of the
split everywhere. The counts are added and smoothed anew. The model is the same, to the last bit, as that of the whole
list trained with --split hash. A merged run can be merged again, in any order and grouping.

A word counts each time that it is in a part, so give each part once. All parts need the same order and split seed.
Lists may have weights that are whole numbers; runs with labels or --at-least are refused, as their sums are not exact.

Examples:
  moreish train part1.txt --model ngram --split hash --out runs/part1
  moreish train part2.txt --model ngram --split hash --out runs/part2
  moreish merge runs/part1 runs/part2 --out runs/whole
  moreish merge runs/part* --smoothing kneser-ney --out runs/whole
"""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from ..errors import InputError
from ..evaluation import Evaluation
from ..ngram import SMOOTHINGS
from ..training.folder import check_free
from ..training.loading import load
from ..training.merging import merge as merge_runs
from ..training.run import Run
from .terminal import announce_work, print_losses, print_table, print_text
from .values import one_of

if TYPE_CHECKING:
    Smoothing = str
else:
    Smoothing = one_of(SMOOTHINGS)
Optional = Parameter(show_default=False)


def merge(
    *runs: Path,
    out: Path,
    smoothing: Annotated[Smoothing | None, Optional] = None,
    added: Annotated[float | None, Optional] = None,
    memory: Annotated[float | None, Optional] = None,
) -> None:
    """Run `moreish merge`.

    Parameters
    ----------
    runs
        Folders of the runs of the parts.
    out
        Folder for the merged run.
    smoothing
        Smoothing of the merged counts: fitted, kneser-ney, witten-bell or additive [default: that of the parts].
    added
        Value added to every count by additive smoothing [default: that of the parts].
    memory
        Memory for the merged counts, in GB [default: the most that a part may use].
    """
    announce_work()
    check_free(out)
    folders = [run.resolve() for run in runs]
    for run, folder in zip(runs, folders, strict=True):
        if folders.count(folder) > 1:
            raise InputError(f"{run} is given twice, and its words would count twice: give each run once")
    rows: list[tuple[str, ...]] = []

    def loaded() -> Iterator[Run]:
        for folder in runs:
            run = load(folder)
            yield run
            rows.append(_row(str(folder), run))

    merged = merge_runs(loaded(), smoothing=smoothing, added=added, memory=memory).save(out)
    merged.keep_loss()
    print_table(["run", ">words", ">characters", ">sequences"], [*rows, _row("merged", merged)])
    print()
    print_losses(Evaluation(merged.loss, {}))
    print_text(f"\nsaved in {out}; new words with: {shlex.join(['moreish', 'sample', str(out)])}")


def _row(name: str, run: Run) -> tuple[str, ...]:
    """Return the name of a run and its numbers of words, characters, and different sequences of the longest order."""
    numbers = len(run.corpus.words), len(run.corpus.vocab) - 1, len(run.model.arrays["counts"])
    return name, *(f"{number:,}" for number in numbers)
