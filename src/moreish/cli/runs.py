"""List the runs in a folder, with their models and losses.

Losses are in nats per token. Runs trained from Python, and unfinished runs, show only the val loss. The last column
tells which runs are unfinished, as their training goes on or was stopped, and which diverged. `moreish train --resume`
continues a stopped run, and `moreish diagnose` tells why one diverged.

Examples:
  moreish runs
  moreish runs experiments --sort val
"""

import math
import shutil
from datetime import datetime
from pathlib import Path
from typing import Literal

from rich.cells import cell_len

from ..display.shown import shortened
from ..training.summary import Summary, summaries
from .terminal import GAP, on_terminal, print_json, print_table, say
from .values import Flag

LONGEST_NAME, SHORTEST_NAME = 24, 8  # characters of the name of a list


def runs(folder: Path = Path("runs"), /, *, sort: Literal["when", "val"] = "when", json: Flag = False) -> None:
    """Run `moreish runs`.

    Parameters
    ----------
    folder
        Folder to search for runs, subfolders included.
    sort
        Order of the runs: the newest first, or the lowest val loss first.
    json
        Print JSON: {"runs": [{"path", "list", "model", "parameters", "loss": {"train", "val", "test"}, "when",
        "state": "finished" | "stopped" | "diverged"}, ...]}.
    """
    found = []
    for run in summaries(folder):
        if isinstance(run, Summary):
            found.append(run)
        else:
            say(f"skipped: {run}")
    if sort == "when":
        found.sort(key=lambda run: run.when, reverse=True)
    else:
        found.sort(key=lambda run: run.loss.get("val", math.inf))
    if json:
        print_json({"runs": [run.as_json() for run in found]})
        return
    if not found:
        say(f"no runs in {folder}; create one with: moreish train")
        return
    short = on_terminal()
    ended = all(run.state == "finished" for run in found)
    rows = [
        [
            str(run.path),
            run.list,
            run.model,
            "" if run.parameters is None else short_number(run.parameters) if short else f"{run.parameters:,}",
            *(f"{run.loss[part]:.4f}" if part in run.loss else "" for part in ("val", "test")),
            short_date(run.when) if short else f"{run.when:%Y-%m-%d %H:%M}",
            *([] if ended else ["unfinished" if run.state == "stopped" else run.state]),
        ]
        for run in found
    ]
    size = ">params" if short else ">parameters"
    heading = ["run", "list", "model", size, ">val", ">test", ">when", *([] if ended else ["state"])]
    widths = [max(map(cell_len, column)) + GAP for column in zip(heading, *rows, strict=True)]
    room = shutil.get_terminal_size().columns - sum(widths[:1] + widths[2:]) if short else LONGEST_NAME
    for row in rows:
        row[1] = shortened(row[1], max(min(room, LONGEST_NAME), SHORTEST_NAME))
    print_table(heading, rows)


def short_number(n: int) -> str:
    """Return a number in a few characters, such as 44.7k."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if n >= size:
            return f"{n / size:.1f}{sign}"
    return str(n)


def short_date(when: datetime) -> str:
    """Return the time of today, the day of this year, or a date."""
    now = datetime.now().astimezone()
    if when.date() == now.date():
        return f"{when:%H:%M}"
    return f"{when:%b} {when.day}" if when.year == now.year else f"{when:%Y-%m-%d}"
