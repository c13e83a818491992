"""The list and the options that `moreish train` was given, for commands that repeat them and for folders of runs."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..corpus.formats import list_name
from ..files import STANDARD_INPUT
from ..training.folder import free_folder
from ..training.train import OF_ALL_MODELS
from .lr_find import train_command


@dataclass(frozen=True)
class Request:
    """The arguments of a training.

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

    def of(self, model: str | None) -> "Request":
        """Return the request for another model, or for none, without the options that it may not have."""
        kept = {name: value for name, value in self.options.items() if name in OF_ALL_MODELS}
        return Request(self.file, model, self.list_options, kept)

    def folder(self, model: str) -> Path:
        """Return a free folder for a run: runs/LIST-MODEL, or runs/LIST-MODEL-2, -3, ..."""
        return free_folder(folder_of(self.file, model))


def folder_of(file: str | None, kind: str) -> Path:
    """Return the folder runs/LIST-KIND."""
    name = "names" if file is None else "words" if file == STANDARD_INPUT else list_name(file)
    return Path("runs") / f"{name}-{kind}"
