"""Places that cannot be written, and damaged caches: one clear line, or the work is done without them.

A file may not grow beyond a size, as with a quota; output goes to a full device; folders are read-only, or files; there
is no HOME; and compiled code on disk is cut, changed, emptied, filled with noise or removed, after which the same words
must be sampled.
"""

import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from harness import command, made_up, main

import moreish
from moreish.engine.tape.cache import cache_folder

SECONDS = 300  # limit of a try: it may have to compile everything


@cache
def home() -> Path:
    """A folder with a list, a small run, and a cache of what sampling from it needs."""
    folder = Path(tempfile.mkdtemp(prefix="disks-"))
    words = made_up(random.Random(0))
    (folder / "list.txt").write_text("\n".join(words))
    moreish.train(words, "mlp", steps=20, n_hidden=8, out=folder / "run")
    kernels = cache_folder()
    assert kernels is not None
    shutil.copytree(kernels, folder / "cache" / "moreish" / kernels.name)
    return folder


def sample(folder: Path, **more: Any) -> bytes:
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), **more}
    done = command("sample", home() / "run", env=environment, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


@cache
def expected() -> bytes:
    return sample(home())


def damaged_cache(r: random.Random, folder: Path) -> str:
    """Damage files of a copy of the cache; the words must be the same, and no traceback be printed."""
    shutil.copytree(home() / "cache", folder / "cache")
    files = sorted(path for path in (folder / "cache").rglob("*") if path.is_file())
    assert files, "no cache to damage"
    kind = r.choice(["cut", "noise", "bytes", "empty", "removed", "folder"])
    for path in r.sample(files, r.choice([1, 3, len(files)])):
        data = path.read_bytes()
        match kind:
            case "cut":
                path.write_bytes(data[: r.randrange(len(data))])
            case "noise":
                path.write_bytes(r.randbytes(len(data)))
            case "bytes":
                changed = bytearray(data)
                for _ in range(r.choice([1, 3, 100])):
                    changed[r.randrange(len(data))] ^= r.randint(1, 255)
                path.write_bytes(changed)
            case "empty":
                path.write_bytes(b"")
            case "removed":
                path.unlink()
            case _:
                path.unlink()
                path.mkdir()
    assert sample(folder) == expected()
    return f"cache {kind}"


def quota(r: random.Random, folder: Path) -> str:
    """Train where no file may grow beyond a size; what is left is no run, or a run that loads."""
    size = r.choice([0, 100, 1000, 3000, 10_000, 1 << 20])

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    line = ["train", home() / "list.txt", "--model", r.choice(["ngram", "bigram", "mlp"]), "--steps", 50]
    line = line[:-2] if "ngram" in line else line
    done = command(*line, "--out", folder / "run", cwd=folder, preexec_fn=limit, timeout=SECONDS)
    assert done.returncode == 0 or b"cannot be written" in done.stderr or b"File too large" in done.stderr, done.stderr
    if (folder / "run" / "config.json").exists():
        moreish.load(folder / "run").model.sample(3)
    return f"quota, status {done.returncode}"


def full(r: random.Random, folder: Path) -> str:
    """Write to a device that is full."""
    line = r.choice((["sample", home() / "run"], ["words", home() / "list.txt"], ["score", home() / "run", "abba"]))
    program = 'exec "$0" -m moreish "$@" > /dev/full'
    words = ["/bin/sh", "-c", program, sys.executable, *map(str, line)]
    done = subprocess.run(words, capture_output=True, timeout=SECONDS)
    assert done.returncode == 1, (line, done.returncode, done.stderr)
    assert b"Traceback" not in done.stderr
    assert b"No space left" in done.stderr, done.stderr
    return "full"


def unwritable(r: random.Random, folder: Path) -> str:
    """Write where nothing can be written."""
    (folder / "file").write_text("")
    out = r.choice(
        ["/proc/moreish", "/sys/moreish/run", "/dev/null/run", folder / "file", folder / "file" / "run", "\x01" * 300]
    )
    line = r.choice(
        (
            ["train", home() / "list.txt", "--model", "ngram", "--out", out],
            ["mix", home() / "run", home() / "run", "--out", out],
            ["export", home() / "run", "--to", "html", "--out", out],
            ["words", home() / "list.txt", "--clean", out],
        )
    )
    done = command(*line, cwd=folder, timeout=SECONDS)
    assert done.returncode in (1, 2), (line, done)
    assert (folder / "file").read_text() == ""
    return "unwritable"


def no_home(r: random.Random, folder: Path) -> str:
    """Sample without HOME and without a folder for the cache that can be written."""
    place = r.choice(["/nonexistent", "/proc", "", "relative"])
    where = {"HOME": place, "XDG_CACHE_HOME": place, "TMPDIR": str(folder)}
    assert sample(home(), **where) == expected()
    return "no home"


KINDS: tuple[Callable[[random.Random, Path], str], ...] = (damaged_cache, quota, full, unwritable, no_home)


def one(r: random.Random, folder: Path) -> str:
    return r.choice(KINDS)(r, folder)


if __name__ == "__main__":
    main("disks", one, tries=300, seconds=SECONDS, prepare=expected)
