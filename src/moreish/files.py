"""Standard input, and files that are written whole: a crash leaves the complete old or new file."""

import contextlib
import os
import sys
from collections.abc import Callable, Generator, Iterable
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from .errors import InputError, WorkError

STANDARD_INPUT = "standard input"  # its name in errors; - on the command line


def standard_input() -> BinaryIO:
    """Return standard input, in bytes. Raises InputError if it is closed."""
    if sys.stdin is None:  # pyright: ignore[reportUnnecessaryComparison]
        raise InputError(f"{STANDARD_INPUT} is closed: give it a file with < FILE, or the output of a program with |")
    return sys.stdin.buffer


def user_cache() -> Path:
    """Return the folder in which this user's lists and counts are kept; it may not exist."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("moreish"))


def written_at(path: Path) -> datetime | None:
    """Return the local time at which a file was written, or None if it cannot be found."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    except (OSError, ValueError, OverflowError):  # missing, or far from our time
        return None


@contextlib.contextmanager
def alone_in(folder: Path | None, wait: bool = False) -> Generator[Callable[[], bool]]:
    """Keep other processes from working in a folder, where the system can lock one; None is no folder.

    Yields a function that tells if the path still leads to this folder, which somebody may move, remove or replace.
    Raises InputError if another process works in it, unless that is waited for, or if it cannot be opened. The lock
    ends with the process, however that ends.
    """
    if folder is None or sys.platform == "win32":
        yield lambda: folder is None or folder.is_dir()
        return
    import fcntl

    try:
        opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise InputError(f"{folder}: cannot be opened ({error.strerror}): was it moved or deleted?") from None

    def is_there() -> bool:
        try:
            return os.path.samestat(os.fstat(opened), folder.stat())
        except OSError:
            return False

    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise InputError(f"{folder}: another process is training this run", "wait for it, or stop it") from None
        except OSError:  # a file system without locks
            pass
        yield is_there
    finally:
        os.close(opened)


def remove(*files: Path) -> None:
    """Remove files that are there. Raises WorkError if one cannot be removed."""
    for path in files:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise WorkError(f"{path}: cannot be removed ({error.strerror})") from error


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write data to a temporary file, flush it to disk, and rename it to `path`.

    Links are replaced, not followed. Raises WorkError if that fails; the old file then stays.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        temporary.unlink(missing_ok=True)  # a kill has left it, or it leads elsewhere
        with temporary.open("xb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise WorkError(f"{path}: cannot be written ({error.strerror}); files saved earlier are intact") from error
        raise
