"""What `moreish train` was asked: the list and the options, for commands that repeat them and for folders of runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..files import STANDARD_INPUT
from ..training.train import OF_ALL_MODELS
from .lr_find import train_command


@dataclass(frozen=True)
class Request:
    """What was asked for.

    file, model     None for the default list and model
    list_options    how to read the list
    options         of the model and of its training
    """

    file: str | None
    model: str | None
    list_options: dict[str, Any]
    options: dict[str, Any]

    def command(self, **more: Any) -> str:
        """Return the command with more options, or with other values for them."""
        piped = "... | " if self.file == STANDARD_INPUT else ""
        return piped + train_command(self.file, self.model, {**self.list_options, **self.options, **more})

    def of(self, model: str) -> "Request":
        """Return the request for another model, without the options that it may not have."""
        kept = {name: value for name, value in self.options.items() if name in OF_ALL_MODELS}
        return Request(self.file, model, self.list_options, kept)

    def folder(self, model: str) -> Path:
        """Return the folder in which a run of a model on the list would be saved."""
        return new_folder(self.file, model)


def list_name(file: str | None) -> str:
    """Return the name of a word list, for the folders of its runs."""
    return "names" if file is None else "words" if file == STANDARD_INPUT else Path(file).stem


def new_folder(file: str | None, model: str) -> Path:
    """Return a folder in runs/ that does not exist yet: runs/LIST-MODEL, runs/LIST-MODEL-2, runs/LIST-MODEL-3, ..."""
    base = Path("runs") / f"{list_name(file)}-{model}"
    number, folder = 1, base
    while folder.exists():
        number += 1
        folder = base.with_name(f"{base.name}-{number}")
    return folder
