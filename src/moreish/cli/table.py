"""A table on standard input, read as `moreish train` reads it, and written row by row with more columns."""

import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice
from typing import IO

from ..corpus.columns import located, tidy
from ..corpus.encodings import checked_encoding, texts, with_line_feeds
from ..corpus.formats import SAMPLE_SIZE, SEPARATORS, Layout, ListOptions, forced, recognised
from ..corpus.packed import unpacked
from ..corpus.reading import comments
from ..corpus.tables import SAMPLE_ROWS, csv_rows, filled
from ..errors import InputError
from ..files import STANDARD_INPUT

ROWS_PER_BATCH = 4096
Record = tuple[str, list[str]]  # a row as it stands in the table, without its line end, and its cells


class Table:
    """A table, which may be packed; see `read_words`.

    column      the name of a column in the header, or its number from 1
    encoding    None for UTF-8
    command     the command that reads the table, for messages

    names   those of the columns; None without a header
    head    what comes before the rows: comments, and the header without its line end

    Raises InputError for what is no table, and for an unknown column.
    """

    def __init__(self, stream: IO[bytes], column: str, encoding: str | None, command: str):
        encoding = None if encoding is None else checked_encoding(encoding)
        pieces = texts(
            unpacked(stream, STANDARD_INPUT), STANDARD_INPUT, encoding, lambda likely: f"{command} --encoding {likely}"
        )
        text = ""
        while len(text) <= SAMPLE_SIZE and (piece := next(pieces, "")):
            text += piece
        whole = len(text) <= SAMPLE_SIZE
        self.head = comments(text)
        text = text[len(self.head) :]
        layout = _layout(with_line_feeds(text), whole)
        self._separator = layout.separator
        records = _records(layout, chain([text], pieces), self.head.count("\n"))
        first = list(islice(records, SAMPLE_ROWS))
        self.names, self._place = None, 0
        if first:
            self.names, self._place = located(list(enumerate(row for _, row in first)), STANDARD_INPUT, column)
        if self.names is not None:
            self.head += first.pop(0)[0]
        self._records = chain(first, records)

    def batches(self) -> Iterator[list[Record]]:
        """Yield the rows that are not blank, some thousands at a time. Raises InputError for what is no row."""
        while records := list(islice(self._records, ROWS_PER_BATCH)):
            yield records

    def word(self, row: Sequence[str]) -> str:
        """Return the text of a row in the column, in one line, without spaces around it."""
        return tidy(row[self._place])

    def line(self, line: str, more: Iterable[str]) -> str:
        """Return a line of the table with more cells, which need no quotation marks."""
        return f"{self._separator.join([line, *more])}\n"


def _layout(text: str, whole: bool) -> Layout:
    """Return the layout of a table; of one that has no regular one, by the separator of its first line."""
    like_json = text.lstrip()[:1] in ("[", "{")
    if like_json and recognised(text, STANDARD_INPUT, whole, ListOptions()).format in ("json", "jsonl"):
        raise InputError(f"{STANDARD_INPUT}: this is JSON: --column takes a table with a separator, such as CSV")
    layout, first = forced("csv", text, whole), text.partition("\n")[0]
    if layout.separator in first:
        return layout
    return replace(layout, separator=next((sign for sign in SEPARATORS if sign in first), "\t"))


def _records(layout: Layout, pieces: Iterable[str], skipped: int) -> Iterator[Record]:
    """Yield the rows that are not blank. The table has `skipped` lines before them."""
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for piece in pieces:
            for line in io.StringIO(piece, newline=""):
                taken.append(line)
                yield line

    for _, row in csv_rows(layout, lines(), STANDARD_INPUT, skipped, "correct it"):
        if filled(row):
            yield "".join(taken).rstrip("\r\n"), row
        taken.clear()
