"""Columns of a table: which of them has the words, and their weights and labels.

The first row of a CSV file is taken as a header if the name of a wanted column stands in it, or if it has no number and
one of these holds:

- a column has numbers in all other rows;
- a field is a usual name of a column, such as name, word, city or count;
- a column has few different values, each at least twice, and the first field is none of them.
"""

import re
import shlex
import sys
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import InputError
from .formats import ListOptions, is_named_table
from .tables import COUNTS, Row, Table
from .wordlist import MAX_LABELS, WordList, shown

WORDS_PER_PIECE = 1 << 16
WORD_NAMES = frozenset(
    ["word", "words", "name", "names", "term", "token", "text", "title", "label", "lemma", "form", "surname"]
    + ["first_name", "firstname", "last_name", "lastname", "city", "town", "country", "species"]
)
WEIGHT_NAMES = frozenset(["count", "counts", "freq", "frequency", "weight", "weights", "number", "n", "occurrences"])
OTHER_NAMES = frozenset(
    ["id", "rank", "year", "gender", "sex", "language", "lang", "category", "kind", "type", "class"]
)
NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
NO_NUMBERS = frozenset(["nan", "inf", "infinity", "na", "n/a", "null", "none"])  # in a column of numbers
MAX_SHOWN = 10  # columns in a message


@dataclass
class Columns:
    """Places of the words, their weights and their labels in the rows of a table, and what is read from them."""

    word: int
    weight: int | None
    label: int | None
    weights: "array[float]" = field(default_factory=lambda: array("d"))
    labels: list[str] = field(default_factory=list)
    without_weight: int = 0
    without_word: int = 0

    def pieces(self, table: Table, name: str) -> Iterator[str]:
        """Yield the words of a table, each followed by a line break; keep their weights and labels.

        Words that are empty, and those with weight 0, are left out. Raises InputError for a word that is no text, a
        weight that is no number of at least 0, a label that is missing, and a table of which no word is left.
        """
        words: list[str] = []
        n_words = 0
        for number, row in table.rows:
            place = f"{name}{table.item}{number}"
            word = _cell(row, self.word)
            if not isinstance(word, str | None):
                raise InputError(f"{place}: the word is {shown(word)}: a word must be text")
            word = tidy(word or "")
            if not word:
                self.without_word += 1
                continue
            _check(word, "word", place)
            if self.weight is not None:
                weight = _number(_cell(row, self.weight))
                if weight is None or not 0 <= weight < float("inf"):
                    value = shown(_cell(row, self.weight))
                    raise InputError(f"{place}: the weight of {shown(word)} is {value}: it must be a number, 0 or more")
                if weight == 0:
                    self.without_weight += 1
                    continue
                self.weights.append(weight)
            if self.label is not None:
                label = _cell(row, self.label)
                label = "" if label is None else tidy(str(label))
                if not label:
                    raise InputError(f"{place}: {shown(word)} has no label: give it one, or leave it out")
                _check(label, "label", place)
                self.labels.append(sys.intern(label))
            words.append(word)
            n_words += 1
            if len(words) == WORDS_PER_PIECE:
                yield "\n".join([*words, ""])
                words = []
        if words:
            yield "\n".join([*words, ""])
        if not n_words and self.without_weight:
            raise InputError(f"{name}: all weights are 0, so that no word is left: choose another column of weights")
        if not n_words and self.without_word:
            raise InputError(f"{name}: the column of the words is empty: choose another with --column")

    @property
    def left_out(self) -> str:
        """Rows left out, as the end of the line that says what is read."""
        rows, n = self.without_word, self.without_weight
        text = f", {rows:,} row{'s' * (rows > 1)} without a word left out" if rows else ""
        return text + (f", {n:,} line{'s' * (n > 1)} with weight 0 left out" if n else "")

    def attached(self, words: WordList, name: str) -> WordList:
        """Return the words with their weights and labels."""
        try:
            words = words if self.weight is None else words.with_weights(np.frombuffer(self.weights))
            return words if self.label is None else words.with_labels(self.labels)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None


