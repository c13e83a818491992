"""Tables: the rows of a list in any format but plain text, each with its place in the file."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

from ..errors import InputError
from .formats import SEPARATORS, Layout, ListOptions, dialect, json_problem
from .wordlist import shown

SAMPLE_ROWS = 1 << 15  # that decide what the columns are
COUNTS = "lines of a number and a word"
FLAGS = re.compile(r"(?<!\\)/.*|\t.*|\s[a-z]{2}:.*")  # of a word in a Hunspell dictionary, and its other fields
Row = tuple[int, Sequence[Any]]


@dataclass
class Table:
    """Rows of cells, each with its number.

    what        what the file is, for messages
    names       of the columns; None if they have none, or if they may be in the first row (header)
    head        the first rows
    rows        all rows
    item        what stands before the number of a row in messages: a colon for the number of its line
    """

    what: str
    names: list[str] | None
    head: list[Row]
    rows: Iterator[Row]
    item: str = ":"
    header: bool = False

    @classmethod
    def of(
        cls, what: str, rows: Iterable[Row], names: list[str] | None = None, item: str = ":", header: bool = False
    ) -> "Table":
        """Make a table of rows, which are read once."""
        rows = iter(rows)
        head = list(islice(rows, SAMPLE_ROWS))
        return cls(what, names, head, chain(head, rows), item, header)


def table_of(layout: Layout, pieces: Iterable[str], name: str, skipped: int, options: ListOptions) -> Table:
    """Return the table in pieces of a text; the file has `skipped` lines before it. Errors call it `name`.

    Raises InputError, when it is made or when its rows are read, for a row that is not in the format.
    """
    if layout.format == "json":
        return _json_table("".join(pieces), name, options)
    lines = (line for piece in pieces for line in io.StringIO(piece, newline="\n"))
    if layout.format == "csv":
        way_out = f"correct it, or take each line as it is with: {options.as_it_stands(name)}"
        rows = ((number, row) for number, row in csv_rows(layout, lines, name, skipped, way_out) if filled(row))
        return Table.of(f"a table separated by {SEPARATORS[layout.separator]}s", rows, header=True)
    numbered = ((number, line.strip()) for number, line in enumerate(lines, start=skipped + 1))
    numbered = ((number, line) for number, line in numbered if line)
    if layout.format == "jsonl":
        values = ((number, _value(line, f"{name}:{number}", name, options)) for number, line in numbered)
        return _keyed("JSON lines", values, name, ":")
    if layout.format == "counts":
        return Table.of(COUNTS, _count_rows(layout, numbered, name, options))
    if layout.format == "hunspell":
        return Table.of("a Hunspell dictionary (flags are left out)", _hunspell_rows(numbered))
    if layout.format == "fasta":
        return Table.of("a FASTA file (headers are left out)", _sequences(numbered))
    return Table.of("a list with one word per line", ((number, [line]) for number, line in numbered))


def filled(row: Sequence[str]) -> bool:
    """Return True if a row of a table is not blank."""
    return any(map(str.strip, row))


def csv_rows(
    layout: Layout, lines: Iterable[str], name: str, skipped: int, way_out: str
) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of CSV, blank ones too, each with the number of its last line; no line is read ahead.

    Raises InputError, which ends with a way out, for a row that is no CSV, or has not as many fields as the first.
    """
    reader, width = csv.reader(lines, **dialect(layout.separator, layout.quoted)), 0
    try:
        for row in reader:
            width = width or (len(row) if filled(row) else 0)
            if len(row) != width and filled(row):
                fields = f"{len(row)} field{'s' * (len(row) != 1)} where the first row has {width}"
                raise InputError(f"{name}:{skipped + reader.line_num}: {fields}; {way_out}")
            yield skipped + reader.line_num, row
    except csv.Error as error:
        raise InputError(f"{name}:{skipped + reader.line_num}: not CSV ({error}); {way_out}") from None


