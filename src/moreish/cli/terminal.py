"""Output of commands: results go to stdout, everything else to stderr."""

import json
import logging
import math
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table

from ..display import compiling
from .lines import CONTROL, CONTROL_IN_TEXT, escape

GAP = 2  # between the columns of a table
MIN_TEXT = 12  # width of a column of text whose words are broken
NUMBERS = re.compile(r" (?=\()")  # between a number and its interval in brackets
MAX_PADDED = 40  # width of a column of words; the mark of a longer word follows it
MAX_PERPLEXITY = 1e6  # shown in full
# A command to copy, or another word, each with the spaces before it.
PIECES = re.compile(r" *(?:\(?(?:moreish|pip|\S+ -m pip) [a-z](?:'[^']*'|[^\s;)])*(?: (?:'[^']*'|[^\s;)])+)*\S*|\S+)")


def say(message: str) -> None:
    """Print a message on stderr. The work continues if nobody reads it any more."""
    message = CONTROL_IN_TEXT.sub(escape, message)
    if sys.stderr.isatty():
        message = wrapped(message, shutil.get_terminal_size(os.get_terminal_size(sys.stderr.fileno())).columns)
    with suppress(BrokenPipeError):
        print(message, file=sys.stderr, flush=True)


def print_text(text: str) -> None:
    """Print sentences on stdout. On a terminal, their lines are broken between words."""
    text = CONTROL_IN_TEXT.sub(escape, text)
    print(wrapped(text, shutil.get_terminal_size().columns) if on_terminal() else text, flush=True)


def print_data(text: str) -> None:
    """Print lines for other programs on stdout as they are; on a terminal, with escapes for control characters."""
    sys.stdout.write(CONTROL_IN_TEXT.sub(escape, text) if on_terminal() else text)
    sys.stdout.flush()


def wrapped(text: str, width: int) -> str:
    """Break lines that are wider than `width` cells, at spaces outside of commands."""
    lines: list[str] = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip(" ")))
        now = ""
        for piece in PIECES.findall(line):
            if now and cell_len(now + piece) > width:
                lines.append(now)
                now = indent + piece.lstrip()
            else:
                now += piece
        lines.append(now)
    return "\n".join(lines)


def say_if_diverged(run: Any) -> None:
    """Print a message if the training of a run diverged, so that its model is worth little."""
    if run.diverged:
        command = shlex.join(["moreish", "diagnose", str(run.path)])
        say(f"(the training of {run.path} diverged; to find out why: {command})")


def on_terminal() -> bool:
    """Return True if stdout is a terminal, and not a file or a pipe that another program reads."""
    return sys.stdout.isatty()


def print_json(value: Any) -> None:
    """Print a result as JSON, in ASCII: the same bytes in every locale."""
    print(json.dumps(_finite(value), allow_nan=False))


