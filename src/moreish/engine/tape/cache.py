"""The folder of compiled code on disk: where it is, and whose files are trusted."""

import hashlib
import logging
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

log = logging.getLogger("moreish")
PACKAGE = Path(__file__).parents[2]
BESIDE = Path(__file__).parent / "__pycache__"
OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def _source_hash() -> str:
    """A name for the exact sources that are compiled, so that stale machine code is never loaded.

    All compiled code is in files that mention `jit` or `kernel`, our decorators, in any folder of the package.
    """
    sources = (path.read_bytes() for path in sorted(PACKAGE.rglob("*.py")))
    return hashlib.sha256(b"".join(s for s in sources if b"jit" in s or b"kernel" in s)).hexdigest()[:12]


@cache
def cache_folder() -> Path | None:
    """The folder of compiled code for these sources; None if no folder can be written.

    It is in the folder that NUMBA_CACHE_DIR names, else beside this file, else in the user's cache folder, and as the
    last resort in a private folder of the temporary folder. Folders for other sources are removed.
    """
    name = f"kernels-{_source_hash()}"
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    parents = [Path(chosen) / "moreish"] if chosen else []
    parents += [BESIDE, Path(platformdirs.user_cache_dir("moreish"))]
    for parent in parents:
        if folder := _writable(parent, name):
            return folder
    if (parent := private_folder()) and (folder := _writable(parent, name)):
        if not any(folder.iterdir()):
            log.info("compiled kernels are kept in %s: to choose another folder, set NUMBA_CACHE_DIR", folder)
        return folder
    log.warning(
        "no writable folder for compiled kernels, so every process compiles them again: name a folder of your own with "
        "NUMBA_CACHE_DIR"
    )
    return None


def _writable(parent: Path, name: str) -> Path | None:
    """Make a folder in another one and remove those for other sources; None if it cannot be written."""
    folder = parent / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / "probe"
        probe.touch()
        probe.unlink(missing_ok=True)  # another process may have just removed its own
    except OSError:
        return None
    for old in parent.glob("kernels-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def private_folder() -> Path | None:
    """Make a folder of this user in the temporary folder, or find it; None if others may have put something there.

    What is in it is run, so nobody else may be able to write to it or to replace it: it must be a real folder of this
    user, in a folder of this user or of root in which others cannot rename it. On Windows each user has a temporary
    folder that others cannot write to.
    """
    try:
        home = Path(tempfile.gettempdir()).resolve()
        if sys.platform == "win32":
            return home / "moreish"
        user = os.getuid()
        folder = home / f"moreish-{user}"
        folder.mkdir(mode=0o700, exist_ok=True)
        outside, inside = home.stat(), folder.lstat()
    except OSError:
        return None
    keeps = outside.st_uid in (0, user) and (outside.st_mode & stat.S_ISVTX or not outside.st_mode & OTHERS_WRITE)
    own = stat.S_ISDIR(inside.st_mode) and inside.st_uid == user and not inside.st_mode & OTHERS_WRITE
    return folder if keeps and own else None


@contextmanager
def disk_cache(folder: Path | None) -> Generator[None]:
    """Make Numba cache compiled code in `folder`."""
    import numba.core.config

    config: Any = numba.core.config
    before, config.CACHE_DIR = config.CACHE_DIR, str(folder or "")
    try:
        yield
    finally:
        config.CACHE_DIR = before
