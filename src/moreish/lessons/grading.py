"""Which exercises of handed-in notebooks pass. Each notebook runs in a process of its own, with a time limit."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib.resources import as_file
from pathlib import Path
from typing import Any, Literal

from ..errors import InputError
from .copying import NOTEBOOKS, home
from .exercises import Lesson, read_cells, read_lesson

Verdict = Literal["pass", "fail", "missing", "unreached"]
WORDS = "MOREISH_NAMES"  # names a list, which may be a file
LONGEST = 300  # characters of a reason
MAX_RESULTS = 1_000_000  # characters of verdicts
GRACE = 10.0  # seconds for a killed process to end


@dataclass(frozen=True)
class Mark:
    """The verdict on an exercise, and its reason.

    "missing" is an exercise without an answer. "unreached" is one after the process was stopped or ended.
    """

    number: str
    title: str
    verdict: Verdict
    said: str = ""


@dataclass(frozen=True)
class Marked:
    """A handed-in notebook. problem is why some exercises, or all, have no verdict."""

    path: Path
    lesson: str | None
    marks: tuple[Mark, ...] = ()
    problem: str | None = None

    @property
    def passes(self) -> bool:
        """True if all exercises pass."""
        return not self.problem and all(mark.verdict == "pass" for mark in self.marks)


def handed_in(place: str | Path) -> list[Path]:
    """Return the notebooks of a folder and its subfolders, or the one notebook. Raises InputError if there is none."""
    place = Path(place)
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise InputError(f"{place}: no such file or folder")
    found = sorted(path for path in place.rglob("*.ipynb") if path.is_file() and not _hidden(path.relative_to(place)))
    if not found:
        raise InputError(f"{place}: no notebook in it (*.ipynb)")
    return found


def _hidden(path: Path) -> bool:
    return any(part.startswith(".") for part in path.parts)  # such as .ipynb_checkpoints


def grade(
    paths: list[Path], timeout: float, on_progress: Callable[[Path, int], None] = lambda path, done: None
) -> Iterator[Marked]:
    """Run notebooks, one after another, and yield the verdicts on their exercises.

    timeout is in seconds, for each notebook. What a notebook contains cannot end or hold up the rest.
    """
    with as_file(home()) as folder:
        places = sorted(folder.glob(NOTEBOOKS))
        for done, path in enumerate(paths):
            on_progress(path, done)
            yield _graded(path, places, timeout)


def _graded(path: Path, places: list[Path], timeout: float) -> Marked:
    try:
        texts = {cell["source"] for cell in read_cells(path)}
    except InputError as error:
        return Marked(path, None, problem=str(error))
    shared = {place: len(texts & read_lesson(place).texts) for place in places}
    place = max(places, key=lambda place: shared[place])
    if not shared[place]:
        return Marked(path, None, problem="it is not a copy of a lesson: none of its cells is in one")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        results, own = Path(folder) / "results", Path(folder) / "own"  # so that no file of the learner is in the way
        own.mkdir()
        ended = _run([str(place.resolve()), str(path.resolve()), str(results)], str(own), timeout)
        events = list(_events(results))
    return _marked(path, read_lesson(place), events, ended)


def _run(arguments: list[str], folder: str, timeout: float) -> str:
    """Run a notebook in a folder, end all processes that it has started, and return how it ended."""
    environment = {**os.environ, "MPLBACKEND": "agg", "IPYTHONDIR": folder}
    if (words := environment.get(WORDS)) and Path(words).is_file():
        environment[WORDS] = str(Path(words).resolve())
    process = subprocess.Popen(
        [sys.executable, "-m", "moreish.lessons.marking", *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )
    try:
        return f"its process ended early (exit status {process.wait(timeout)})"
    except subprocess.TimeoutExpired:
        return f"it did not end in {timeout:g} s"
    finally:
        kill = partial(os.killpg, process.pid, signal.SIGKILL) if hasattr(os, "killpg") else process.kill
        with suppress(ProcessLookupError, PermissionError):
            kill()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)


def _events(results: Path) -> Iterator[dict[str, Any]]:
    """Yield what the process has written, except for what is no event: the learner's code can write there too."""
    with suppress(OSError), results.open(encoding="utf-8", errors="replace") as file:
        for line in file.read(MAX_RESULTS).splitlines():
            with suppress(ValueError, RecursionError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event


def _marked(path: Path, lesson: Lesson, events: list[dict[str, Any]], ended: str) -> Marked:
    """Return the verdicts of the events; `ended` is a problem unless an event is the end."""
    found = {event.get("place"): event for event in events if event.get("verdict") in ("pass", "fail", "missing")}
    last = next((event for event in events if event.get("end")), events[-1] if events else {})  # a fork writes on
    begun = next((event["begun"] for event in reversed(events) if "begun" in event), None)
    problem = None if last.get("end") else _printable(str(last.get("error", ended)))
    marks = list[Mark]()
    for exercise in lesson.exercises:
        mark = partial(Mark, exercise.number, exercise.title)
        if event := found.get(exercise.place):
            marks.append(mark(event["verdict"], _printable(str(event.get("said", "")))))
        elif problem and exercise.place == begun:
            marks.append(mark("fail", problem))
        else:
            marks.append(mark("unreached" if problem else "missing"))
    return Marked(path, lesson.name, tuple(marks), problem)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in text[:LONGEST])  # the learner's code may have chosen it
