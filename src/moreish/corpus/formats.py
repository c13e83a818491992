"""Formats of word lists: the options of the reader, and the format of a file by the shape of its lines.

A format is recognised by its first SAMPLE_SIZE characters:

json        the text is JSON: an array, or an object
jsonl       every line is JSON: an object, an array or a string
hunspell    the first line is a number, and it counts the other lines, some of which have a slash; or the file is
            called .dic
fasta       lines that begin with > stand among lines of letters
csv, tsv    a separator (tab, semicolon, bar or comma) gives every line the same number of fields, more than one; or
            every line is in quotes
counts      every line is a number, a space and a word, as `uniq -c` prints, or a word, a space and a number
text        anything else: one word per line
"""

import csv
import io
import json
import re
import shlex
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import STANDARD_INPUT
from ..options import Options, option

FORMATS = ("text", "csv", "tsv", "json", "jsonl", "counts", "hunspell", "fasta")
SAMPLE_SIZE = 1 << 20  # characters
SEPARATORS = {"\t": "tab", ";": "semicolon", "|": "bar", ",": "comma"}
MOST = 0.95  # of the lines: if so many share a shape, the others are mistakes
FEW = 0.05  # of the lines: so few lines with a separator look odd
PACKING = re.compile(r"\.(gz|xz|bz2|zip)$", re.IGNORECASE)  # of the name of a packed file
NUMBER = r"[0-9]+(?:\.[0-9]*)?"
NUMBER_FIRST = re.compile(rf"(?P<number>{NUMBER})(?:\s+(?P<word>.*))?")  # of a line without spaces around it
NUMBER_LAST = re.compile(rf"(?P<word>.*\S)\s+(?P<number>{NUMBER})")
JSON_LINE = re.compile(r"""(?:[\[\]{}]|["'].*["'\[{])\s*[:,\]}]*|[\[{].*[\]}],?|["'].*["']\s*:.*""")


@dataclass(frozen=True)
class ListOptions(Options):
    """Options of reading a list. A column is given by its name in the header, its key in JSON, or its number from 1."""

    column: str | None = option(None, "Column of the words in a table: its name in the header, or its number from 1.")
    weights: str | None = option(None, "Column of numbers that say how often each word counts.")
    labels: str | None = option(None, "Column with the label of each word, such as its language.")
    format: str | None = option(None, "Format of the list; text takes each line as it is.", choices=FORMATS)
    encoding: str | None = option(None, "Encoding of the list, such as cp1252, if it is not UTF-8.")

    def command(self, name: str, **changes: str | None) -> str:
        """Return the command that reads the file of that name with these options and some others."""
        given = {**vars(self), **changes}
        return shlex.join(
            ["moreish", "train", argument(name), *(part for k, v in given.items() if v for part in (f"--{k}", v))]
        )

    def as_it_stands(self, name: str) -> str:
        """Return the command that takes every line of the file as a word."""
        return ListOptions(format="text", encoding=self.encoding).command(name)


def argument(name: str) -> str:
    """Return the argument of a command that stands for the file of that name."""
    return "-" if name == STANDARD_INPUT else f"./{name}" if name.startswith("-") else name


@dataclass(frozen=True)
class Layout:
    """A format; the separator of a table, and if its fields may be in quotes; the pattern of lines with a count."""

    format: str
    separator: str = ","
    quoted: bool = True
    counts: re.Pattern[str] = NUMBER_FIRST


def recognised(text: str, name: str, whole: bool, options: ListOptions) -> Layout:
    """Return the layout of the file that begins with a text, or of all of it if it is whole.

    Raises InputError for a text that looks like JSON but is not, and for a FASTA file, which must be asked for.
    """
    sample, complete = _sample(text, whole)
    found = re.search(r"\S", sample)
    start, suffix = found.group() if found else "", _suffix(name)
    if start in tuple('[{"') and (layout := _json(text, sample, name, complete, options)):
        return layout
    if start.isdecimal() and _is_hunspell(sample, suffix, complete):
        return Layout("hunspell")
    if start == ">" and _is_fasta(sample):
        sequences = ListOptions(format="fasta", encoding=options.encoding)
        raise InputError(
            f"{name}: a FASTA file; read its sequences with: {sequences.command(name)} "
            "(or take each line as it is with --format text)"
        )
    return (
        _table(sample, SEPARATORS, 1 if is_named_table(name) else 2, complete)
        or _counts(sample)
        or (Layout("csv") if suffix == ".csv" else Layout("text"))
    )


def forced(format: str, text: str, whole: bool) -> Layout:
    """Return the layout in a given format of the file that begins with a text."""
    sample, complete = _sample(text, whole)
    if format in ("csv", "tsv"):
        separators = SEPARATORS if format == "csv" else "\t"
        return _table(sample, separators, 1, complete) or Layout("csv", "," if format == "csv" else "\t")
    return (_counts(sample) if format == "counts" else None) or Layout(format)


def _sample(text: str, whole: bool) -> tuple[str, bool]:
    """Return the lines of a text that are looked at, and True if they are the whole file."""
    return (text, whole) if len(text) <= SAMPLE_SIZE else (text[: text.rfind("\n", 0, SAMPLE_SIZE) + 1], False)


def odd_lines(text: str) -> tuple[list[str], list[str]]:
    """Return the lines that look odd in a list of words, and their separators, if few lines have one."""
    sample = text[:SAMPLE_SIZE]
    found = [separator for separator in SEPARATORS if separator in sample]
    odd = (
        [line for line in sample.split("\n") if any(separator in line.strip() for separator in found)] if found else []
    )
    return (odd, found) if len(odd) <= FEW * sample.count("\n") else ([], [])


