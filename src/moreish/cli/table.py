"""A table on standard input, read and written row by row."""

import csv
import io
import itertools
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from ..errors import InputError, unknown
from ..files import STANDARD_INPUT

SEPARATORS = "\t,;"  # the first one that the first line has
LONGEST_LINE = 1_000_000  # characters
ROWS_PER_BATCH = 4096


class Table:
    """A table of rows of the same number of columns, in UTF-8. Between tabs, quotation marks have no meaning.

    column  name of a column in the first row, or its number from 1 if the table has no row of names
    names   the first row, if it has the name of the column; otherwise None

    Raises InputError for an unknown column.
    """

    def __init__(self, stream: BinaryIO, column: str):
        lines = _lines(io.TextIOWrapper(stream, "utf-8-sig", "replace", newline=""))
        first_line = next(lines, "")
        separator = next((sign for sign in SEPARATORS if sign in first_line), SEPARATORS[0])
        quoting = csv.QUOTE_NONE if separator == "\t" else csv.QUOTE_MINIMAL
        self._reader = csv.reader(itertools.chain([first_line], lines), delimiter=separator, quoting=quoting)
        self._text = io.StringIO()
        quote = None if separator == "\t" else '"'
        self._writer = csv.writer(
            self._text, delimiter=separator, quoting=quoting, quotechar=quote, lineterminator="\n"
        )
        self._rows = self._checked()
        first = next(self._rows, [])
        stripped = [name.strip() for name in first]
        self.names = first if column in stripped else None
        if self.names is not None:
            self._place = stripped.index(column)
        elif column.isdecimal() and (not first or 1 <= int(column) <= len(first)):
            self._place = int(column) - 1
            self._rows = itertools.chain(filter(None, [first]), self._rows)
        else:
            raise unknown("--column", column, [*stripped, f"or 1 to {len(first)}"])

    def batches(self) -> Iterator[list[list[str]]]:
        """Yield the rows, some thousands at a time. Raises InputError for one with another number of columns."""
        while rows := list(itertools.islice(self._rows, ROWS_PER_BATCH)):
            yield rows

    def word(self, row: Sequence[str]) -> str:
        """Return the text of a row in the column, without spaces around it."""
        return row[self._place].strip()

    def line(self, row: Sequence[str]) -> str:
        """Format a row as a line."""
        self._text.seek(0)
        self._text.truncate()
        self._writer.writerow(row)
        return self._text.getvalue()

    def _checked(self) -> Iterator[list[str]]:
        """Read the rows that are not blank."""
        width = 0
        try:
            for row in filter(None, self._reader):
                width = width or len(row)
                if len(row) != width:
                    raise InputError(
                        f"{self._at()}: the row has {len(row)} columns, the first one {width}: correct it; a text with "
                        "separators belongs in quotation marks"
                    )
                yield row
        except csv.Error as error:
            raise InputError(f"{self._at()}: {error}") from None

    def _at(self) -> str:
        return f"{STANDARD_INPUT}:{self._reader.line_num}"


def _lines(text: io.TextIOWrapper) -> Iterator[str]:
    """Read lines with their ends. Raises InputError for one of more than LONGEST_LINE characters."""
    for number in itertools.count(1):
        line = text.readline(LONGEST_LINE + 1)
        if len(line) > LONGEST_LINE:
            raise InputError(f"{STANDARD_INPUT}:{number}: the line has more than {LONGEST_LINE:,} characters")
        if not line:
            return
        yield line