def _count_rows(layout: Layout, numbered: Iterable[tuple[int, str]], name: str, options: ListOptions) -> Iterator[Row]:
    for number, line in numbered:
        match = layout.counts.fullmatch(line)
        if match is None:
            raise InputError(
                f"{name}:{number}: {shown(line)} is not a number and a word, as the other lines are; correct it, or "
                f"take each line as it is with: {options.as_it_stands(name)}"
            )
        cells = match.groupdict()
        yield number, [cells[column] or "" for column in layout.counts.groupindex]


def _hunspell_rows(numbered: Iterable[tuple[int, str]]) -> Iterator[Row]:
    for i, (number, line) in enumerate(numbered):
        if i or not line.isdecimal():
            yield number, [FLAGS.sub("", line).replace("\\/", "/")]


def _sequences(numbered: Iterable[tuple[int, str]]) -> Iterator[Row]:
    parts, first = [], 0
    for number, line in chain(numbered, [(0, ">")]):
        if line.startswith(">"):
            if parts:
                yield first, ["".join(parts)]
            parts = []
        else:
            first = first if parts else number
            parts.append(line)


def _value(text: str, place: str, name: str, options: ListOptions) -> Any:
    """Return the value of a JSON text at a place in the file of that name."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f", line {error.lineno}" if isinstance(error, json.JSONDecodeError) and error.lineno > 1 else ""
        raise InputError(
            f"{place}: not JSON{where} ({json_problem(error)}); correct it, or take each line as it is with: "
            f"{options.as_it_stands(name)}"
        ) from None


def _json_table(text: str, name: str, options: ListOptions) -> Table:
    """Return the table of a JSON array, of the one list in an object, or of the keys and values of an object."""
    value, what = _value(text, name, name, options), "a JSON array"
    names: list[str] | None = None
    if isinstance(value, dict):
        lists: list[str] = [key for key, held in value.items() if isinstance(held, list)]
        if lists and options.labels == "key" and options.column in (None, "value"):
            pairs = ([key, word] for key in lists for word in value[key])
            return Table.of("JSON arrays by key", enumerate(pairs, start=1), ["key", "value"], ": item ")
        key = lists[0] if len(lists) == 1 and options.column not in ("key", "value") else options.column
        if key in lists:
            what, value, names = f"the JSON array {shown(key)}", value[key], [key]
        elif lists and key is None:
            longest = max(filter(str.isprintable, lists), key=lambda key: len(value[key]), default="KEY")
            raise InputError(
                f"{name}: a JSON object with {len(lists)} lists ({', '.join(map(shown, lists[:5]))}"
                f"{', ...' * (len(lists) > 5)}): read one with: {options.command(name, column=longest)} "
                "(or take all, with their keys as labels, with --labels key)"
            )
        else:
            return Table.of("a JSON object", enumerate(value.items(), start=1), ["key", "value"], ": item ")
    if not isinstance(value, list):
        raise InputError(f"{name}: the JSON is neither an array nor an object; give an array of words")
    return _keyed(what, enumerate(value, start=1), name, ": item ", names)


def _keyed(what: str, values: Iterable[tuple[int, Any]], name: str, item: str, names: list[str] | None = None) -> Table:
    """Return a table of JSON values: all objects, whose keys are the columns; all arrays; or all words."""
    values = iter(values)
    head = list(islice(values, SAMPLE_ROWS))
    kind = next((type(value) for _, value in head), str)
    keys = list(dict.fromkeys(key for _, value in head if isinstance(value, dict) for key in value))

    def rows() -> Iterator[Row]:
        for number, value in chain(head, values):
            if kind in (dict, list) and type(value) is not kind:
                expected = "an object" if kind is dict else "an array"
                raise InputError(f"{name}{item}{number}: {shown(value)} is not {expected}, as the first item is")
            yield number, _cells(value, keys)

    return Table.of(f"{what} of objects" if kind is dict else what, rows(), keys if kind is dict else names, item)


def _cells(value: Any, keys: Sequence[str]) -> Sequence[Any]:
    """Return the values of some keys of an object, the items of an array, or any other value alone."""
    return (
        [value.get(key) for key in keys] if isinstance(value, dict) else value if isinstance(value, list) else [value]
    )
