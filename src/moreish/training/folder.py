"""The files of a run folder: their names, the beginning of a folder, what a killed beginning leaves, and links.

words.txt               the word list
columns.safetensors     the weights and labels of the words, if the list has any
history.jsonl           a line for each point of the log: step, seconds so far, lr, train and val loss in nats, some
                        batch losses since the last point, with --average the val losses of the weights and of their
                        average, and with --diagnostics the statistics of the layers
checkpoint.safetensors  the state of an unfinished training: see `Checkpoint`
teacher.safetensors     what an unfinished distillation learns from: see `Teacher`
ngram.safetensors       the n-gram inside a net whose training is unfinished
model.safetensors       the weights by name, once the training has ended
start.safetensors       the weights that the training began with, if they come from another run
config.json             model, options, vocabulary, split, data hash, versions
beginning.txt           says that a run begins here, until config.json is there

Every file is replaced as a whole, and config.json is written last. A folder that has a config.json is a run: it loads,
and it resumes if its training has not ended.
"""

import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ..errors import InputError, WorkError
from ..files import alone_in, remove, write_atomically
from .checkpoint import CHECKPOINT, damaged
from .teacher import TEACHER

CONFIG, PLAN, WORDS, COLUMNS, MODEL, HISTORY, START, INSIDE = (
    "config.json",
    "plan.json",
    "words.txt",
    "columns.safetensors",
    "model.safetensors",
    "history.jsonl",
    "start.safetensors",
    "ngram.safetensors",
)
FORMAT = 2  # of the folder; raised by a change that older versions cannot read
MEMBERS = "members"  # folder of the members of an unfinished ensemble
BEGINNING = "beginning.txt"  # there until config.json is, so that what a kill leaves is known to be ours
FILES = (CONFIG, PLAN, WORDS, COLUMNS, HISTORY, CHECKPOINT, MODEL, START, TEACHER, INSIDE, BEGINNING)
OURS = {MEMBERS, *FILES, *(f"{name}.part" for name in FILES)}
EXPLAINED = b"A run begins in this folder. If there is no config.json, it was killed, and another may begin here.\n"


@contextmanager
def new_folder(path: str | Path) -> Generator[Callable[[], bool]]:
    """Make the folder of a run, with no other process in it, and yield what `alone_in` yields.

    What a killed beginning has left is removed.

    Raises InputError if the folder holds something else or cannot be created, and WorkError if it cannot be written.
    If no run has begun in it at the end, nothing is left behind.
    """
    folder = Path(path)
    made = _make(folder)
    with alone_in(folder) as is_there:
        check_free(folder)  # again: another process may have been faster
        if any(folder.iterdir()):
            _remove_files(folder)
        try:
            write_atomically(folder / BEGINNING, EXPLAINED)
            yield is_there
        finally:
            if is_there():  # else it may be somebody else's
                if has_begun(folder):
                    remove(folder / BEGINNING)
                else:
                    discard_folder(folder, made)


def _make(folder: Path) -> bool:
    """Make a folder, unless it is there and free; return True if it was made."""
    check_free(folder)
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=not made)
    except FileExistsError:
        raise InputError(f"{folder}: another process has just made it: choose another folder (--out)") from None
    except OSError as error:
        raise InputError(f"{folder}: cannot be created ({error.strerror}): choose another folder (--out)") from None
    return made


def check_free(path: str | Path) -> None:
    """Raise InputError unless a run can be saved in a folder: it does not exist or is empty, or `is_left_over`."""
    folder = Path(path)
    try:
        if folder.is_symlink() and not folder.exists():
            raise InputError(f"{folder} is a link that leads nowhere: choose another folder (--out)")
        if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())) or is_left_over(folder):
            return
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror}): choose another folder (--out)") from None
    what = "already exists and is not empty" if folder.is_dir() else "is not a folder"
    what = "already holds a run" if (folder / CONFIG).exists() or (folder / PLAN).exists() else what
    raise InputError(f"{folder} {what}: choose another folder (--out)")


def free_folder(wanted: Path) -> Path:
    """Return a folder in which a run can be saved: the wanted one, or its name with -2, -3, ..."""
    number, folder = 1, wanted
    while True:
        with suppress(InputError):
            check_free(folder)
            return folder
        number += 1
        folder = wanted.with_name(f"{wanted.name}-{number}")


def has_begun(folder: Path) -> bool:
    """True if a folder has a run, or the run of a member of an ensemble."""
    return (folder / CONFIG).exists() or any((folder / MEMBERS).glob(f"*/{CONFIG}"))


def is_left_over(folder: Path) -> bool:
    """True if a folder has nothing but the beginning of a run, which was killed before there was a run."""
    if not folder.is_dir() or has_begun(folder):
        return False
    names = [path.name for path in folder.iterdir()]
    if not (folder / BEGINNING).is_file() and names != [f"{BEGINNING}.part"]:  # killed at its first write
        return False
    return all(
        not path.is_symlink() and (path.name in OURS or (path.is_dir() and path.name.isdecimal()))
        for path in folder.rglob("*")
    )


def discard_folder(folder: Path, made: bool = True) -> None:
    """Remove the files of a run that could not begin, and the folder if it was made for this run."""
    with suppress(OSError, WorkError):
        _remove_files(folder)
        if made:
            folder.rmdir()


def _remove_files(folder: Path) -> None:
    """Remove all files of a run; the one that says that they are ours is the last."""
    shutil.rmtree(folder / MEMBERS, ignore_errors=True)
    for name in FILES:
        remove(folder / f"{name}.part", folder / name)


def check_files(folder: Path) -> None:
    """Raise InputError for a file of a run that is a device or a pipe, or a link out of the folder."""
    for path in (*(folder / name for name in FILES), folder / MEMBERS, *(folder / MEMBERS).glob("*")):
        if path.exists() and path.name in FILES and not path.is_file():
            raise damaged(folder, path.name, "it is no regular file")
        check_inside(path, folder)


def check_inside(path: Path, folder: Path) -> None:
    """Raise InputError if a path in a run folder is a link that leads out of it."""
    if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise InputError(f"{path}: a link out of the folder of the run: replace it by a copy of what it leads to")


def state_of(folder: Path, history: list[dict[str, Any]], steps: int | None) -> str:
    """State of a training: "stopped" before its end, "diverged" if the log ends before the last step, or "finished"."""
    if not (folder / MODEL).exists():
        return "stopped"
    done = history[-1]["step"] if history else 0
    return "diverged" if done < (steps or 0) else "finished"
