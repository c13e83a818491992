"""The README and the documentation: figures from the benchmarks, every command, Python that runs, paths that exist."""

import re
import runpy
from pathlib import Path

import pytest

import moreish
from moreish.cli import VERBS

ROOT = Path(__file__).parents[1]
PAGES = {
    str(path.relative_to(ROOT)): path.read_text(encoding="utf-8")
    for path in [*ROOT.glob("*.md"), *sorted((ROOT / "docs").glob("*.md"))]
}
README = PAGES["README.md"]
# Folders that a path in the text may be relative to.
BASES = (".", "src/moreish")
NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")


@pytest.fixture
def pages(monkeypatch):
    """The module that fills the pages with figures."""
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    return runpy.run_path(str(ROOT / "benchmarks" / "pages.py"))


def test_the_figures_are_those_of_the_benchmarks(pages):
    for name, page in PAGES.items():
        assert pages["filled"](page) == page, name


def test_every_section_of_figures_is_on_one_page(pages):
    found = [name for page in PAGES.values() for _, name, _ in pages["SECTION"].findall(page)]
    assert sorted(found) == sorted(pages["SECTIONS"])


def test_the_readme_is_short():
    assert len(README.splitlines()) <= 200


def test_the_readme_lists_every_command_once():
    section = README.split("## What it can do")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `moreish ([\w-]+)", section, re.MULTILINE)) == sorted(VERBS)


@pytest.mark.parametrize("page", [name for name, text in PAGES.items() if "```python\nimport moreish\n" in text])
def test_the_python_of_the_documentation_runs(page, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "names.txt").write_text("\n".join([*words, "jonathan", "mirella"] * 2), encoding="utf-8")
    found: dict = {}
    for code in re.findall(r"```python\n(.*?)```", PAGES[page], re.DOTALL):
        # Not fewer steps: after so few that all words are about equally likely, the likeliest take minutes to find.
        exec(code.replace("steps=20_000", "steps=1_000").replace("trials=30", "trials=2, steps=20"), found)
    assert isinstance(found["run"], moreish.Run)
    if "X" in found:
        assert found["X"].shape == (len(found["Y"]), 3)


def test_the_cells_of_the_errata_print_what_the_page_shows(capsys):
    pytest.importorskip("torch")
    cells = re.findall(r"```python\n(.*?)```\n\n```\n(.*?)```", PAGES["docs/errata.md"], re.DOTALL)
    assert len(cells) == PAGES["docs/errata.md"].count("```python")
    found: dict = {}
    for code, shown in cells:
        exec(code, found)
        printed = capsys.readouterr().out
        assert NUMBER.sub("#", printed) == NUMBER.sub("#", shown)
        # The last digit may differ between processors.
        numbers = ([float(x) for x in NUMBER.findall(text)] for text in (printed, shown))
        assert next(numbers) == pytest.approx(next(numbers), rel=0.01, abs=0.011), code


def test_the_files_that_the_documentation_names_are_there():
    for name, page in PAGES.items():
        for path in re.findall(r"`((?!\.venv)[\w./-]+(?:\.pyi?|\.ya?ml|/))`", page):
            assert any((ROOT / base / path).exists() for base in BASES), f"{name}: {path}"


def test_the_links_between_the_pages_lead_somewhere():
    for name, page in PAGES.items():
        for target in re.findall(r"\]\(([\w./-]+\.(?:md|rst|svg))(?:#[\w-]+)?\)", page):
            assert (ROOT / Path(name).parent / target).exists(), f"{name}: {target}"


def test_every_public_name_has_its_place_in_the_documentation():
    listed = re.findall(r"^\.\. auto(?:function|class|exception):: (\w+)$", PAGES["docs/api.md"], re.MULTILINE)
    assert sorted([*listed, "__version__", "plots"]) == sorted(moreish.__all__)