def chosen(table: Table, name: str, options: ListOptions) -> tuple[Columns, str]:
    """Return the columns to read, and one line that says what the file is and what is read. It drops a header's row.

    Raises InputError for an unknown column, for a table without a column of words, and, with the command that reads it,
    if there is a choice: of columns, or of words that just share a shape, in a file that does not say it is a table.
    """
    _take_header(table, options)
    n = max((len(row) for _, row in table.head), default=0)
    columns = [Column(table.names, i, table.head) for i in range(n)]
    if not columns:
        raise InputError(f"{name}: no words in it; give a list of words")
    weight = None if options.weights is None else _place(columns, options.weights, "weights", name)
    label = None if options.labels is None else _place(columns, options.labels, "labels", name)
    asked = options.column or options.weights or options.labels or options.format
    is_unsure = table.header and table.names is None and not asked and not is_named_table(name)
    if weight is not None and weight == label:
        raise InputError(f"{name}: --weights and --labels name the same column, {columns[weight]}: choose another")
    texts = [column for column in columns if column.is_text and column.i not in (weight, label)]
    if options.column is not None:
        word = _place(columns, options.column, "column", name)
    elif n == 1 and not is_unsure:
        word = 0
    elif not texts and n > 1:
        raise InputError(
            f"{name}: cannot tell which column holds the words ({_listed(columns)}): use --column, or take each line "
            f"as it is with: {options.as_it_stands(name)}"
        )
    elif is_unsure or len(texts) > 1 or (table.what == COUNTS and weight is None and options.format is None):
        command = _suggested(columns, texts or columns, name, options)
        what = f"{'this looks like ' * bool(is_unsure)}{table.what}: {_listed(columns)}"
        raise InputError(
            f"{name}: {what if n > 1 else 'every line is in quotes'}; read it with: {command} "
            "(or take each line as it is with --format text)"
        )
    else:
        word = texts[0].i
    for other, what in ((weight, "weights"), (label, "labels")):
        if other == word:
            raise InputError(f"{name}: --{what} names the column of the words: choose another")
    parts = [f"words from column {columns[word]}"] if n > 1 or table.names else []
    parts += [] if weight is None else [f"weights from {columns[weight]}"]
    parts += [] if label is None else [f"labels from {columns[label]}"]
    unused = [str(column) for column in columns if column.i not in (word, weight, label)]
    more = f", ... ({len(unused)} in all)" if len(unused) > 5 else ""
    parts += [f"not used: {', '.join(unused[:5])}{more}"] if unused else []
    likely = _weight_columns(columns)
    if weight is None and len(likely) == 1 and likely[0].i not in (word, label):
        parts.append(f"--weights {shlex.quote(likely[0].option)} would take column {likely[0].i + 1} as weights")
    if table.header:
        parts.insert(0, "the first row is a header" if table.names else "the first row is no header")
    return Columns(word, weight, label), ", ".join([f"{name}: read as {table.what}", *parts])


def located(rows: Sequence[Row], name: str, column: str) -> tuple[list[str] | None, int]:
    """Return the header of a table that begins with some rows, None without one, and the place of a column.

    Raises InputError for an unknown column.
    """
    table = Table.of("a table", rows, header=True)
    _take_header(table, ListOptions(column=column))
    n = max((len(row) for _, row in rows), default=0)
    return table.names, _place([Column(table.names, i, table.head[:100]) for i in range(n)], column, "column", name)


class Column:
    """One column of the rows at the beginning of a table."""

    def __init__(self, names: list[str] | None, i: int, rows: Sequence[Row]):
        self.i, self.name = i, names[i] if names and i < len(names) else ""
        self.cells = [_cell(row, i) for _, row in rows]
        filled = [cell for cell in self.cells if cell is not None and cell != ""]
        self.is_full = len(filled) == len(self.cells)
        numbers = [number for cell in filled if (number := _number(cell)) is not None]
        n_numbers = len(numbers) + sum(str(cell).lower().lstrip("+-") in NO_NUMBERS for cell in filled)
        self.is_number = bool(numbers) and 10 * n_numbers >= 9 * len(filled)
        self.is_text = bool(filled) and not self.is_number and all(isinstance(cell, str) for cell in filled)
        self.is_weight = self.is_number and self.is_full and len(numbers) == len(filled) and any(numbers)
        self.is_weight &= all(0 <= number < float("inf") for number in numbers)
        values = {str(cell) for cell in filled}
        self.different = len(values)
        self.is_kind = self.is_text and self.is_full and 3 * self.different <= len(filled)
        self.is_kind &= self.different <= MAX_LABELS
        steps = {second - first for first, second in pairwise(numbers)}
        self.is_id = self.name.lower() in ("id", "rank") or (len(steps) == 1 and steps != {0.0})

    @property
    def option(self) -> str:
        """The value of --column that names it."""
        plain = self.name.isprintable() and not self.name.startswith("-")
        return self.name if self.name and plain else str(self.i + 1)

    def __str__(self) -> str:
        example = next((cell for cell in self.cells if cell is not None and cell != ""), "")
        return f"{self.i + 1} ({self.name if self.name and self.name.isprintable() else shown(self.name or example)})"


