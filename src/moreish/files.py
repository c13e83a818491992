"""Standard input, and files that are written whole: a crash leaves the complete old or new file."""

import contextlib
import os
import sys
from collections.abc import Generator, Iterable
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


def written_at(path: Path) -> datetime | None:
    """Return the local time at which a file was written, or None if it cannot be found."""
    try:
        return datetime.fromtimestamp(path.stat().st_mtime).astimezone()
    except (OSError, ValueError, OverflowError):  # missing, or far from our time
        return None


@contextlib.contextmanager
def alone_in(folder: Path | None) -> Generator[None]:
    """Keep other processes from working in a folder, where the system can lock one; None is no folder.

    Raises InputError if another process does. The lock ends with the process, however that ends.
    """
    if folder is None or sys.platform == "win32":
        yield
        return
    import fcntl

    opened = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InputError(f"{folder}: another process is training this run", "wait for it, or stop it") from None
        except OSError:  # a file system without locks
            pass
        yield
    finally:
        os.close(opened)


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write data to a temporary file, flush it to disk, and rename it to `path`.

    Raises WorkError if that fails; the old file then stays.
    """
    temporary = path.with_name(path.name + ".part")
    try:
        with temporary.open("wb") as file:
            file.writelines([data] if isinstance(data, bytes) else data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise WorkError(f"{path}: cannot be written ({error.strerror}); files saved earlier are intact") from error
