"""Summaries of the runs in a folder, from their JSON alone: no weights and no words are read."""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from ..errors import InputError
from ..files import written_at
from .checkpoint import CHECKPOINT, damaged
from .folder import CONFIG, HISTORY, MODEL, PLAN, check_files, state_of
from .loading import load_history


@dataclass(frozen=True)
class Summary:
    """A run: its model and results.

    list        name of its word list; empty if the run does not record it
    parameters  None if the run does not record them
    loss        nats per token on train, val and test, if finite; of a run that has not been evaluated, on val alone or
                empty
    when        local time at which its weights were written
    state       "finished"; "stopped", also while it still trains; or "diverged": the loss became infinite, or was no
                better at the end than that of equally likely tokens, on train and on val
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
        raise InputError(f"{folder}: {'a file: give a folder of runs' if folder.exists() else 'no such folder'}")
    for config in sorted(folder.rglob(CONFIG)):
        run = config.parent
        whole = run.parent.parent  # of an ensemble that is not complete, if the run is a member
        try:
            if not (whole / PLAN).is_file():
                found = summary(run)
            elif run.name == "0":
                found = summary(run)
                found = found and replace(found, path=whole, model="mixture", parameters=None, loss={}, state="stopped")
            else:
                continue
            if found:
                yield found
        except InputError as error:
            yield error


def summary(folder: Path) -> Summary | None:
    """Return the summary of a run, or None if the folder is not one. Raises InputError if its files are damaged."""
    try:
        check_files(folder)
    except InputError:
        if written_at(folder / HISTORY):
            raise
        return None
    try:
        stored = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        if written_at(folder / HISTORY):  # the folder of a run
            raise damaged(folder, CONFIG, error) from None
        return None
    if not isinstance(stored, dict):
        return None
    if missing := [name for name in ("format", "model", "train_options") if name not in stored]:
        if written_at(folder / HISTORY):
            raise damaged(folder, CONFIG, KeyError(missing[0]))
        return None
    history, when = load_history(folder), written_at(folder / MODEL) or written_at(folder / CHECKPOINT)
    if when is None:
        raise damaged(folder, MODEL, "missing")
    name = CONFIG
    try:
        options, model = stored["train_options"], stored["model"]
        if not isinstance(model, str):
            raise TypeError("the model is no name")
        loss = {part: float(x) for part, x in stored.get("loss", {}).items()}
        parameters = None if "parameters" not in stored else int(stored["parameters"])
        state = state_of(folder, history, options["steps"])
        if not loss:
            name = HISTORY
            vals = [float(line["val"]) for line in history if line.get("val") is not None]
            finite = list(filter(math.isfinite, vals))
            loss = {"val": min(finite) if options["keep"] == "best" else finite[-1]} if finite else {}
        loss = {part: x for part, x in loss.items() if math.isfinite(x)}
        if state == "finished" and history and "val" in loss:
            last = [loss["val"], *(x for x in [history[-1].get("train")] if x is not None)]
            random = math.log(len(stored.get("vocab", "")) + 1)  # the loss of equally likely tokens
            state = "diverged" if min(last) >= random > 0 else state
        return Summary(folder, str(stored.get("list", "")), model, parameters, loss, when, state)
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
        raise damaged(folder, name, error) from None
