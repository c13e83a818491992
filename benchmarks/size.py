"""Seconds and memory by the size of a list, from 10,000 words to 10 million.

    python benchmarks/size.py [--words 10000 100000 ...] [--json benchmarks/results/size.json]
    python benchmarks/pages.py       puts the figures of that file into the README and the documentation

Each size runs in its own process, which reads the file, splits it, and makes the first steps of a training with the
default options. Words of three to eleven letters are generated from a seed; about a third occur more than once.
"""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, versions
from rich.console import Console
from rich.table import Table

SIZES = (10**4, 10**5, 10**6, 10**7)
MODELS = ("mlp", "wavenet-conv", "bigram")  # batches of tokens, batches of words, and full batches
STEPS = 20


def write_words(path: Path, n: int) -> None:
    """Write n words of two to five syllables, from a seed."""
    generator = np.random.default_rng(n)
    syllables = np.array([c + v for c in "bcdfghjklmnpqrstvwxyz" for v in ("a", "e", "i", "o", "u", "")], "S2")
    with path.open("wb") as file:
        for first in range(0, n, 1_000_000):
            count = min(1_000_000, n - first)
            parts = syllables[generator.integers(0, len(syllables), (count, 5))]
            parts[np.arange(5) >= generator.integers(2, 6, count)[:, None]] = b""
            words = parts[:, 0]
            for k in range(1, 5):
                words = np.char.add(words, parts[:, k])
            file.write(b"\n".join(words.tolist()) + b"\n")


def measure(path: str, model: str) -> dict[str, Any]:
    """Read, split and begin to train in this process; return the seconds of each, and the peak memory."""
    import moreish

    began = time.perf_counter()
    words = moreish.read_words(path)
    read = time.perf_counter()
    corpus = moreish.Corpus(words)
    stream = corpus.stream("train")
    split = time.perf_counter()

    class Enough(Exception):
        pass

    def stop(progress: moreish.Progress) -> None:
        if progress.step >= STEPS:
            raise Enough

    with suppress(Enough):
        moreish.train(corpus, model, steps=10**9, on_progress=stop)
    training = time.perf_counter()
    unit = 1 if platform.system() == "Darwin" else 1024
    size = Path(path).stat().st_size
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return {
        "words": len(words),
        "train_tokens": len(stream) - 1,
        "file_bytes": size,
        "seconds": {"read": read - began, "split": split - read, "first_steps": training - split},
        "memory_bytes": memory,
        "times_file": memory / size,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, nargs="+", default=SIZES, help="sizes of lists")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(*arguments.one)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for n in arguments.words:
            path = Path(folder) / f"{n}.txt"
            write_words(path, n)
            found = []
            for model in MODELS:
                command = [sys.executable, __file__, "--one", path, model]
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found.append(json.loads(done.stdout))
            most = max(found, key=lambda row: row["memory_bytes"])
            seconds = {
                f"first_steps_{model}": row["seconds"]["first_steps"] for model, row in zip(MODELS, found, strict=True)
            }
            rows.append({**most, "seconds": {**found[0]["seconds"], **seconds}})
    table = Table(title="a list in memory; under a model, seconds to its first steps", title_justify="left")
    for column in ("words", "file, MB", "read, s", "split, s", *MODELS, "memory, MB", "times the file"):
        table.add_column(column, justify="right")
    for row in rows:
        table.add_row(
            f"{row['words']:,}",
            f"{row['file_bytes'] / 1e6:.1f}",
            *(f"{row['seconds'][k]:.2f}" for k in ("read", "split", *(f"first_steps_{model}" for model in MODELS))),
            f"{row['memory_bytes'] / 1e6:.0f}",
            f"{row['times_file']:.1f}",
        )
    Console(width=120).print(table)
    if arguments.json:
        found = {"machine": machine(), "versions": versions(), "steps": STEPS, "models": MODELS, "sizes": rows}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
