"""The README says what is true: its figures are the benchmark's, its commands and its Python run."""

import re
import runpy
from pathlib import Path

import pytest

import moreish
from moreish.cli import VERBS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
DESIGN = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")


def test_the_figures_are_those_of_the_benchmark(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    filled = runpy.run_path(str(ROOT / "benchmarks" / "readme.py"))["filled"]
    assert filled(README) == README


def test_the_figures_on_large_lists_are_those_of_the_benchmark():
    made = runpy.run_path(str(ROOT / "benchmarks" / "large_page.py"))
    page = made["PAGE"].read_text(encoding="utf-8")
    assert made["filled"](page) == page


def test_every_command_is_documented():
    for verb in VERBS:
        assert f"moreish {verb}" in README


def test_the_python_of_the_readme_runs(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("\n".join([*words, "jonathan", "mirella"] * 2), encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code is not None
    found: dict = {}
    # Not fewer steps: after so few that all words are about equally likely, the likeliest take minutes to find.
    exec(code[1].replace("steps=20_000", "steps=1_000").replace("trials=30", "trials=2, steps=20"), found)
    assert isinstance(found["run"], moreish.Run)
    assert found["X"].shape == (len(found["Y"]), 3)


@pytest.mark.parametrize("path", re.findall(r"`((?:src/moreish/|layers/|tape/|models/)?[a-z_/]+\.py)`", README))
def test_the_files_it_names_are_there(path):
    assert any((ROOT / base / path).exists() for base in (".", "src/moreish")), path


def test_every_public_name_has_its_place_in_the_documentation():
    page = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\.\. auto(?:function|class|exception):: (\w+)$", page, re.MULTILINE)
    assert sorted([*listed, "plots"]) == sorted(moreish.__all__)


@pytest.mark.parametrize("path", re.findall(r"`([a-z_/]+(?:\.py|/))`", DESIGN))
def test_the_files_that_the_design_names_are_there(path):
    assert any((ROOT / base / path).exists() for base in (".", "src", "src/moreish", "src/moreish/tape")), path
