"""Copy the lessons into a folder and open them in Jupyter, or check notebooks that learners have handed in.

The lessons are notebooks with their results; the first one counts letters. Notebooks that are already in the folder are
not overwritten. When the notebooks run, they download the names of the lecture; without a connection they use the
bundled names. The environment variable MOREISH_NAMES names another list.

Some pictures have a slider, or a field for a word. For that Jupyter needs anywidget, which the extra lessons installs;
without it they are plain pictures.

With --check, each notebook of a folder is run, and a table says which exercises pass: + for a right answer, - for a
wrong one, . for none, ? for one that was not reached. The exit status is 0 if all exercises of all notebooks pass, else
1. The code of learners runs with your rights: use a container.

Examples:
  moreish lessons
  moreish lessons my-lessons --copy
  moreish lessons for-class --copy --without-solutions
  moreish lessons --check handed-in
  moreish lessons --check handed-in --csv > marks.csv
"""

import csv as csv_format
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import asdict
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

from ..errors import InputError, missing
from ..lessons.copying import copy_lessons
from ..lessons.grading import Marked, grade, handed_in
from .progress import StagesView
from .terminal import print_json, print_table, print_text, say
from .values import Duration, Flag

SIGNS = {"pass": "+", "fail": "-", "missing": ".", "unreached": "?"}


def lessons(
    folder: Path = Path("lessons"),
    /,
    *,
    copy: Flag = False,
    without_solutions: Flag = False,
    check: Path | None = None,
    timeout: Duration = 600.0,
    json: Flag = False,
    csv: Flag = False,
) -> None:
    """Run `moreish lessons`.

    Parameters
    ----------
    folder
        Folder for the notebooks; files that it already contains are not overwritten.
    copy
        Only copy the notebooks; do not open Jupyter.
    without_solutions
        Leave the solutions out of the copies.
    check
        Say which exercises pass in the notebooks of this folder and its subfolders, or in this notebook.
    timeout
        With --check, how long a notebook may run: seconds, or a time such as 10min.
    json
        With --check, print JSON: {"notebooks": [{"path", "lesson", "problem": text or null, "exercises": [{"number",
        "title", "verdict": "pass" | "fail" | "missing" | "unreached", "said"}, ...]}, ...]}.
    csv
        With --check, print CSV, a row for each exercise: notebook, lesson, number, title, verdict, said. A notebook
        that cannot be checked has one row, with the problem in the last column.
    """
    if check is not None:
        if copy or without_solutions:
            raise InputError("--check makes no copies: leave out --copy and --without-solutions")
        raise SystemExit(_check(check, timeout, json, csv))
    if json or csv:
        raise InputError(f"--{'json' if json else 'csv'} goes with --check FOLDER")
    if not copy and find_spec("jupyterlab") is None:
        raise missing("opening the lessons needs JupyterLab (--copy only copies them)", "lessons")
    for path, kept in copy_lessons(folder, solutions=not without_solutions).items():
        print(f"{path} (kept: it was already there)" if kept else path)
    if not copy:
        raise SystemExit(subprocess.run([sys.executable, "-m", "jupyterlab", str(folder)], check=False).returncode)


def _check(place: Path, timeout: float, json: bool, csv: bool) -> int:
    """Print the verdicts on handed-in notebooks and return the exit status."""
    if json and csv:
        raise InputError("choose one of --json and --csv")
    if timeout <= 0:
        raise InputError(f"--timeout is {timeout:g} s, and must be above zero")
    for package in ("IPython", "torch"):
        if find_spec(package) is None:
            raise missing(f"checking notebooks needs {package}", "lessons")
    paths = handed_in(place)
    found, stopped = list[Marked](), False
    with StagesView() as view:
        try:
            for marked in grade(paths, timeout, lambda path, done: view(f"running {path}", done, len(paths))):
                found.append(marked)
        except KeyboardInterrupt:
            if not found:
                raise
            stopped = True
    if json:
        print_json({"notebooks": [_as_json(marked) for marked in found]})
    elif csv:
        csv_format.writer(sys.stdout, lineterminator="\n").writerows(_rows(found))
    else:
        _print(found)
    if stopped:
        say(f"stopped: {len(paths) - len(found)} of {len(paths)} notebooks have no verdicts")
        return 130
    return 0 if all(marked.passes for marked in found) else 1


def _as_json(marked: Marked) -> dict[str, object]:
    exercises = [asdict(mark) for mark in marked.marks]
    return {"path": str(marked.path), "lesson": marked.lesson, "problem": marked.problem, "exercises": exercises}


def _rows(found: Iterable[Marked]) -> Iterable[tuple[str, ...]]:
    yield "notebook", "lesson", "number", "title", "verdict", "said"
    for marked in found:
        for mark in marked.marks:
            yield str(marked.path), marked.lesson or "", mark.number, mark.title, mark.verdict, mark.said
        if not marked.marks:
            yield str(marked.path), "", "", "", "unreached", marked.problem or ""


def _print(found: list[Marked]) -> None:
    """Print a row for each notebook, and then the reasons."""
    most = max(len(marked.marks) for marked in found)
    rows = [
        [
            str(marked.path),
            marked.lesson or "",
            f"{sum(mark.verdict == 'pass' for mark in marked.marks)} of {len(marked.marks)}" if marked.marks else "",
            *chain((SIGNS[mark.verdict] for mark in marked.marks), [""] * (most - len(marked.marks))),
        ]
        for marked in found
    ]
    print_table(["notebook", "lesson", "pass", *map(str, range(1, most + 1))], rows)
    for marked in found:
        if marked.problem:
            print_text(f"{marked.path}: {marked.problem}")
        for mark in marked.marks:
            if mark.said and mark.said != marked.problem:
                print_text(f"{marked.path}: {mark.number}. {mark.title}: {mark.said}")
