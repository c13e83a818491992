"""The exercises of a lesson, and the notebooks that learners hand in, read from their files."""

import ast
import dis
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import CodeType
from typing import Any

from ..errors import InputError
from .copying import is_solution

YOURS = "# yours"  # marks the lines of an answer
MAX_SIZE = 50_000_000  # bytes of a notebook
HEADING = re.compile(r"^(?:\*\*(?:Exercise )?(\d+)\.(?: ([^*\n]+)\.)?\*\*|#+ (\d+)\. (.+)$)", re.MULTILINE)
LOADS = ("LOAD_NAME", "LOAD_GLOBAL")
MAGIC = re.compile(r"^%.*$", re.MULTILINE)  # a line that is no Python


@dataclass(frozen=True)
class Cell:
    """A cell with code."""

    source: str
    is_solution: bool = False


@dataclass(frozen=True)
class Exercise:
    """An exercise of a lesson, in a cell with placeholders and calls of checks.

    place       index of its cell among those with code
    answers     names that the learner binds
    given       statements before and after the answer that are part of the question
    checks      calls of the checks
    """

    number: str
    title: str
    place: int
    answers: tuple[str, ...]
    given: tuple[ast.stmt, ...]
    checks: tuple[ast.Call, ...]

    @property
    def called(self) -> set[str]:
        """Names of the checks."""
        return {call.func.id for call in self.checks if isinstance(call.func, ast.Name)}


@dataclass(frozen=True)
class Lesson:
    """A lesson as it is installed: its cells with code, its exercises, and the texts of all its cells."""

    name: str
    cells: tuple[Cell, ...]
    exercises: tuple[Exercise, ...]
    texts: frozenset[str]


def read_cells(path: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook, with their sources as one text. Raises InputError for what is no notebook."""
    try:
        size = path.stat().st_size
        data = path.read_bytes() if size <= MAX_SIZE else b""
    except OSError as error:
        raise InputError(f"it cannot be read ({error.strerror})") from None
    if size > MAX_SIZE:
        limit = f"a notebook may have {MAX_SIZE // 10**6} MB"
        raise InputError(f"it has {size / 1e6:.0f} MB, and {limit}", "clear its outputs and save it again")
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError):
        raise InputError("it is not a notebook: its JSON is broken") from None
    cells = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(cells, list):
        raise InputError("it is not a notebook of format 4: it has no cells")
    return [{**cell, "source": _text(cell.get("source"))} for cell in cells if isinstance(cell, dict)]


def _text(source: Any) -> str:
    """Return a source without spaces at the ends of its lines; it may be a list of lines."""
    text = "".join(map(str, source)) if isinstance(source, list) else str(source or "")
    return "\n".join(line.rstrip() for line in text.strip().split("\n"))


def code_of(path: Path) -> list[str]:
    """Return the sources of the cells with code. Raises InputError for what is no notebook."""
    return [cell["source"] for cell in read_cells(path) if cell.get("cell_type") == "code" and cell["source"]]


@cache
def read_lesson(path: Path) -> Lesson:
    """Return the lesson in an installed notebook."""
    cells: list[Cell] = []
    exercises: list[Exercise] = []
    number, title = "", ""
    read = read_cells(path)
    for cell in read:
        if cell["cell_type"] != "code":
            for found in HEADING.finditer(cell["source"]):
                number, title = found[1] or found[3], found[2] or found[4] or ""
            continue
        source = MAGIC.sub("", cell["source"])
        if not is_solution(cell) and (parts := _exercise(source)):
            answers, given, checks = parts
            title = title or ", ".join(answers)
            exercises.append(Exercise(number or str(len(exercises) + 1), title, len(cells), answers, given, checks))
            number, title = "", ""
        cells.append(Cell(cell["source"], is_solution(cell)))
    return Lesson(path.stem, tuple(cells), tuple(exercises), frozenset(cell["source"] for cell in read))


def _exercise(source: str) -> tuple[tuple[str, ...], tuple[ast.stmt, ...], tuple[ast.Call, ...]] | None:
    """Return the names of the answers, the given statements and the checks of a cell; None if it is no exercise."""
    lines, answers = source.split("\n"), list[str]()
    given, checks = list[ast.stmt](), list[ast.Call]()
    for stmt in ast.parse(source).body:
        if any(YOURS in line for line in lines[stmt.lineno - 1 : stmt.end_lineno]):
            answers += sorted(names(ast.unparse(stmt))[0])
        elif check := _check(stmt):
            checks.append(check)
        else:
            given.append(stmt)
    return (tuple(answers), tuple(given), tuple(checks)) if answers and checks else None


def _check(stmt: ast.stmt) -> ast.Call | None:
    """Return the call of a check that a statement consists of, if it does."""
    match stmt:
        case ast.Expr(ast.Call(ast.Name(name)) as call) if name.startswith("check_"):
            return call
        case _:
            return None


@cache
def names(source: str) -> tuple[frozenset[str], frozenset[str]]:
    """Return the names that Python code binds, and those that it uses and has not bound before."""
    bound, used, later = set[str](), set[str](), set[str]()  # later: when a function is called
    code = compile(source, "<cell>", "exec")
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("STORE_NAME", "STORE_GLOBAL"):
            bound.add(instruction.argval)
        elif instruction.opname in LOADS:
            used |= {instruction.argval} - bound
    inner = [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    while inner:
        code = inner.pop()
        later |= {instruction.argval for instruction in dis.get_instructions(code) if instruction.opname in LOADS}
        inner += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(bound), frozenset(used | (later - bound))


@dataclass(frozen=True)
class Step:
    """A cell to run: one of the lesson (place), one of the learner's own (source), or an answer (exercise, source)."""

    place: int | None = None
    source: str = ""
    exercise: Exercise | None = None


def steps(lesson: Lesson, sources: list[str]) -> Iterator[Step]:
    """Yield the cells of a notebook in order, each after the cells that come before it in the lesson.

    The lesson's own cells are those that are installed, also where the learner has deleted or edited one; an edited
    cell comes as the learner's own. Exercises without an answer are left out.
    """
    places = {cell.source: place for place, cell in enumerate(lesson.cells)}
    answered = {index: exercise for exercise in lesson.exercises if (index := _answer(exercise, sources, places)) >= 0}
    questions = {exercise.place for exercise in lesson.exercises}
    reached = 0
    for index, source in enumerate(sources):
        exercise, place = answered.get(index), places.get(source)
        end = exercise.place if exercise else place + 1 if place is not None else 0
        yield from (Step(place=at) for at in range(reached, end) if at not in questions)
        reached = max(reached, end)
        if exercise:
            yield Step(source=source, exercise=exercise)
        elif place is None:
            yield Step(source=source)


def _answer(exercise: Exercise, sources: list[str], places: dict[str, int]) -> int:
    """Return the index of the last cell that calls the checks of an exercise, or else binds its answers, or -1."""
    call = re.compile(rf"\b(?:{'|'.join(exercise.called)})\s*\(")
    bind = [re.compile(rf"^(?:def )?[\w, ]*\b{name}\b[^=\n]*[=(]", re.MULTILINE) for name in exercise.answers]
    own = [(index, source) for index, source in enumerate(sources) if source not in places]
    calling = [index for index, source in own if call.search(source)]
    binding = [index for index, source in own if all(pattern.search(source) for pattern in bind)]
    return max([index for index in calling if index in binding] or calling or binding, default=-1)