def _listed(columns: Sequence[Column]) -> str:
    shown_ones = ", ".join(map(str, columns[:MAX_SHOWN])) + (
        f", ... ({len(columns)} in all)" if len(columns) > MAX_SHOWN else ""
    )
    return f"column {shown_ones}" if len(columns) == 1 else f"columns {shown_ones}"


def _suggested(columns: Sequence[Column], texts: Sequence[Column], name: str, options: ListOptions) -> str:
    """Return the command that is likely to be meant: it reads a column of words, and a weight and a label if clear."""
    named = [column for column in texts if column.name.lower() in WORD_NAMES]
    word = (named or [max(texts, key=lambda column: column.different)])[0]
    weights = _weight_columns(columns)
    labels = [column for column in columns if column.is_kind and column is not word]
    changes: dict[str, str | None] = {"column": word.option}
    if options.labels is None and len(labels) == 1 and options.weights != labels[0].option:
        changes["labels"] = labels[0].option
    if options.weights is None and len(weights) == 1 and options.labels != weights[0].option:
        changes["weights"] = weights[0].option
    return options.command(name, **changes)


def _weight_columns(columns: Sequence[Column]) -> list[Column]:
    """Return the columns that are likely to say how often each word counts."""
    named = [column for column in columns if column.is_weight and column.name.lower() in WEIGHT_NAMES]
    numbers = [column for column in columns if column.is_number and column.different > 1 and not column.is_id]
    return named or [column for column in numbers if column.is_weight]


def _take_header(table: Table, options: ListOptions) -> None:
    """Move the first row of a table to its names if it is a header."""
    if not table.header or not table.head:
        return
    first = [tidy(cell) for cell in table.head[0][1]]
    wanted = [name for name in (options.column, options.weights, options.labels) if name is not None]
    if any(name in first and not name.isdecimal() for name in wanted) or _is_header(first, table.head[1:]):
        next(table.rows)
        table.names, table.head = first, table.head[1:]


def _is_header(first: Sequence[str], others: Sequence[Row]) -> bool:
    if not others or any(_number(cell) is not None for cell in first) or len(set(first)) < len(first):
        return False
    if any(cell.lower() in WORD_NAMES | WEIGHT_NAMES | OTHER_NAMES for cell in first):
        return True
    for i, cell in enumerate(first):
        column = [row[i].strip() for _, row in others]
        if cell and all(_number(other) is not None for other in column):
            return True
        times = Counter(column)
        if cell and cell not in times and 3 * len(times) <= len(column) and min(times.values()) > 1:
            return True
    return False


def _place(columns: Sequence[Column], wanted: str, what: str, name: str) -> int:
    """Return the place of the column with a name or a number."""
    for column in columns:
        if column.name == wanted:
            return column.i
    if wanted.isdecimal() and wanted.isascii() and 1 <= int(wanted[:9]) <= len(columns):
        return int(wanted) - 1
    close = get_close_matches(wanted, [column.name for column in columns if column.name], n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else ""
    raise InputError(f"{name}: no column {shown(wanted)} for --{what}{hint} (known: {_listed(columns)})")


def _cell(row: Sequence[Any], i: int) -> Any:
    cell = row[i] if i < len(row) else None
    return cell.strip() if isinstance(cell, str) else cell


def _number(cell: Any) -> float | None:
    """Return the number in a cell, which may have commas between thousands; None if it has none."""
    if isinstance(cell, str):
        return float(cell.replace(",", "")) if NUMBER.fullmatch(cell) else None
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        try:
            return float(cell)
        except OverflowError:
            return float("inf")
    return None


def tidy(text: str) -> str:
    """Return a text in one line and in NFC, without spaces around it."""
    text = " ".join(text.split()) if "\n" in text or "\r" in text else text.strip()
    return unicodedata.normalize("NFC", text)


def _check(text: str, what: str, place: str) -> None:
    """Raise InputError for a word or label that cannot be written."""
    if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
        raise InputError(f"{place}: the {what} {shown(text)} contains half of a surrogate pair: correct it")
