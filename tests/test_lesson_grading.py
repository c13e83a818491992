"""`moreish lessons --check`: verdicts on handed-in notebooks, whatever they contain."""

import csv
import io
import json
import re
from pathlib import Path

import nbformat
import pytest
from handins import edited, solved
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from moreish.cli import run
from moreish.lessons import grading
from moreish.lessons.copying import is_solution
from moreish.lessons.exercises import YOURS, names, read_lesson

LESSONS = sorted((Path(__file__).parents[1] / "lessons").glob("[0-9][0-9]_*.ipynb"))

SETUP = """
import numpy as np
from moreish.lessons.bigram import check_index_for_one_hot, check_trigrams
%matplotlib inline
W = np.arange(12.0).reshape(4, 3)
words = ["ab", "ba"]
T = 0
"""
LOOKUP, T = "lookup = ...  # yours", "T = ...  # yours"
CALLS = {LOOKUP: "check_index_for_one_hot(lookup, W)", T: "check_trigrams(T, words)"}
RIGHT = {
    LOOKUP: "def lookup(W, tokens):\n    return W[tokens]\n",
    T: "T = np.zeros((3, 3, 3))\nfor a, b, c in [(0, 0, 1), (0, 1, 2), (1, 2, 0), (0, 0, 2), (0, 2, 1), (2, 1, 0)]:\n"
    "    T[a, b, c] += 1",
}


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A folder with one lesson that has two exercises and needs no torch."""
    cells = [new_markdown_cell("# 1. Small"), new_code_cell(SETUP)]
    for title, placeholder in (("**1. Indexing.** Write it.", LOOKUP), ("### 2. Trigrams", T)):
        cells += [new_markdown_cell(title), new_code_cell(f"{placeholder}\n{CALLS[placeholder]}")]
        cells += [new_markdown_cell("A solution:", metadata={"tags": ["solution"]})]
        cells += [new_code_cell("solved = 1", metadata={"tags": ["hide-input"]})]
    folder = tmp_path_factory.mktemp("small")
    nbformat.write(new_notebook(cells=cells), folder / "01_small.ipynb")
    return folder


def replaced(changes):
    """Return a function that replaces parts of a cell."""

    def edit(source):
        for old, new in changes.items():
            source = source.replace(old, new)
        return source

    return edit


def with_cells(*sources):
    """Return an edit of a notebook that adds cells of the learner's own after the first code cell."""

    def add(notebook):
        notebook.cells[2:2] = map(new_code_cell, sources)

    return add


def without(text):
    def remove(notebook):
        notebook.cells = [cell for cell in notebook.cells if text not in cell.source]

    return remove


def older(notebook):
    """Make the notebook one of an older version, whose cells had other words."""
    for cell in notebook.cells[:2]:
        cell.source = cell.source.replace('words = ["ab", "ba"]', 'words = ["ab", "ba"]  # two').replace(
            "1. Small", "1."
        )


