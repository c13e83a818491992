"""Tests of the lessons: they run on either list, notebooks match their sources, and `moreish lessons` copies them.

The notebooks show that the lessons run with names.txt: their outputs come from a whole run, in which every assertion
held. Here the lessons run with the bundled names.
"""

import runpy
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest

from moreish import InputError
from moreish.cli import run
from moreish.lessons.copying import copy_lessons
from moreish.lessons.live import MIME
from moreish.lessons.words import N_NAMES

ROOT = Path(__file__).parents[1] / "lessons"
BUILD = runpy.run_path(str(ROOT / "build.py"))
NAMES = BUILD["names"]()


def test_there_is_a_notebook_for_every_lesson():
    assert NAMES
    assert sorted(path.stem for path in ROOT.glob("*.ipynb")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_notebook_matches_its_source_and_has_results(name):
    kept, source = nbformat.read(ROOT / f"{name}.ipynb", as_version=4), BUILD["source"](name)
    nbformat.validate(kept)
    assert [(c.cell_type, c.source) for c in kept.cells] == [(c.cell_type, c.source) for c in source.cells], (
        f"the notebook does not match its source: run python lessons/build.py {name}"
    )
    code = [cell for cell in kept.cells if cell.cell_type == "code" and cell.source.strip()]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    outputs = [output for cell in code for output in cell.outputs]
    assert not [output for output in outputs if output.output_type == "error"]
    live = [output.data for output in outputs if MIME in output.get("data", {})]
    assert len(live) <= 3
    assert all({*data} == {MIME, "image/png", "text/plain"} for data in live), "without the names of widgets"
    assert "widgets" not in kept.metadata
    for cell in code:
        if "# yours" in cell.source:  # only the feedback on a missing answer
            assert {output.output_type for output in cell.outputs} == {"stream"}, cell.source
    assert any("image/png" in output.get("data", {}) for output in outputs), "a lesson has pictures"
    assert code[0].outputs[0].text.startswith(f"{N_NAMES:,} names: names.txt"), "it was built with another list"


@pytest.mark.filterwarnings("ignore:Kernel is running over TCP")
@pytest.mark.parametrize("name", NAMES)
def test_every_cell_runs_with_the_bundled_names(name, monkeypatch):
    monkeypatch.delenv("PYTHONWARNINGS", raising=False)
    monkeypatch.setenv("MOREISH_NAMES", "names")
    notebook = BUILD["executed"](name)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert all(cell.execution_count for cell in code)
    assert "the bundled list" in code[0].outputs[0].text


def test_the_notebooks_are_copied_but_never_overwritten(tmp_path, capsys):
    assert run(["lessons", str(tmp_path / "mine"), "--copy"]) == 0
    assert capsys.readouterr().out.split() == [str(tmp_path / "mine" / f"{name}.ipynb") for name in NAMES]
    first = tmp_path / "mine" / f"{NAMES[0]}.ipynb"
    first.write_text("my own work")
    (tmp_path / "mine" / f"{NAMES[1]}.ipynb").unlink()
    assert run(["lessons", str(tmp_path / "mine"), "--copy"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.endswith(" (kept: it was already there)") for line in lines] == [name != NAMES[1] for name in NAMES]
    assert first.read_text() == "my own work"
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="choose another folder"):
        copy_lessons(tmp_path / "file")


@pytest.mark.skipif(sys.platform == "win32", reason="there a folder is not locked")
def test_processes_copy_one_after_another(tmp_path, monkeypatch):
    """The first writes all notebooks; the others wait and keep them. The lock also holds between threads."""
    inside, together = [], []

    def write(path, data):
        inside.append(path)
        together.append(len(inside))
        time.sleep(0.01)
        path.write_bytes(data)
        inside.pop()

    monkeypatch.setattr("moreish.lessons.copying.write_atomically", write)
    with ThreadPoolExecutor(3) as pool:
        done = list(pool.map(copy_lessons, [tmp_path / "lessons"] * 3))
    assert set(together) == {1}
    assert sorted(any(kept.values()) for kept in done) == [False, True, True]


def test_without_jupyter_it_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "jupyterlab", None)  # as if it were not installed
    assert run(["lessons", str(tmp_path / "lessons")]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "pip install" in captured.err
    assert '"jupyterlab' in captured.err
    assert not (tmp_path / "lessons").exists()
