"""Results that show themselves: in a few lines at the prompt, and as a small table in a notebook.

The HTML has no colours, so that it suits light and dark notebooks. Markup escapes every text that comes from outside.
"""

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, islice, repeat
from typing import Any, NamedTuple

from markupsafe import Markup

SHOWN = 10  # items of a long list
LONGEST = 100  # characters of a cell
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


class Table(NamedTuple):
    """The view of a result: a title, a table and notes.

    title       one line
    rows        cells of any types
    heading     the names of the columns; one that begins with > is right-aligned
    notes       sentences below the table
    """

    title: str
    rows: Sequence[Sequence[object]] = ()
    heading: Sequence[str] = ()
    notes: Sequence[object] = ()

    def text(self) -> str:
        """Return the table as lines of text."""
        from rich.cells import cell_len

        lines = [[cell.removeprefix(">") for cell in self.heading]] if self.heading else []
        lines += [[_cell(cell) for cell in row] for row in self.rows]
        widths = [max(map(cell_len, column)) for column in zip(*lines, strict=True)]

        def padded(cell: str, width: int, right: bool) -> str:
            space = " " * (width - cell_len(cell))
            return space + cell if right else cell + space

        joined = ("  ".join(map(padded, line, widths, self._right)).rstrip() for line in lines)
        return "\n  ".join([clean(self.title), *joined, *(clean(str(note)) for note in self.notes)])

    def html(self) -> str:
        """Return the table as HTML."""
        head = [self._row("th", [name.removeprefix(">") for name in self.heading])] if self.heading else []
        rows = Markup("").join([*head, *(self._row("td", row) for row in self.rows)])
        table = Markup("<table>{}</table>").format(rows) if rows else ""
        notes = Markup("").join(Markup("<div>{}</div>").format(_html(note)) for note in self.notes)
        title = Markup("<b>{}</b>").format(_html(self.title))
        return str(Markup('<div style="overflow-x: auto">{}{}{}</div>').format(title, table, notes))

    def _row(self, tag: str, cells: Sequence[object]) -> Markup:
        cell = Markup('<{0} style="text-align: {1}; white-space: pre-wrap">{2}</{0}>')
        sides = ("right" if right else "left" for right in self._right)
        made = (cell.format(tag, side, _html(text, LONGEST)) for text, side in zip(cells, sides, strict=True))
        return Markup("<tr>{}</tr>").format(Markup("").join(made))

    @property
    def _right(self) -> list[bool]:
        """True for each column that is right-aligned."""
        return [name.startswith(">") for name in self.heading] or [False] * max(map(len, self.rows), default=0)


class Shown(ABC):
    """A result that shows itself."""

    @abstractmethod
    def _table(self) -> Table:
        """Return the view of this result."""

    def __repr__(self) -> str:
        return self._table().text()

    def _repr_html_(self) -> str:
        return self._table().html()


class Page(str):
    """A page of HTML, which a notebook shows in a frame."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({len(self):,} characters of HTML)"

    def _repr_html_(self) -> str:
        frame = '<iframe srcdoc="{}" style="width: 100%; height: 40em; border: 0"></iframe>'
        return str(Markup(frame).format(str(self)))


def first(items: Iterable[Any], n: int = SHOWN) -> Iterator[str]:
    """Yield the first n of some items as Python writes them, shortened, and ... if there are more."""
    some = list(islice(items, n + 1))
    return chain((shortened(repr(item), 40) for item in some[:n]), ["..."] * (len(some) > n))


def more(n: int, shown: int = SHOWN) -> list[str]:
    """Return a note for a table that shows only some of its rows."""
    return [f"... and {n - shown:,} more"] if n > shown else []


def marked(words: Iterable[str], marks: Iterable[str] | None = None) -> Markup:
    """Return words in one line, each with its mark, the part of the list that contains it, unless that is "new"."""
    word = Markup("<bdi>{}</bdi>{}")
    return Markup(", ").join(
        word.format(_html(text, LONGEST), "" if mark == "new" else Markup(" <i>(in {})</i>").format(mark))
        for text, mark in zip(words, marks or repeat("new"), strict=False)
    )


def _html(value: object, longest: int = sys.maxsize) -> Markup | str:
    return value if isinstance(value, Markup) else clean(shortened(str(value), longest))


def _cell(value: object) -> str:
    return clean(shortened(str(value), LONGEST))


def clean(text: str) -> str:
    """Return a text with escapes for characters that would break a line or cannot be encoded."""
    return UNPRINTABLE.sub(escape, text)


def escape(found: re.Match[str]) -> str:
    """Return the escape sequence of a character that was found."""
    return repr(found[0])[1:-1]


def shortened(text: str, longest: int) -> str:
    """Return a text of at most `longest` characters, with ... for those left out."""
    return text if len(text) <= longest else f"{text[: longest - 3]}..."