FAKE = """
def check_index_for_one_hot(*_): return True
import moreish.lessons.bigram as bigram
bigram.check_trigrams = check_trigrams = check_index_for_one_hot
words = ["a"]
print("indexing for one-hot: right")
"""
# By name: the changed parts of the cells with answers, an edit of the notebook, the verdicts, and words of the reasons.
NOTEBOOKS = {
    "right": (RIGHT, None, "pass pass", ""),
    "untouched": ({}, None, "missing missing", ""),
    "wrong": ({**RIGHT, "W[tokens]": "W[tokens[::-1]]"}, None, "fail pass", "rows of other tokens"),
    "half": ({LOOKUP: RIGHT[LOOKUP]}, None, "pass missing", ""),
    "raises": ({**RIGHT, "W[tokens]": "1 / 0"}, None, "fail pass", "raises ZeroDivisionError"),
    "raises oddly": ({**RIGHT, "return W[tokens]": "raise ValueError(chr(27) + '[2J' + chr(0xD800))"}, None,
                     "fail pass", "raises ValueError: �[2J�"),
    "no Python": ({**RIGHT, "W[tokens]": "W[tokens"}, None, "fail pass", "raises SyntaxError"),
    "exits": ({**RIGHT, LOOKUP: "import sys\nsys.exit(0)"}, None, "fail pass", "raises SystemExit"),
    "exits in the check": ({**RIGHT, "return W[tokens]": "raise SystemExit(0)"}, None, "fail pass", "SystemExit"),
    "ends": ({**RIGHT, "return W[tokens]": "import os; os._exit(0)"}, None, "fail unreached", "ended early"),
    "crashes": ({**RIGHT, T: "import os; os.abort()"}, None, "pass fail", "ended early (exit status -"),
    "renamed": ({**RIGHT, "def lookup": "def look", "(lookup,": "(look,"}, None, "missing pass", "lookup is not def"),
    "faked": ({LOOKUP: "lookup = 1", T: "T = 1"}, with_cells(FAKE), "fail fail", "raises TypeError"),
    "edited call": ({**RIGHT, "T[a, b, c] += 1": "T[a, b, c] += 2", "T, words": "T / 2, words"}, None, "pass fail", ""),
    "own words": ({**RIGHT, "T = np": 'words.append("c"); words = []; T = np'}, None, "pass fail", ""),
    "deleted answer": (RIGHT, without("check_index"), "missing pass", ""),
    "deleted setup": (RIGHT, without("import numpy as np\nfrom"), "pass pass", ""),
    "deleted call": ({**RIGHT, "check_trigrams(T, words)": ""}, None, "pass pass", ""),
    "older": (RIGHT, older, "pass pass", ""),
    "helper": ({**RIGHT, "W[tokens]": "rows(W, tokens)"}, with_cells("rows = np.take_along_axis", "1 / 0",
               "def rows(W, tokens): return W[tokens]"), "pass pass", ""),
    "own results": ({**RIGHT, "T = np": "open('results', 'w').close(); T = np"}, None, "pass pass", ""),
    "forks": ({**RIGHT, "T = np": "import os; os.fork(); T = np"}, None, "pass pass", ""),
    "deleted name": ({**RIGHT, T: "del T"}, None, "pass missing", "T is not defined"),
    "magic": ({**RIGHT, "T = np": "%time 1 + 1\n!true\nT = np"}, with_cells("%%time\nx = 1"), "pass pass", ""),
    "deep": (RIGHT, with_cells("a" + ".a" * 200_000, "x = " + "-" * 100_000 + "1"), "pass pass", ""),
    "deep answer": ({**RIGHT, "return W[tokens]": "return W" + ".a" * 200_000}, None, "fail pass", "raises "),
    "signs": ({**RIGHT, T: "T = " + "-" * 100_000 + "1"}, None, "pass fail", "raises "),
}  # fmt: skip
NO_NOTEBOOKS = {
    "broken": ('{"cells": [', "JSON is broken"),
    "deep": ("[" * 200_000, "JSON is broken"),
    "list": ("[]", "no cells"),
    "old": ('{"worksheets": [], "nbformat": 3}', "no cells"),
    "other": (json.dumps(new_notebook(cells=[new_code_cell("1 + 1")])), "not a copy of a lesson"),
    "odd": ('{"cells": [7, {}, {"cell_type": "code", "source": [1, null]}]}', "not a copy of a lesson"),
}


