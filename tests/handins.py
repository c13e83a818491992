"""Notebooks as learners hand them in, made from those of the lessons."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat

from moreish.lessons.copying import is_solution
from moreish.lessons.exercises import YOURS, Exercise, read_lesson


def edited(lesson: Path, edit: Callable[[str], str]) -> Any:
    """Return a lesson without its solutions in which each answer's cell is edited."""
    notebook = nbformat.read(lesson, as_version=4)
    notebook.cells = [cell for cell in notebook.cells if not is_solution(cell)]
    for cell in notebook.cells:
        if cell.cell_type == "code" and YOURS in cell.source and "check_" in cell.source:
            cell.source = edit(cell.source)
    return notebook


def solved(lesson: Path) -> Any:
    """Return a lesson without its solutions, with the answers that they assert to be right."""
    read, notebook = read_lesson(lesson), edited(lesson, lambda source: source)
    for exercise, end in zip(read.exercises, [e.place for e in read.exercises[1:]] + [len(read.cells)], strict=True):
        solution = "\n".join(cell.source for cell in read.cells[exercise.place : end] if cell.is_solution)
        here = next(cell for cell in notebook.cells if cell.source == read.cells[exercise.place].source)
        here.source = answer(exercise, solution)
    return notebook


def answer(exercise: Exercise, solution: str) -> str:
    """Return a cell that binds the answers to what a solution asserts to be right."""
    body = ast.parse(solution).body
    asserted = [stmt.test for stmt in body if isinstance(stmt, ast.Assert) and isinstance(stmt.test, ast.Call)]
    calls = [call for call in asserted if isinstance(call.func, ast.Name) and call.func.id in exercise.called]
    found: dict[str, str] = {}

    def match(asked: ast.expr, given: ast.expr) -> None:
        if isinstance(asked, ast.Tuple) and isinstance(given, ast.Tuple):
            for pair in zip(asked.elts, given.elts, strict=True):
                match(*pair)
        elif isinstance(asked, ast.Name) and asked.id in exercise.answers:
            found[asked.id] = ast.unparse(given)

    for check, call in zip(exercise.checks, calls, strict=True):
        for pair in zip(check.args, call.args, strict=True):
            match(*pair)
    assert set(found) == set(exercise.answers), f"{exercise}: no answer in its solution"
    lines = [ast.unparse(stmt) for stmt in (*exercise.given, *(s for s in body if not isinstance(s, ast.Assert)))]
    lines += [f"{name} = {value}" for name, value in found.items()]
    return "\n".join([*lines, *map(ast.unparse, exercise.checks)])
