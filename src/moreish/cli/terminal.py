"""What commands print: results on stdout, everything else on stderr."""

import json
import logging
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from ..corpus import PARTS
from ..training import Progress as Step


def say(message: str) -> None:
    """Tell the person at the terminal something that is no result."""
    print(message, file=sys.stderr, flush=True)


def print_json(value: Any) -> None:
    """Print a result for a program to read."""
    print(json.dumps(value, ensure_ascii=False))


def announce_work() -> None:
    """Let the engine's messages (that it compiles, say) reach the person at the terminal."""

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            say(f"moreish: {record.getMessage()}")

    log = logging.getLogger("moreish")
    log.setLevel(logging.INFO)
    log.handlers = [Handler()]


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]], title: str = "") -> None:
    """Print a table on stdout; a column whose name begins with > is set flush right."""
    table = Table(title=title or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for name in columns:
        table.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left", no_wrap=True)
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    console = Console(highlight=False, markup=False, emoji=False)
    console.width = max(console.width, 200) if not console.is_terminal else console.width
    console.print(table)


def print_losses(loss: Mapping[str, float], bits: Mapping[str, float], perplexity: Mapping[str, float]) -> None:
    """Print the losses by part of the split."""
    rows = [
        (part, f"{loss[part]:.4f}", f"{bits[part]:.4f}", f"{perplexity[part]:.3f}") for part in PARTS if part in loss
    ]
    print_table(["", ">loss (nats)", ">bits", ">perplexity"], rows)


def print_samples(words: Sequence[str], marks: Sequence[str]) -> None:
    """Print words, each with where it stands in the list."""
    width = max(map(len, words), default=0)
    for word, mark in zip(words, marks, strict=True):
        print(f"{word:<{width}}  {mark if mark == 'new' else f'in {mark}'}")


class TrainingView:
    """A progress bar where there is a terminal, and a line at each point of the log."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        columns = (
            *(
                TextColumn("step {task.completed:,.0f}/{task.total:,.0f}"),
                BarColumn(),
                TextColumn("loss {task.fields[loss]:.4f}"),
            ),
            *(TimeElapsedColumn(), TextColumn("elapsed,"), TimeRemainingColumn(), TextColumn("left")),
        )
        self.progress = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self.task = None

    def __enter__(self) -> "TrainingView":
        self.progress.__enter__()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.__exit__(*exception)  # type: ignore[arg-type]

    def __call__(self, at: Step) -> None:
        if self.task is None:
            self.task = self.progress.add_task("", total=at.steps, loss=at.loss)
        self.progress.update(self.task, completed=at.step, loss=at.loss)
        if at.is_line:
            width = len(f"{at.steps:,}")
            val = "" if at.val is None else f"   val {at.val:.4f}"
            self.console.print(f"step {at.step:>{width},}/{at.steps:,}   train {at.loss:.4f}{val}   lr {at.lr:.2g}")
