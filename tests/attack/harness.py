"""Harness of the attacks: a seed, a count, a time limit for each try, and a summary as JSON.

    python tests/attack/runs.py --seed 1 --tries 10000

A try is a function of a `random.Random` and a folder. It succeeds if it returns a short text, the outcome, or raises a
MoreishError of one line. It fails if it raises anything else or takes longer than its limit. Each try has its own
generator, `Generator(seed, number)`, so one failed try can be repeated alone with --first.
"""

import argparse
import faulthandler
import json
import math
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moreish import MoreishError

SECONDS = 60  # limit of a try, of processor time
WAITS = 5  # times as many may pass by the clock, on a machine that is shared
ADDRESSES = 12 << 30  # bytes that a process may map; it uses a small part of them

WRITTEN = 1 << 29  # bytes that a file may have


class TooSlow(BaseException):  # which no `except Exception` on the way catches
    """A try that has passed its limit."""


class Generator(random.Random):
    """The random numbers of a try."""

    def __init__(self, seed: int, number: int):
        super().__init__(f"{seed} {number}")
        self.number = number


Try = Callable[[Generator, Path], str]


@dataclass
class Summary:
    """Results of an attack: numbers of tries by outcome, and the failures, each with its seed and number."""

    attack: str
    seed: int
    tries: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    megabytes_halfway: float = 0.0  # that the process has grown by, at the middle
    megabytes: float = 0.0  # and at the end

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "outcomes": dict(self.outcomes.most_common()), "failures": len(self.failures)}


def attack(
    name: str,
    one: Try,
    *,
    seed: int = 1,
    tries: int = 100,
    first: int = 0,
    seconds: int = SECONDS,
    minutes: float = math.inf,
    megabytes: Callable[[], float] | None = None,
) -> Summary:
    """Make the tries number first, first + 1, ..., each in an empty folder, and return their summary.

    seconds     limit of a try
    minutes     after which no try begins
    megabytes   see `main`
    """
    megabytes = megabytes or _megabytes
    found, began, before = Summary(name, seed), time.monotonic(), megabytes()
    folder = Path(tempfile.mkdtemp(prefix="attack-"))
    for number in range(first, first + tries):
        if found.seconds >= minutes * 60:
            break
        try:
            with limited(seconds):
                outcome = one(Generator(seed, number), folder)
        except MoreishError as error:
            outcome, failed = "refused", None if is_one_line(str(error)) else f"not one line: {error}"
        except (Exception, TooSlow):
            outcome, failed = "failed", traceback.format_exc()
        else:
            failed = None
        folder = emptied(folder)
        found.tries += 1
        found.outcomes[outcome] += 1
        if failed is not None:
            found.failures.append({"number": number, "why": failed})
        if found.tries == tries // 2:
            found.megabytes_halfway = round(megabytes() - before, 1)
        found.seconds = round(time.monotonic() - began, 1)
    faulthandler.cancel_dump_traceback_later()
    shutil.rmtree(folder, ignore_errors=True)
    found.megabytes = round(megabytes() - before, 1)
    return found


def emptied(folder: Path) -> Path:
    """Return a folder with nothing in it: this one, without its files, or another one if a file resists."""
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()
    return Path(tempfile.mkdtemp(prefix="attack-")) if any(folder.iterdir()) else folder


class limited:
    """A context that raises TooSlow after some seconds of processor time, or WAITS times as many by the clock.

    Code that never returns to Python is killed later.
    """

    armed = 0.0  # when the killer was started, which takes a millisecond

    def __init__(self, seconds: int):
        self.seconds = seconds

    def __enter__(self) -> None:
        def stop(*_: object) -> None:
            raise TooSlow(f"over {self.seconds} s")

        self.before = [(which, signal.signal(which, stop)) for which in (signal.SIGALRM, signal.SIGPROF)]
        signal.setitimer(signal.ITIMER_PROF, self.seconds)
        signal.alarm(WAITS * self.seconds)
        if time.monotonic() > limited.armed + self.seconds:
            faulthandler.dump_traceback_later(2 * WAITS * self.seconds, exit=True)
            limited.armed = time.monotonic()

    def __exit__(self, *_: object) -> None:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.alarm(0)
        for which, before in self.before:
            signal.signal(which, before)


def is_one_line(message: str) -> bool:
    return len(message.splitlines()) == 1 and "Traceback" not in message


def command(*arguments: object, timeout: int = SECONDS, **more: Any) -> subprocess.CompletedProcess[bytes]:
    """Run `moreish` in another process; an exit status that is not 0, 1, 2 or 130, or a traceback, is a failure."""
    more.setdefault("stdin", subprocess.DEVNULL)
    line = [sys.executable, "-m", "moreish", *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, timeout=timeout, **more)
    assert done.returncode in (0, 1, 2, 130), (arguments, done.returncode, done.stderr)
    assert b"Traceback" not in done.stderr, (arguments, done.stderr)
    if done.returncode:
        assert done.stderr.strip(), f"status {done.returncode} without a word: {arguments}"
    return done


def main(
    name: str,
    one: Try,
    *,
    tries: int,
    seconds: int = SECONDS,
    prepare: Callable[[], object] = lambda: None,
    megabytes: Callable[[], float] | None = None,
) -> None:
    """Run an attack from the command line, and end with status 1 if a try has failed.

    prepare     makes what all tries need, such as compiled kernels, which takes as long as it takes
    megabytes   reads the memory of the process that is attacked; None for the largest that this one has had
    """
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--tries", type=int, default=tries)
    parser.add_argument("--first", type=int, default=0, help="number of the first try, to repeat one that has failed")
    parser.add_argument("--minutes", type=float, default=math.inf, help="after these, no try begins")
    parser.add_argument("--out", type=Path, help="add the summary to this JSON file")
    given = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (ADDRESSES, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (WRITTEN, resource.RLIM_INFINITY))
    prepare()
    how = {"tries": given.tries, "first": given.first, "minutes": given.minutes}
    found = attack(name, one, seed=given.seed, seconds=seconds, megabytes=megabytes, **how)
    for failure in found.failures[:20]:
        print(f"--- try {failure['number']} of seed {found.seed}\n{failure['why']}", file=sys.stderr)
    summary = json.dumps(found.as_json(), indent=2, ensure_ascii=False)
    print(summary)
    if given.out:
        others = json.loads(given.out.read_text(encoding="utf-8")) if given.out.exists() else {}
        written = json.dumps({**others, name: found.as_json()}, indent=1, ensure_ascii=False)
        given.out.write_text(written + "\n", encoding="utf-8")
    sys.exit(bool(found.failures))


def _megabytes() -> float:
    """Return the largest memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 10 if sys.platform == "linux" else 1 << 20)


def files_in(folder: Path) -> dict[str, bytes]:
    """Return the bytes of all regular files below a folder, by their paths in it."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def made_up(generator: random.Random, n: int = 120, alphabet: str = "abcdefg") -> list[str]:
    """Return n random words of two to seven characters."""
    return ["".join(generator.choices(alphabet, k=generator.randint(2, 7))) for _ in range(n)]


def is_root() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0
