"""List the runs in a folder, with their models and losses.

Losses are in nats per token. Runs trained from Python, and unfinished runs, show only the val loss. If a run was
stopped or diverged, the last column says so: `moreish train --resume` continues a stopped one, and `moreish diagnose`
tells why one diverged.

Examples:
  moreish runs
  moreish runs experiments --sort val
"""

import math
from pathlib import Path
from typing import Literal

from ..training.summary import Summary, summaries
from .terminal import print_json, print_table, say
from .values import Flag


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
    ended = all(run.state == "finished" for run in found)
    rows = [
        [
            str(run.path),
            run.list,
            run.model,
            "" if run.parameters is None else f"{run.parameters:,}",
            *(f"{run.loss[part]:.4f}" if part in run.loss else "" for part in ("val", "test")),
            f"{run.when:%Y-%m-%d %H:%M}",
            *([] if ended else [run.state]),
        ]
        for run in found
    ]
    print_table(["run", "list", "model", ">parameters", ">val", ">test", "when", *([] if ended else ["state"])], rows)
