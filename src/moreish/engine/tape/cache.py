"""The folder of compiled code on disk: where it is, whose files are trusted, and which of them are damaged."""

import hashlib
import logging
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
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
    """The folder of compiled code for these sources; None if no private folder can be written.

    It is in the folder that NUMBA_CACHE_DIR names, else beside this file, else in the user's cache folder, and as the
    last resort in the temporary folder. Folders for other sources are removed. Numba's files are pickles with machine
    code, so a folder that others can write to is not used.
    """
    name = f"kernels-{_source_hash()}"
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    parents = [Path(chosen) / "moreish"] if chosen else []
    parents += [BESIDE, Path(platformdirs.user_cache_dir("moreish"))]
    for parent in parents:
        if folder := _own(parent, name):
            return _without_others(folder)
        if chosen and parent == parents[0]:
            log.warning("compiled kernels are not kept in %s: it cannot be written, or others can write to it", chosen)
    home = Path(tempfile.gettempdir()).resolve()
    name_of_user = "moreish" if sys.platform == "win32" else f"moreish-{os.getuid()}"
    if (parent := _own(home, name_of_user)) and (folder := _own(parent, name)):
        if not any(folder.iterdir()):
            log.info("compiled kernels are kept in %s: to choose another folder, set NUMBA_CACHE_DIR", folder)
        return _without_others(folder)
    log.warning(
        "no private folder for compiled kernels can be written, so every process compiles them again: name a folder of "
        "your own with NUMBA_CACHE_DIR"
    )
    return None


def _own(parent: Path, name: str) -> Path | None:
    """Make a private folder in another one, or find it; None if it cannot be written, or if others can write to it."""
    folder = parent / name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        if not _private(folder):
            return None
        probe = folder / "probe"
        probe.touch()
        probe.unlink(missing_ok=True)  # another process may have just removed its own
    except OSError:
        return None
    return folder


def _without_others(folder: Path) -> Path:
    """Remove the folders for other sources that are beside a folder, and return it."""
    for old in folder.parent.glob("kernels-*"):
        if old != folder:
            shutil.rmtree(old, ignore_errors=True)
    return folder


def _private(folder: Path) -> bool:
    """True for a real folder of this user that nobody else can write to, or replace in the folder that it is in.

    The outer folder is of this user or of root, and others cannot rename what is in it. Its group is trusted, as many
    systems give each user a group. On Windows, nobody else can write to the folders of a user.
    """
    if sys.platform == "win32":
        return True
    inside, outside, users = folder.lstat(), folder.parent.stat(), (0, os.getuid())
    own = stat.S_ISDIR(inside.st_mode) and inside.st_uid == os.getuid() and not inside.st_mode & OTHERS_WRITE
    return (
        own and outside.st_uid in users and bool(outside.st_mode & stat.S_ISVTX or not outside.st_mode & stat.S_IWOTH)
    )


def seal(files: Sequence[Path]) -> None:
    """Keep the digest of files of the cache in a file beside them, so that damage is noticed: see `intact`."""
    place = _seal_of(files)
    written = place.with_suffix(f".{os.getpid()}.part")
    with suppress(OSError):  # without a seal, they are compiled again
        written.write_text(_digest(files))
        written.replace(place)


def intact(files: Sequence[Path]) -> bool:
    """True if files of the cache have the bytes that they were sealed with. Damaged files are removed.

    Numba would run whatever is in them.
    """
    if not files:
        return False
    place = _seal_of(files)
    with suppress(OSError, UnicodeError):
        if all(stat.S_ISREG(path.lstat().st_mode) for path in (*files, place)):  # a pipe would never end
            if place.read_text() == _digest(files):
                return True
            _warn_of_damage(place.parents[2])
    for path in (*files, place):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            with suppress(OSError):
                path.unlink(missing_ok=True)
    return False


@cache
def _warn_of_damage(folder: Path) -> None:
    """Say once that code is compiled again."""
    log.warning("compiled code in %s has changed since it was written: compiling it again", folder)


def _seal_of(files: Sequence[Path]) -> Path:
    return files[0].parent / (files[0].name.rpartition(".py")[0] + ".sha256")


def _digest(files: Sequence[Path]) -> str:
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()


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
