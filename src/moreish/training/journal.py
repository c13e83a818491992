"""The journal of a study: Optuna's record of its trials, one line of JSON for each change, in a file.

A line that a kill or a full disk has cut is left out. Other damage, and a folder that is taken away, end the study with
one error.
"""

import json
import logging
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from ..errors import InputError, MoreishError, WorkError
from ..files import write_atomically

LOG = logging.getLogger("moreish")
LOCK_SECONDS = 5  # a process holds the lock for milliseconds; after this, it was killed meanwhile


class Journal(JournalFileBackend):
    """A journal that tells what is wrong with its file.

    Raises InputError if a line is damaged, and OSError if the file cannot be made or read.

    error   what ended the last access; Optuna may raise another error instead
    """

    error: MoreishError | None = None

    def __init__(self, path: Path):
        self.path, self.line = path, 0
        super().__init__(str(path), _Lock(path))
        self.folder = path.parent.stat()
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.endswith(b"\n"):  # else it is the last one, which was cut or is being written
                    self._check(number, line)

    def _check(self, number: int, line: bytes) -> None:
        try:
            log = json.loads(line)
        except (ValueError, RecursionError):
            raise self.damaged(number, "no JSON") from None
        if not isinstance(log, dict) or type(log.get("op_code")) is not int or type(log.get("worker_id")) is not str:
            raise self.damaged(number, "no change of a study")

    def damaged(self, line: int, why: object) -> InputError:
        """Return the error for a damaged line."""
        reason = f"{self.path} is damaged at line {line} ({' '.join(str(why).split())})"
        return InputError(reason, "restore it from a copy, or choose another folder (--out)")

    def check_there(self) -> None:
        """Raise WorkError if the path no longer leads to the folder in which the study began."""
        try:
            there = self.path.exists() and os.path.samestat(self.folder, self.path.parent.stat())
        except OSError:
            there = False
        if not there:
            raise WorkError(
                f"{self.path.parent} was moved, deleted or replaced during the study: the trial in progress is lost; "
                "if the folder was moved, its new name as --out continues the study, and else it must start again"
            )

    @contextmanager
    def _told(self) -> Generator[None]:
        """Keep and raise the error of an access to the file, as one of ours."""
        try:
            self.check_there()
            yield
        except (MoreishError, OSError, ValueError, RuntimeError) as error:
            self.error = self._of(error)
            raise self.error from None

    def _of(self, error: Exception) -> MoreishError:
        try:
            self.check_there()
        except WorkError as lost:
            return lost
        if isinstance(error, MoreishError):
            return error
        if isinstance(error, OSError):
            return WorkError(f"{self.path}: cannot be read or written ({error.strerror})")
        if isinstance(error, ValueError):
            return self.damaged(self.line + 1, error)
        return WorkError(f"{self.path}: its lock was removed by somebody else ({error}): start the same command again")

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        with self._told():
            super().append_logs(logs)

    def read_logs(self, log_number_from: int) -> Generator[dict[str, Any]]:
        with self._told():
            self.line = log_number_from
            for log in super().read_logs(log_number_from):
                self.line += 1
                yield log


class _Lock(JournalFileOpenLock):
    """The lock that a process holds while it adds lines. A last line without an end is of no living process."""

    def __init__(self, path: Path):
        super().__init__(str(path), grace_period=LOCK_SECONDS)
        self.path = path

    def acquire(self) -> bool:
        super().acquire()
        try:
            self._drop_cut_line()
        except BaseException:
            self.release()
            raise
        return True

    def _drop_cut_line(self) -> None:
        with self.path.open("rb") as file:
            if not file.seek(0, os.SEEK_END):
                return
            file.seek(-1, os.SEEK_END)
            if file.read() == b"\n":
                return
            file.seek(0)
            whole, end, _ = file.read().rpartition(b"\n")
        write_atomically(self.path, whole + end)
        LOG.warning(f"{self.path}: the last line was cut while it was written, and is left out")
