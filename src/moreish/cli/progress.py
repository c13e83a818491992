"""Progress of long work on the terminal: training, drawing words, and counts."""

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.spinner import Spinner
from rich.text import Text

from ..display.compiling import Compiling
from ..training.loop import Progress as Step


class _PipeConsole(Console):
    """A console that is silent after its pipe is closed, so that the work continues."""

    def on_broken_pipe(self) -> None:
        self.quiet = True


@cache
def stderr() -> Console:
    """The console of all progress, so that views that are open at the same time stand below each other."""
    return _PipeConsole(stderr=True, highlight=False)


class TrainingView:
    """A progress bar, if there is a terminal, and a line at each point of the log."""

    def __init__(self) -> None:
        self.console = stderr()
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
            notes = "".join(f"   {name.replace('_', ' ')} {value:.5g}" for name, value in at.notes.items())
            rate = f"{at.lr:#.2g}".removesuffix(".")
            self.console.print(
                f"step {at.step:>{width},}/{at.steps:,}   train {at.loss:.4f}{val}   lr {rate}{notes}",
                soft_wrap=True,
            )


class StagesView:
    """A bar for the stage that long work is at, if there is a terminal; elsewhere a line when a stage begins."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed:,.0f}/{task.total:,.0f}"))
        self.console, self.stage = stderr(), ""
        self.progress = Progress(*columns, TimeElapsedColumn(), console=self.console, transient=True)
        self.task = self.progress.add_task("", total=1, visible=False)

    def __enter__(self) -> "StagesView":
        if self.console.is_terminal:
            self.progress.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.progress.stop()

    def __call__(self, stage: str, done: int, whole: int) -> None:
        if stage != self.stage:
            self.stage = stage
            if not self.console.is_terminal:
                self.console.print(stage, soft_wrap=True)
            self.progress.reset(self.task)
        self.progress.update(self.task, description=stage, completed=done, total=whole, visible=done < whole)


class CompilingView:
    """A moving line on the terminal that says what is compiled and for how long, and a line about it that stays."""

    def __init__(self) -> None:
        self.live: Live | None = None
        self.at: Compiling | None = None
        self.spinner = Spinner("dots")

    def __call__(self, at: Compiling) -> None:
        if not at.ended:
            self.at = at
            if self.live is None:
                self.live = Live(self, console=stderr(), transient=True, redirect_stdout=False)
                self.live.start()
        elif self.live is not None:
            self.live.stop()
            self.live = None
            if at.is_worth_a_line:
                stderr().print(str(at), soft_wrap=True)

    def __rich__(self) -> Text:
        """The line. What does not fit is cut off at its end."""
        assert self.at is not None
        frame = self.spinner.render(time.monotonic())
        return Text(f"{frame} {self.at.seconds:.0f} s, {self.at}", no_wrap=True, overflow="ellipsis")


class DrawingView:
    """A line on the terminal with the number of words found and drawn."""

    def __init__(self, wanted: int, hidden: bool = False) -> None:
        self.wanted, self.console = wanted, stderr()
        self.spinner = Spinner("dots", "searching for words that fit")
        self.live = Live(self.spinner, console=self.console, transient=True, redirect_stdout=False)
        self.hidden = hidden or not self.console.is_terminal

    def __enter__(self) -> "DrawingView":
        if not self.hidden:
            self.live.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.live.stop()

    def __call__(self, found: int, tried: int) -> None:
        self.spinner.update(text=f"{found:,} of {self.wanted:,} found, {tried:,} drawn")


@contextmanager
def counting(what: str, hidden: bool = False) -> Generator[Callable[[int], None]]:
    """Show a count of things done, if there is a terminal; yield a function that adds to it."""
    console = stderr()
    columns = (TextColumn(f"{{task.completed:,.0f}} {what}"), TimeElapsedColumn())
    hidden = hidden or not console.is_terminal
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, disable=hidden) as progress:
        task = progress.add_task("", total=None)
        yield lambda n: progress.advance(task, n)
