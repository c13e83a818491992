"""Output of commands: results go to stdout, everything else to stderr."""

import json
import logging
import math
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table


def say(message: str) -> None:
    """Print a message on stderr. The work continues if nobody reads it any more."""
    with suppress(BrokenPipeError):
        print(message, file=sys.stderr, flush=True)


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
        view: Callable[[Any], None] | None = None

        def emit(self, record: logging.LogRecord) -> None:
            compiling = getattr(record, "compiling", None)
            if compiling and sys.stderr.isatty():
                from .progress import CompilingView

                self.view = self.view or CompilingView()
                self.view(compiling)
            elif record.levelno >= logging.INFO:
                say(f"moreish: {record.getMessage()}")

    log = logging.getLogger("moreish")
    log.setLevel(logging.DEBUG)
    log.handlers = [Handler()]


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table on stdout. A column whose name begins with > is right-aligned."""
    rows = [[str(cell) for cell in row] for row in rows]
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left", no_wrap=True)
    for row in rows:
        table.add_row(*row)
    # Wide enough for all columns: the terminal may wrap a line, but no text is cut off.
    widest = sum(max(map(cell_len, column)) + 2 for column in zip(*rows, columns, strict=True))
    Console(highlight=False, markup=False, emoji=False, width=max(200, widest)).print(table)


def print_losses(found: Any) -> None:
    """Print the losses of an Evaluation, one row for each part of the split."""
    rows = []
    for part, loss in found.loss.items():
        row = [part, f"{loss:.4f}", f"{found.bits[part]:.4f}", f"{found.perplexity[part]:.3f}"]
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
    width = max(map(cell_len, words), default=0)
    for word, mark in zip(words, marks, strict=True):
        print(f"{word}{' ' * (width - cell_len(word))}  {mark if mark == 'new' else f'in {mark}'}")


def print_words(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table of words: aligned on a terminal, and elsewhere with tabs, so that no space of a word is lost."""
    if on_terminal():
        print_table(columns, rows)
    else:
        for row in [[name.removeprefix(">") for name in columns], *rows]:
            print(*row, sep="\t")