@pytest.fixture(scope="module")
def graded(small, tmp_path_factory):
    """The verdicts on all these notebooks, by name, as JSON."""
    folder = tmp_path_factory.mktemp("handed in")
    for name, (changes, edit, _, _) in NOTEBOOKS.items():
        notebook = edited(small / "01_small.ipynb", replaced(changes))
        if edit:
            edit(notebook)
        (folder / name).mkdir()
        nbformat.write(notebook, folder / name / "mine.ipynb")
        (folder / name / ".ipynb_checkpoints").mkdir()
        (folder / name / ".ipynb_checkpoints" / "mine-checkpoint.ipynb").touch()
    for name, (text, _) in NO_NOTEBOOKS.items():
        (folder / f"{name}.ipynb").write_text(text)
    with (folder / "large.ipynb").open("wb") as file:
        file.truncate(100_000_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(grading, "home", lambda: small)
        printed = io.StringIO()
        patch.setattr("sys.stdout", printed)
        with pytest.raises(SystemExit) as ended:
            run(["lessons", "--check", str(folder), "--json"])
    assert ended.value.code == 1
    found = json.loads(printed.getvalue())["notebooks"]
    return {str(Path(row["path"]).relative_to(folder)): row for row in found}


def test_every_notebook_has_its_line(graded):
    names = [*(f"{name}/mine.ipynb" for name in NOTEBOOKS), *(f"{name}.ipynb" for name in NO_NOTEBOOKS), "large.ipynb"]
    assert sorted(graded) == sorted(names)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_verdicts_are_those_of_the_installed_checks(graded, name):
    _, _, verdicts, said = NOTEBOOKS[name]
    row = graded[f"{name}/mine.ipynb"]
    assert row["lesson"] == "01_small"
    assert [(mark["number"], mark["title"]) for mark in row["exercises"]] == [("1", "Indexing"), ("2", "Trigrams")]
    assert " ".join(mark["verdict"] for mark in row["exercises"]) == verdicts, row
    assert said in " ".join(mark["said"] for mark in row["exercises"])
    assert bool(row["problem"]) == (name in ("ends", "crashes"))


@pytest.mark.parametrize("name", [*NO_NOTEBOOKS, "large"])
def test_what_is_no_notebook_of_a_lesson_is_said_in_one_line(graded, name):
    row = graded[f"{name}.ipynb"]
    assert (row["lesson"], row["exercises"]) == (None, [])
    assert NO_NOTEBOOKS.get(name, ("", "100 MB"))[1] in row["problem"]
    assert "\n" not in row["problem"]


@pytest.fixture
def notebook(small, tmp_path, monkeypatch):
    """Return a function that hands in a notebook with changed answers."""
    monkeypatch.setattr(grading, "home", lambda: small)

    def write(name, changes):
        nbformat.write(edited(small / "01_small.ipynb", replaced(changes)), tmp_path / name)
        return tmp_path / name

    return write


def test_an_endless_loop_is_stopped_and_the_rest_goes_on(notebook, tmp_path):
    notebook("a.ipynb", {LOOKUP: "while True:\n    try:\n        pass\n    except BaseException:\n        pass"})
    (tmp_path / "b.ipynb").write_text("{}")
    first, second = grading.grade(grading.handed_in(tmp_path), timeout=3)
    assert first.problem == "it did not end in 3 s"
    assert not {mark.verdict for mark in first.marks} & {"pass", "missing"}
    assert "no cells" in (second.problem or "")


def test_processes_that_a_notebook_has_started_are_ended(notebook, tmp_path):
    start = "import subprocess, sys\np = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(1000)'])\n"
    start += f"open({str(tmp_path / 'pid')!r}, 'w').write(str(p.pid))\n"
    (marked,) = grading.grade([notebook("a.ipynb", {**RIGHT, LOOKUP: start + RIGHT[LOOKUP]})], timeout=300)
    assert marked.passes
    status = Path("/proc", (tmp_path / "pid").read_text(), "stat")
    assert not status.exists() or status.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_lesson_that_does_not_run_here_is_said(notebook, small, tmp_path, monkeypatch):
    lesson = nbformat.read(small / "01_small.ipynb", as_version=4)
    lesson.cells[1].source += "\nraise OSError('no list')"
    (tmp_path / "lessons").mkdir()
    nbformat.write(lesson, tmp_path / "lessons" / "01_small.ipynb")
    monkeypatch.setattr(grading, "home", lambda: tmp_path / "lessons")
    (marked,) = grading.grade([notebook("a.ipynb", RIGHT)], timeout=300)
    assert marked.problem == "a cell of the installed lesson raises OSError: no list"
    assert [mark.verdict for mark in marked.marks] == ["unreached", "unreached"]


def test_the_table_and_the_exit_status(notebook, tmp_path, capsys):
    path = notebook("a.ipynb", RIGHT)
    with pytest.raises(SystemExit) as ended:
        run(["lessons", "--check", str(path)])
    assert ended.value.code == 0
    assert capsys.readouterr().out.splitlines()[1].split() == [str(path), "01_small", "2", "of", "2", "+", "+"]
    notebook("a.ipynb", {**RIGHT, T: "T = np.ones((3, 3))"})
    with pytest.raises(SystemExit) as ended:
        run(["lessons", "--check", str(tmp_path), "--csv"])
    assert ended.value.code == 1
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[0] == ["notebook", "lesson", "number", "title", "verdict", "said"]
    assert rows[1] == [str(path), "01_small", "1", "Indexing", "pass", ""]
    assert rows[2][:5] == [str(path), "01_small", "2", "Trigrams", "fail"]
    assert "an axis for each token" in rows[2][5]


def test_ctrl_c_prints_the_verdicts_so_far(notebook, tmp_path, capsys, monkeypatch):
    paths = [notebook(name, RIGHT) for name in ("a.ipynb", "b.ipynb")]

    def stopped_at_the_second(paths, timeout, on_progress):
        yield grading.Marked(paths[0], "01_small", (grading.Mark("1", "Indexing", "pass"),))
        raise KeyboardInterrupt

    monkeypatch.setattr("moreish.cli.lessons.grade", stopped_at_the_second)
    with pytest.raises(SystemExit) as ended:
        run(["lessons", "--check", str(tmp_path)])
    assert ended.value.code == 130
    printed = capsys.readouterr()
    assert str(paths[0]) in printed.out
    assert printed.err.endswith("stopped: 1 of 2 notebooks have no verdicts\n")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--check", "nowhere"], "nowhere: no such file or folder"),
        (["--check", "."], "no notebook in it"),
        (["--check", ".", "--json", "--csv"], "choose one"),
        (["--check", ".", "--timeout", "0"], "above zero"),
        (["--check", ".", "--copy"], "makes no copies"),
        (["--csv"], "goes with --check"),
    ],
)
def test_wrong_requests(arguments, word, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["lessons", *arguments]) == 2
    assert word in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
