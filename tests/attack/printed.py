"""Hostile words, labels and names in everything that is printed or written: no program that shows it obeys them.

Words hold escape sequences, HTML, mathtext, formulas and markup. Pages, pictures, tables and messages are made of them
and read by the parsers of their formats.
"""

import contextlib
import csv
import io
import os
import random
import re
import tempfile
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

from harness import main

import moreish
from moreish.cli import run
from moreish.cli.lines import CONTROL_IN_TEXT
from moreish.export.web import html

HOSTILE = (
    "<script>alert(1)</script>",
    "</script><script>alert(1)//",
    "<img src=x onerror=alert(1)>",
    "\"onmouseover=alert(1) x='",
    "&lt;b&gt;",
    "]]><b>",
    "--><b>",
    "$\\frac{1}{0}$",
    "$",
    "\\",
    "{{7*7}}{%x%}",
    "=cmd|' /C calc'!A0",
    "@SUM(1)",
    "-1+1",
    "|a|b|",
    "![x](y)",
    "\x1b]0;t\x07",
    "\x1b[2J",
    "\x9b31m",
    "\u202eabc",
    "\u2028",
    "a\tb",
)


class Tags(HTMLParser):
    """Counts what a browser would run: scripts, frames, images and attributes that begin with `on`."""

    def __init__(self, page: str):
        super().__init__()
        self.active = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.active += tag in ("script", "iframe", "object", "img") or any(name.startswith("on") for name, _ in attrs)


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def trained(r: random.Random, pieces: tuple[str, ...], folder: Path) -> moreish.Run:
    """Train on words that have pieces inside, and on labels and a name of the list made of them."""
    words = [f"{r.choice('ab')}{r.choice(pieces)}{r.choice('cd')}" for _ in range(40)]
    listed = moreish.Corpus(words).words
    listed.name = r.choice(pieces)
    return moreish.train(listed, "bigram-counts", out=folder)


def on_terminal(line: list[str]) -> str:
    """Return what a command line writes on a terminal."""
    out, err = Terminal(), io.StringIO()  # messages have escapes wherever they go
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        assert run(line) in (0, 2), err.getvalue()
    return out.getvalue() + err.getvalue()


def one(r: random.Random, folder: Path) -> str:
    """Make one output from hostile words."""
    pieces = tuple(r.sample(HOSTILE, 4))
    path = folder / "run"
    found = trained(r, pieces, path)
    word = found.corpus.words[r.randrange(40)]
    kind = r.choice(["terminal"] * 8 + ["tables"] * 3 + ["notebook", "page", "svg", "svg", "report"])
    if kind == "terminal":
        verbs = (
            ["sample", str(path)],
            ["sample", str(path), "--most-likely"],
            ["fill", str(path), "a*_"],
            ["score", str(path), word],
            ["vary", str(path), word],
            ["words", str(path / "words.txt"), "--format", "text"],
            ["sample", str(path), "--pattern", f"[{word}"],
            ["runs", str(folder)],
            ["compare", str(path), str(path)],
            ["sample", str(folder / word[:40])],
        )
        shown = on_terminal(list(r.choice(verbs)))
        assert not CONTROL_IN_TEXT.search(shown), shown
    elif kind == "tables":
        table = moreish.compare([found], names=[word], samples=3)
        cells = [cell for row in csv.reader(io.StringIO(table.csv())) for cell in row]
        assert not [cell for cell in cells if re.match(r"[=@+-]", cell) and not is_number(cell)], cells
        lines = table.markdown().splitlines()
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in lines}) == 1, lines
        assert len(lines) == 2 + len(table.rows), lines
    elif kind == "notebook":
        page = found._repr_html_() + moreish.compare([found], names=[word], samples=1)._repr_html_()
        assert Tags(page).active == 0, page
    elif kind == "svg":
        assert run(["plot", str(path), r.choice(["bigrams", "samples", "next", "word"]), "--format", "svg"]) in (0, 2)
        for picture in path.rglob("*.svg"):
            tags = {element.tag.rpartition("}")[2] for element in ElementTree.parse(picture).iter()}
            assert not tags & {"script", "foreignObject", "a"}, tags
    else:
        plain = trained(r, tuple("efgh"), folder / "plain")
        hostile, harmless = (page_of(kind, of) for of in (found, plain))
        assert Tags(hostile).active == Tags(harmless).active, "a word is run"
    return kind


def page_of(kind: str, of: moreish.Run) -> str:
    return moreish.report(of) if kind == "report" else html(of).decode()


def is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def prepare() -> None:
    """Set a terminal without colours, and compile all kernels."""
    os.environ |= {"TERM": "dumb", "COLUMNS": "100"}
    made = trained(random.Random(0), HOSTILE[:3], Path(tempfile.mkdtemp(prefix="printed-")) / "run")
    made.model.most_likely(2)
    made.model.sample(2, pattern="a*?")
    moreish.report(made)


if __name__ == "__main__":
    main("printed", one, tries=2_000, prepare=prepare)
