"""Summaries of the runs in a folder, from their JSON alone: no weights and no words are read."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import InputError
from .checkpoint import CHECKPOINT, damaged
from .run import CONFIG, HISTORY, MODEL


@dataclass(frozen=True)
class Summary:
    """A run: its model and results.

    list        name of its word list; empty if the run does not record it
    parameters  None if the run does not record them
    loss        nats per token on train, val and test; on val alone if the run has not been evaluated, or empty
    when        time of the last write to its weights
    state       "finished", "stopped" or "diverged"
    """

    path: Path
    list: str
    model: str
    parameters: int | None
    loss: dict[str, float]
    when: datetime
    state: str

    def as_json(self) -> dict[str, Any]:
        """All values as a plain dictionary."""
        return {**vars(self), "path": str(self.path), "when": self.when.isoformat(timespec="seconds")}


def summaries(folder: Path) -> Iterator[Summary | InputError]:
    """Yield the runs under a folder, in the order of their names, and an error for each that cannot be read.

    Raises InputError if there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    for config in sorted(folder.rglob(CONFIG)):
        try:
            yield summary(config.parent)
        except InputError as error:
            yield error


def summary(folder: Path) -> Summary:
    """Return the summary of a run. Raises InputError if its files are damaged, or are not those of a run."""
    name = CONFIG
    try:
        stored = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        options, loss = stored["train_options"], {part: float(x) for part, x in stored.get("loss", {}).items()}
        parameters = None if "parameters" not in stored else int(stored["parameters"])
        ended = (folder / MODEL).exists()
        when = datetime.fromtimestamp((folder / (MODEL if ended else CHECKPOINT)).stat().st_mtime).astimezone()
        name = HISTORY
        lines = (folder / HISTORY).read_text(encoding="utf-8").splitlines()
        last = json.loads(lines[-1])["step"] if lines else 0
        if not loss:
            vals = [val for line in lines if (val := json.loads(line).get("val")) is not None]
            loss = {"val": min(vals) if options["keep"] == "best" else vals[-1]} if vals else {}
        state = "stopped" if not ended else "diverged" if last < (options["steps"] or 0) else "finished"
        return Summary(folder, str(stored.get("list", "")), str(stored["model"]), parameters, loss, when, state)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(folder, name, error) from None