def _finite(value: Any) -> Any:
    """Replace infinities and NaN, which JSON does not have, by None."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def announce_work() -> None:
    """Print the package's log messages on stderr. Compilation is shown by a moving line, if that is a terminal."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"moreish: {record.getMessage()}")

    log = logging.getLogger("moreish")
    log.setLevel(logging.INFO)
    log.handlers = [Handler()]
    if sys.stderr.isatty():
        from .progress import CompilingView

        compiling.watchers[:] = [CompilingView()]


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout. A column whose name begins with > has numbers: it is right-aligned.

    On a terminal that is too narrow, cells are wrapped; if that is not enough, each row becomes a list. Elsewhere every
    row is one line.
    """
    shown = ([CONTROL.sub(escape, str(cell)) for cell in row] for row in rows)
    cells = [[name.removeprefix(">") for name in columns], *shown]
    numeric = [name.startswith(">") for name in columns]
    widths = [max(map(cell_len, column)) for column in zip(*cells, strict=True)]
    total = sum(widths) + GAP * (len(widths) - 1)
    if on_terminal() and total > (width := shutil.get_terminal_size().columns):
        widths, total = _narrowed(cells, numeric, widths, total - width), width
        cells = [[_broken(*x) for x in zip(row, numeric, widths, strict=True)] for row in cells] if widths else cells
    console = Console(highlight=False, markup=False, emoji=False, width=max(total, 1))
    names, *cells = cells
    if not widths:
        for first, *others in cells:
            console.print(first, style="bold")
            for name, cell in zip(names[1:], others, strict=True):
                if cell:
                    console.print(wrapped(f"  {name}: {cell}" if name else f"  {cell}", total))
        return
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(names))
    for name, number, width in zip(names, numeric, widths, strict=True):
        table.add_column(name, justify="right" if number else "left", width=width, overflow="fold")
    for row in cells:
        table.add_row(*row)
    with console.capture() as printed:
        console.print(table)
    print(re.sub(r" +\n", "\n", printed.get()), end="")


def _narrowed(cells: Sequence[Sequence[str]], numeric: Sequence[bool], widths: Sequence[int], excess: int) -> list[int]:
    """Return widths that are smaller by `excess` in all, taken from the widest columns; empty if numbers do not fit.

    cells begin with the row of the names. Words of text are broken only if wrapping at spaces is not enough.
    """
    least = []
    for number, (name, *column) in zip(numeric, zip(*cells, strict=True), strict=True):
        parts = (NUMBERS.split(cell) if number else cell.split() for cell in column)
        least.append(max(map(cell_len, chain(name.split(), *parts)), default=0))
    for limits in (least, [x if number else min(x, MIN_TEXT) for number, x in zip(numeric, least, strict=True)]):
        narrow, left = list(widths), excess
        while left and (room := [(width, i) for i, width in enumerate(narrow) if width > limits[i]]):
            narrow[max(room)[1]] -= 1
            left -= 1
        if not left:
            return narrow
    return []


def _broken(cell: str, number: bool, width: int) -> str:
    """Break a cell where it is best: a number before its interval, and a long word after a slash or a hyphen."""
    if number:
        return cell if cell_len(cell) <= width else NUMBERS.sub("\n", cell)
    after = re.compile(rf"(\S{{{width // 2},{width - 1}}}[/-])(?=\S)")
    return " ".join(word if cell_len(word) <= width else after.sub(r"\1\n", word) for word in cell.split(" "))


def print_losses(found: Any) -> None:
    """Print the losses of an Evaluation, one row for each part of the split."""
    rows = []
    for part, loss in found.loss.items():
        perplexity = found.perplexity[part]
        shown = f"{perplexity:.3f}" if perplexity < MAX_PERPLEXITY else f"{perplexity:.1e}"
        row = [part, f"{loss:.4f}", f"{found.bits[part]:.4f}", shown]
        if found.interval:
            between = found.interval[part]
            apart = (f"{kind[part]:.4f}" if part in kind else "" for kind in (found.in_train, found.new))
            row[2:2] = ["too few words" if between is None else f"{between[0]:.4f} to {between[1]:.4f}", *apart]
        if found.each_once:
            row.insert(2, f"{found.each_once[part]:.4f}")
        rows.append(row)
    once = [">each word once"] if found.each_once else []
    more = [">95% interval", ">words in train", ">other words"] if found.interval else []
    print_table(["", ">loss (nats)", *once, *more, ">bits", ">perplexity"], rows)


def print_samples(words: Sequence[str], marks: Sequence[str]) -> None:
    """Print words, each with the part of the list that contains it, or "new"."""
    words = [CONTROL.sub(escape, word) for word in words]
    width = min(max(map(cell_len, words), default=0), MAX_PADDED)
    for word, mark in zip(words, marks, strict=True):
        print(f"{word}{' ' * (width - cell_len(word))}  {mark if mark == 'new' else f'in {mark}'}")


def print_words(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of words: aligned on a terminal, and elsewhere with tabs, so that no space of a word is lost."""
    if on_terminal():
        print_table(columns, rows)
    else:
        for row in [[name.removeprefix(">") for name in columns], *rows]:
            print(*row, sep="\t")
