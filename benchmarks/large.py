"""What a list on the disk takes: seconds, memory and disk of each part of the work, for lists of made-up words.

    python benchmarks/large.py [--words 1000000 10000000] [--json benchmarks/results/large.json]
    python benchmarks/pages.py       puts the figures of that file into the README and the documentation

Each size is a process of its own, in which every list counts as a large one; a minute and a half in all. Memory is that
of the process alone, without the pages of mapped files, which the system takes back when it needs room; Linux tells it.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

from machine import machine, versions
from size import write_words

from moreish import get_threads

SIZES = (10**6, 10**7)
SECONDS = 3.0  # of training that are looked at
ORDER, AT_LEAST = 6, 2


class Memory:
    """The most memory of its own that this process has had, in bytes, looked at every few milliseconds."""

    def __init__(self):
        self.most = 0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            status = Path("/proc/self/status").read_text(encoding="ascii")
            self.most = max(self.most, *(1024 * int(x.split()[1]) for x in status.splitlines() if "RssAnon" in x))
            time.sleep(0.005)


def measure(path: str) -> dict:
    """Prepare, split, mark, train, evaluate and count in this process: seconds of each, and the most memory in it."""
    import moreish
    from moreish.corpus import PARTS, mapped
    from moreish.ngram import count_tables
    from moreish.ngram.windows import PER_TOKEN, count_windows

    for model in ("mlp", "ngram"):  # compiles, where nothing is compiled yet
        moreish.train(moreish.bundled(), model)
    mapped.IN_MEMORY, memory = 0, Memory()
    seconds, most = {}, {}

    @contextmanager
    def timed(name: str) -> Iterator[None]:
        began, memory.most = time.perf_counter(), 0
        yield
        seconds[name], most[name] = time.perf_counter() - began, memory.most

    with timed("prepare"):
        words = moreish.read_words(path)
    assert isinstance(words, mapped.MappedWords)
    corpus = moreish.Corpus(words)
    with timed("shuffle"):
        _ = corpus._places
    with timed("streams"):
        train, val, _ = map(corpus.stream, PARTS)
    with timed("marks"):
        corpus.mark("new")
    with timed("evaluate"):
        run = moreish.train(corpus, "mlp", steps=1)  # evaluates val once
    steps: list[tuple[float, int]] = []
    with timed("train"), suppress(Enough):
        moreish.train(corpus, "mlp", steps=10**9, on_progress=lambda at: seen(steps, at.step))
    (began, first), (ended, last) = steps[0], steps[-1]
    seconds["train"] = ended - began
    V = len(corpus.vocab)
    with timed("count"):
        kept = len(count_windows(train, ORDER, V, AT_LEAST).counts)
    with timed("count_spilled"):
        count_windows(train, ORDER, V, AT_LEAST, memory=PER_TOKEN * ORDER * (kept + 1))
    with timed("tables"):
        count_tables(train, ORDER, V, AT_LEAST)
    return {
        "words": len(words),
        "file_bytes": Path(path).stat().st_size,
        "train_tokens": len(train) - 1,
        "val_tokens": len(val) - 1,
        "disk_bytes": sum(file.stat().st_size for file in words.folder.iterdir()),
        "trained": (last - first) * (run.options.batch_size or 0),
        "windows": len(count_windows(train, ORDER, V).counts),
        "kept": kept,
        "seconds": seconds,
        "memory_bytes": most,
    }


class Enough(Exception):
    """Training has been looked at for long enough."""


def seen(steps: list[tuple[float, int]], step: int) -> None:
    """Note the time of a step, and stop after some seconds."""
    steps.append((time.perf_counter(), step))
    if steps[-1][0] - steps[0][0] > SECONDS:
        raise Enough


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, nargs="+", default=SIZES, help="sizes of lists")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n in arguments.words:
            path = Path(folder) / f"{n}.txt"
            write_words(path, n)
            command = [sys.executable, __file__, "--one", path]
            env = {**os.environ, "XDG_CACHE_HOME": folder, "OPENBLAS_NUM_THREADS": "1"}
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
            rows.append(json.loads(done.stdout))
    found = {
        "machine": machine(),
        "versions": {**versions(), "duckdb": version("duckdb")},
        "threads": get_threads(),
        "order": ORDER,
        "at_least": AT_LEAST,
        "sizes": rows,
    }
    print(json.dumps(found, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
