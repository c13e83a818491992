"""Sessions of a lab for tests, and how to wait for them."""

import contextlib
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from conftest import made_up_words

from moreish.cli.lr_find import train_command
from moreish.corpus import WordList
from moreish.lab import Session

SMALL: dict[str, Any] = {"n_hidden": 16, "n_embd": 4, "steps": 120, "batch_size": 16}


def listed() -> WordList:
    """The list "own": 200 made-up words."""
    words = WordList.of(made_up_words(200))
    words.name = "own"
    return words


@contextlib.contextmanager
def opened_session(folder: Path) -> Generator[Session]:
    """A session with the list "own", as if it came from a file in a folder; it saves runs there too."""

    def free(file: str | None, model: str) -> Path:
        return folder / f"{Path(file or 'names').stem}-{model}"

    session = Session(command=train_command, folder=free)
    try:
        session.add_list(listed(), str(folder / "own.txt"))
        yield session
    finally:
        session.close()


@contextlib.contextmanager
def paused_session(folder: Path) -> Generator[Session]:
    """The same before the first step of a small mlp."""
    with opened_session(folder) as session:
        training = session.configure("own", "mlp", SMALL, play=False)
        until(lambda: session.trainer.status.training == training)
        yield session


def until(what: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something is true."""
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, "it takes too long"
        time.sleep(0.005)


def until_ended(session: Session, training: int) -> None:
    """Wait until a training has ended and its losses are known."""
    until(lambda: session.trainer.status.training == training and session.trainer.status.losses is not None)