def test_the_solutions_of_every_lesson_pass(lesson, tmp_path, monkeypatch):
    monkeypatch.setenv("MOREISH_NAMES", "names")
    nbformat.write(solved(lesson), tmp_path / "mine.ipynb")
    (marked,) = grading.grade([tmp_path / "mine.ipynb"], timeout=600)
    assert marked.lesson == lesson.stem
    assert [mark for mark in marked.marks if mark.verdict != "pass"] == []
    assert len(marked.marks) == sum(YOURS in c.source and "check_" in c.source for c in read_lesson(lesson).cells)


def test_copies_without_solutions(tmp_path, capsys):
    assert run(["lessons", str(tmp_path), "--copy", "--without-solutions"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == len(LESSONS)
    for lesson in LESSONS:
        whole, copied = (nbformat.read(path, as_version=4) for path in (lesson, tmp_path / lesson.name))
        nbformat.validate(copied)
        assert copied.cells == [cell for cell in whole.cells if not is_solution(cell)]
        assert len(copied.cells) < len(whole.cells)
        for cell in copied.cells:
            assert not cell.source.lstrip("*# ").startswith(("<details><summary>Solution", "A solution", "Solution"))


@pytest.mark.parametrize("code", ["for x in y: z = x", "z = y; x = z", "def z(x): return x + y\nx = z"])
def test_names_that_code_binds_and_uses(code):
    bound, used = names(code)
    assert bound & {"x", "z"} == bound
    assert "y" in used
    assert not used & {"x", "z"}


def test_the_page_for_teachers_lists_every_exercise_once():
    page = (Path(__file__).parents[1] / "docs" / "teaching.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\d+\.\d+) \| (?:easy|middle|hard|open) \|", page, re.MULTILINE)
    assert len(listed) == len(set(listed))
    for lesson in LESSONS:
        number = int(lesson.stem[:2])
        found = [f"{number}.{exercise.number}" for exercise in read_lesson(lesson).exercises]
        assert found == [name for name in listed if name.startswith(f"{number}.")]
    plans = page.split("## Exercises by difficulty")[0]
    for plan in plans.split("## Six sessions")[1].split("## Twelve sessions"):
        assert set(re.findall(r"(?<![\d.])\d\.\d(?![\d.])", plan)) <= set(listed)
