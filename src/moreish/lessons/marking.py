"""The process that runs one handed-in notebook. It writes a line of JSON about each exercise to a file.

    python -m moreish.lessons.marking LESSON.ipynb HANDED_IN.ipynb RESULTS

Two namespaces are kept. In `lesson` run only the installed cells, and in it the checks are called. In `own` run the
learner's cells; it gets every name that a cell of the lesson has bound. So a learner who overwrites the words, edits a
call or defines a check anew changes nothing that a verdict depends on. Only cells whose names are used later are run.
"""

import ast
import contextlib
import io
import json
import os
import sys
from pathlib import Path
from traceback import format_exception_only
from typing import Any

from .exercises import MAGIC, Exercise, Lesson, Step, code_of, names, read_lesson, steps

NOT_YET = ": not yet. "  # in what a check prints


class Marking:
    """The two namespaces, and the shell that the magics of the learner's cells need."""

    def __init__(self, lesson: Lesson, results: Path):
        from IPython.core.inputtransformer2 import TransformerManager
        from IPython.core.interactiveshell import InteractiveShell
        from traitlets.config import Config

        self.lesson, self.results = lesson, results
        self.given: dict[str, Any] = {"__name__": "__main__"}
        self.own: dict[str, Any] = {"__name__": "__main__"}
        self.python = TransformerManager().transform_cell
        no_history = Config({"HistoryManager": {"enabled": False}})
        shell = InteractiveShell.instance(user_ns=self.own, config=no_history)
        self.own["get_ipython"] = shell.get_ipython

    def write(self, **event: Any) -> None:
        with self.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")

    def run(self, sources: list[str]) -> None:
        """Run the cells that the answers need, in order, and write the verdicts."""
        for step in self.needed(list(steps(self.lesson, sources))):
            if step.exercise is not None:
                self.write(begun=step.exercise.place)
                verdict, said = self.verdict(step.exercise, step.source)
                self.write(place=step.exercise.place, verdict=verdict, said=said)
            elif step.place is not None:
                cell = self.lesson.cells[step.place]
                self.run_given(cell.source)
                if not cell.is_solution or cell.source in sources:
                    self.hand_over(cell.source)
            else:
                with contextlib.suppress(BaseException):  # of the learner's experiments only the answers count
                    exec(compile(self.python(step.source), "<cell>", "exec"), self.own)

    def needed(self, found: list[Step]) -> list[Step]:
        """Return the steps without those cells of the lesson whose names nothing uses."""
        used, kept, last = set[str](), list[Step](), -1
        while len(kept) != last:
            last, kept = len(kept), []
            for step in reversed(found):
                bound, uses = self.names(step)
                if step.place is None or bound & used:
                    kept.insert(0, step)
                    used |= uses
        return kept

    def names(self, step: Step) -> tuple[frozenset[str], frozenset[str]]:
        """Return the names that a step binds and those that it uses."""
        if step.place is not None:
            return names(MAGIC.sub("", self.lesson.cells[step.place].source))
        try:
            bound, used = names(self.python(step.source))
        except (SyntaxError, ValueError, RecursionError, MemoryError):  # what is nested too deeply cannot be read
            bound = used = frozenset[str]()
        if step.exercise is not None:
            used |= names("\n".join(map(ast.unparse, (*step.exercise.given, *step.exercise.checks))))[1]
        return bound, used

    def run_given(self, source: str) -> None:
        """Run a cell of the lesson, without its assertions, which are about the lesson itself."""
        body = [stmt for stmt in ast.parse(MAGIC.sub("", source)).body if not isinstance(stmt, ast.Assert)]
        exec(compile(ast.Module(body, []), "<lesson>", "exec"), self.given)

    def hand_over(self, source: str) -> None:
        bound, _ = names(MAGIC.sub("", source))
        self.own.update({name: self.given[name] for name in bound if name in self.given})

    def verdict(self, exercise: Exercise, source: str) -> tuple[str, str]:
        """Run an answer and return "pass", "fail" or "missing", and the reason."""
        given = "\n".join(map(ast.unparse, exercise.given))
        self.run_given(given)
        self.hand_over(given)
        raised = ""
        try:
            body = ast.parse(self.python(source)).body
            question = {ast.unparse(part) for part in (*exercise.given, *exercise.checks)}
            answer = ast.Module([stmt for stmt in body if ast.unparse(stmt) not in question], [])
            exec(compile(answer, "<answer>", "exec"), self.own)
        except BaseException as error:
            raised = reason(error)
        unbound = object()  # a name that only the lesson has bound is no answer either
        for name in exercise.answers:
            found = self.own.get(name, unbound)
            if found is unbound or found is self.given.get(name, unbound):
                return ("fail", raised) if raised else ("missing", f"{name} is not defined")
        answers = {name: self.own[name] for name in exercise.answers}
        values = []
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                space = {**self.given, **answers}
                for check in exercise.checks:
                    values.append(eval(compile(ast.Expression(check), "<check>", "eval"), space))
        except BaseException as error:
            return "fail", reason(error)
        if all(value is True for value in values):
            return "pass", ""
        said = " ".join(line for line in printed.getvalue().splitlines() if NOT_YET in line)
        return ("missing" if None in values and False not in values else "fail"), said


def reason(error: BaseException) -> str:
    """Return what was raised, in one line."""
    return " ".join(f"raises {format_exception_only(error)[-1]}".split())


def main(lesson: str, handed_in: str, results: str) -> None:
    marking = Marking(read_lesson(Path(lesson)), Path(results))
    try:
        marking.run(code_of(Path(handed_in)))
        marking.write(end=True)
    except BaseException as error:  # the installed lesson does not run here, such as with another list
        marking.write(error=f"a cell of the installed lesson {reason(error)}")
    os._exit(0)  # without waiting for threads that the learner has started


if __name__ == "__main__":
    main(*sys.argv[1:])
