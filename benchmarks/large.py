"""Cost of a list on the disk: seconds, memory and disk space of each step, for lists of generated words.

    python benchmarks/large.py [--words 1000000 10000000] [--json benchmarks/results/large.json]
    python benchmarks/pages.py       puts the figures of that file into the README and the documentation

Each size runs in its own process, in which every list counts as large; all of it takes a minute and a half. Memory is
the anonymous memory of the process, as Linux reports it, without the pages of mapped files.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

from machine import machine, versions
from size import write_words

from moreish import get_threads

SIZES = (10**6, 10**7)
TRAINING_SECONDS = 3.0
ORDER, AT_LEAST = 6, 2


class PeakMemory:
    """The most anonymous memory of this process since `most` was set to 0, in bytes, polled every few milliseconds."""

    def __init__(self):
        self.most = 0
        threading.Thread(target=self._poll, daemon=True).start()

    def _poll(self) -> None:
        while True:
            self.most = max(self.most, self.now())
            time.sleep(0.005)

    def now(self) -> int:
        """The anonymous memory of this process, in bytes."""
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return next(1024 * int(x.split()[1]) for x in status.splitlines() if "RssAnon" in x)


def measure(path: str) -> dict[str, Any]:
    """Prepare, split, mark, train, evaluate and count in this process; return the seconds and peak memory of each."""
    import moreish
    from moreish.corpus import PARTS, mapped
    from moreish.corpus.split import split_words
    from moreish.ngram import count_tables
    from moreish.ngram.windows import BYTES_PER_TOKEN, count_windows

    for model in ("mlp", "ngram"):  # compiles the kernels if necessary
        moreish.train(moreish.bundled(), model)
    mapped.MAX_IN_MEMORY, memory = 0, PeakMemory()
    seconds, most = {}, {}

    @contextmanager
    def timed(name: str) -> Generator[None]:
        began, memory.most = time.perf_counter(), 0
        yield
        seconds[name], most[name] = time.perf_counter() - began, memory.most

    with timed("prepare"):
        words = moreish.read_words(path)
    assert isinstance(words, mapped.MappedWords)
    corpus = moreish.Corpus(words)
    with timed("shuffle"):
        split_words(words)
    with timed("streams"):
        train, val, _ = map(corpus.stream, PARTS)
    with timed("marks"):
        corpus.mark("new")
    with timed("evaluate"):
        run = moreish.train(corpus, "mlp", steps=1)  # evaluates val once
    steps: list[tuple[float, int]] = []
    with timed("train"), suppress(Enough):
        moreish.train(corpus, "mlp", steps=10**9, on_progress=lambda progress: note_step(steps, progress.step))
    (began, first), (ended, last) = steps[0], steps[-1]
    seconds["train"] = ended - began
    V = len(corpus.vocab)
    with timed("count"):
        kept = len(count_windows(train, ORDER, V, AT_LEAST).counts)
    with timed("count_spilled"):
        count_windows(train, ORDER, V, AT_LEAST, memory=BYTES_PER_TOKEN * ORDER * (kept + 1))
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
    """Stops the training after TRAINING_SECONDS."""


def note_step(steps: list[tuple[float, int]], step: int) -> None:
    """Note the time of a step, and stop the training after TRAINING_SECONDS."""
    steps.append((time.perf_counter(), step))
    if steps[-1][0] - steps[0][0] > TRAINING_SECONDS:
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
