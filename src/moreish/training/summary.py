"""Summaries of the runs in a folder, from their JSON alone: no weights and no words are read."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import written_at
from .checkpoint import CHECKPOINT, damaged
from .run import CONFIG, HISTORY, MODEL, load_history, state_of


@dataclass(frozen=True)
class Summary:
    """A run: its model and results.

    list        name of its word list; empty if the run does not record it
    parameters  None if the run does not record them
    loss        nats per token on train, val and test, if finite; of a run that has not been evaluated, on val alone or
                empty
    when        local time at which its weights were written
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
    """Yield the runs under a folder, in the order of their names, and an error for each that is damaged.

    Other folders are left out, and links to folders are not followed. Raises InputError if there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder")
    for config in sorted(folder.rglob(CONFIG)):
        try:
            if found := summary(config.parent):
                yield found
        except InputError as error:
            yield error


def summary(folder: Path) -> Summary | None:
    """Return the summary of a run, or None if the folder is not one. Raises InputError if its files are damaged."""
    try:
        stored = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if written_at(folder / HISTORY):  # the folder of a run
            raise damaged(folder, CONFIG, error) from None
        return None
    if not isinstance(stored, dict) or not {"format", "train_options"} <= stored.keys():
        return None
    history, when = load_history(folder), written_at(folder / MODEL) or written_at(folder / CHECKPOINT)
    if when is None:
        raise damaged(folder, MODEL, "missing")
    name = CONFIG
    try:
        options, loss = stored["train_options"], {part: float(x) for part, x in stored.get("loss", {}).items()}
        parameters = None if "parameters" not in stored else int(stored["parameters"])
        state = state_of(folder, history, options["steps"])
        if not loss:
            name = HISTORY
            vals = [float(line["val"]) for line in history if line.get("val") is not None]
            finite = list(filter(math.isfinite, vals))
            loss = {"val": min(finite) if options["keep"] == "best" else finite[-1]} if finite else {}
        loss = {part: x for part, x in loss.items() if math.isfinite(x)}
        return Summary(folder, str(stored.get("list", "")), str(stored["model"]), parameters, loss, when, state)
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise damaged(folder, name, error) from None