def _suffix(name: str) -> str:
    """Return the suffix of a file, without the one of its packing."""
    found = re.search(r"\.\w+$", PACKING.sub("", name.lower()))
    return found.group() if found else ""


def list_name(path: str | Path) -> str:
    """Return the name of the list in a file: the name of the file, without its suffixes."""
    return Path(PACKING.sub("", Path(path).name)).stem


def is_named_table(name: str) -> bool:
    """Return True if the name of a file, packed or not, says that it is a table."""
    return _suffix(name) in (".csv", ".tsv")


def _lines(text: str) -> list[str]:
    """Return the lines that are not blank, without spaces around them."""
    return [line for raw in text.split("\n") if (line := raw.strip())]


def _json(text: str, sample: str, name: str, whole: bool, options: ListOptions) -> Layout | None:
    suffix, lines = _suffix(name), _lines(sample)
    problem: Exception = json.JSONDecodeError("a line is not JSON", "", 0)
    if suffix not in (".jsonl", ".ndjson"):
        try:
            if isinstance(json.loads(text), list | dict):
                return Layout("json")
        except (ValueError, RecursionError) as error:
            problem = error
    parsed = [_parses(line) for line in lines[:100]]
    in_quotes = sample.lstrip()[0] == '"'  # as fields of CSV may be
    if 2 * sum(parsed) > len(parsed) if not in_quotes else sum(parsed) >= MOST * len(parsed) and "\\" in sample:
        return Layout("jsonl")
    if sum(JSON_LINE.fullmatch(line) is not None for line in lines) >= MOST * len(lines) or suffix == ".json":
        if in_quotes and _table(sample, SEPARATORS, 1, whole):
            return None
        if not whole:
            return Layout("json")
        where = f":{problem.lineno}" if isinstance(problem, json.JSONDecodeError) else ""
        raise InputError(
            f"{name}{where}: this looks like JSON but is not ({json_problem(problem)}); correct it, or take each line "
            f"as it is with: {options.as_it_stands(name)}"
        )
    return None


def json_problem(error: Exception) -> str:
    """Return why a text is not JSON, from the error of json.loads."""
    if isinstance(error, json.JSONDecodeError):
        return error.msg
    return "it is nested too deeply" if isinstance(error, RecursionError) else "a number is too long"


def _parses(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict | list | str)
    except (ValueError, RecursionError):
        return False


def _is_hunspell(sample: str, suffix: str, whole: bool) -> bool:
    lines = _lines(sample)
    if not re.fullmatch(r"[0-9]{1,9}", lines[0]):
        return False
    counted = not whole or abs(int(lines[0]) - (len(lines) - 1)) <= 0.1 * len(lines)
    return suffix == ".dic" or (counted and sum("/" in line for line in lines) >= FEW * len(lines))


def _is_fasta(sample: str) -> bool:
    others = [line for line in _lines(sample) if not line.startswith(">")]
    return bool(others) and all(re.fullmatch(r"[A-Za-z*.\-\s]+", line) for line in others)


def _table(sample: str, separators: Iterable[str], at_least: int, whole: bool) -> Layout | None:
    """Return the table whose separator gives at least MOST of the lines, best all, the same number of fields."""
    found: list[tuple[float, Layout]] = []
    n_lines = sample.count("\n") + 1
    for separator in separators:
        times = sample.count(separator)
        if times * 10 < n_lines or ('"' not in sample and times < 0.9 * len(_lines(sample))):
            continue
        if separator == "\t" and not any(separator in line for line in _lines(sample)):
            continue  # tabs around words are spaces
        for quoted in (True, False) if '"' in sample else (False,):
            widths = _widths(sample, separator, quoted, whole)
            width, lines = max(widths.items(), key=lambda item: (item[0] > 1, item[1]), default=(0, 0))
            if width > 1 and widths.total() >= at_least and lines >= MOST * widths.total():
                found.append((lines / widths.total(), Layout("csv", separator, quoted or '"' not in sample)))
    if found:
        return max(found, key=lambda share_and_layout: share_and_layout[0])[1]
    lines = _lines(sample) if sample.lstrip()[:1] == '"' else []
    if len(lines) >= at_least and all(re.fullmatch(r'"(?:[^"]|"")*"', line) for line in lines):
        return Layout("csv")
    return None


def _widths(sample: str, separator: str, quoted: bool, whole: bool) -> Counter[int]:
    """Count the rows with each number of fields; there are none if the quotes are no quotes of CSV."""
    widths: Counter[int] = Counter()
    try:
        for row in csv.reader(io.StringIO(sample, newline="\n"), **dialect(separator, quoted)):
            widths[len(row)] += any(map(str.strip, row))
    except csv.Error as error:
        if whole or "end of data" not in str(error):
            return Counter()
    return widths


def dialect(separator: str, quoted: bool) -> dict[str, Any]:
    """Return the arguments of csv.reader."""
    quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
    return {"delimiter": separator, "quoting": quoting, "strict": True, "skipinitialspace": separator != "\t"}


def _counts(sample: str) -> Layout | None:
    first = _lines(sample[:4096])[:-1]
    for pattern in (NUMBER_FIRST, NUMBER_LAST):
        if sum(pattern.fullmatch(line) is not None for line in first) < 0.9 * len(first):
            continue
        lines = _lines(sample)
        found = [match for line in lines if (match := pattern.fullmatch(line))]
        words = [match["word"] for match in found if match["word"] and not re.fullmatch(NUMBER, match["word"])]
        if len(lines) > 1 and len(found) >= MOST * len(lines) and 2 * len(words) > len(lines):
            return Layout("counts", counts=pattern)
    return None
