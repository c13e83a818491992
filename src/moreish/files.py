"""Writing files so that a crash at any instant leaves the old one or the new one, whole."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path

from .errors import WorkError

STANDARD_INPUT = "standard input"  # what errors call it, and what - stands for on the command line


def write_atomically(path: Path, data: bytes | Iterable[bytes]) -> None:
    """Write data, or pieces of it, under another name, flush to the disk, rename.

    Raises WorkError if it fails; the old file then stays.
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
        raise WorkError(f"{path}: cannot be written ({error.strerror}); what was saved before is intact") from error
