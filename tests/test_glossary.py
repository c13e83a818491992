"""Tests of the glossary: a term is in bold in the section of a lesson that its entry links to, or is in no lesson."""

import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\((?:lessons/)?(\d\d_\w+)\.ipynb(?:#([\w-]+))?\)")
PAGE_LINK = re.compile(r"\((\w+\.md)#([\w-]+)\)")


def markdown(lesson: str) -> str:
    notebook = nbformat.read(ROOT / "lessons" / f"{lesson}.ipynb", as_version=4)
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def sections(lesson: str) -> dict[str, str]:
    """Text under each heading of a lesson, by the heading's slug as GitHub and the site form it."""
    parts = re.split(r"^#+ (.*)$", markdown(lesson), flags=re.MULTILINE)[1:]
    return dict(zip(map(slug, parts[::2]), parts[1::2], strict=True))


def slug(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-")


LESSONS = {path.stem: sections(path.stem) for path in sorted((ROOT / "lessons").glob("[0-9][0-9]_*.ipynb"))}
ENTRIES = dict(re.findall(r"^(\w.*)\n((?:  .*\n)+)", (ROOT / "docs" / "glossary.md").read_text("utf-8"), re.MULTILINE))
OF_LESSONS = [term for term, entry in ENTRIES.items() if LINK.search(entry)]


def test_the_main_terms_are_in_the_glossary():
    wanted = (
        "broadcasting, keeping dimensions, one-hot, log-likelihood, cross-entropy, stride, dead unit, convolution, "
    )
    wanted += "regularisation, batchnorm, markov property"
    assert set(wanted.split(", ")) <= {term.lower() for term in ENTRIES}


@pytest.mark.parametrize("term", OF_LESSONS)
def test_a_term_is_bold_where_its_entry_links_to(term):
    (lesson, section), *_ = LINK.findall(ENTRIES[term])
    name = re.escape(term.partition(" (")[0])
    text = " ".join(LESSONS[lesson][section].split())
    assert re.search(rf"\*\*{name}(s|es)?\*\*", text, re.IGNORECASE), f"{term} is not defined there"
    earlier = [other for other in LESSONS if other < lesson and re.search(rf"\*\*{name}", markdown(other), re.I)]
    assert not earlier or "(" in term, f"{term} is defined before"


@pytest.mark.parametrize("term", [term for term in ENTRIES if term not in OF_LESSONS])
def test_another_term_is_in_no_lesson_and_links_to_a_section_of_a_page(term):
    (page, section), *_ = PAGE_LINK.findall(ENTRIES[term])
    text = (ROOT / "docs" / page).read_text("utf-8")
    assert section in map(slug, re.findall(r"^#+ (.*)$", text, re.MULTILINE))
    assert not [lesson for lesson in LESSONS if re.search(rf"\*\*{term}(s|es)?\*\*", markdown(lesson), re.I)]


@pytest.mark.parametrize("lesson", LESSONS)
def test_links_between_lessons_have_a_target(lesson):
    for other, section in LINK.findall(markdown(lesson)):
        assert not section or section in LESSONS[other], f"{other}#{section}"
