"""Time and memory of counting a list in parts, and of merging the counts, by the size of the list.

    python benchmarks/merging.py [--words 1000000 4000000 16000000] [--json benchmarks/results/merging.json]
    python benchmarks/pages.py       puts the figures of that file into the documentation

The whole list, one part, and the merge of all parts are each counted in a process of its own. Times are seconds of one
core (user and system time), which differ little when the machine has other work. Memory is the anonymous memory of the
process, as Linux reports it.
"""

import argparse
import json
import os
import pickle
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from large import PeakMemory
from machine import machine, versions
from size import write_words

SIZES = (10**6, 4 * 10**6, 16 * 10**6)
PARTS, ORDER = 32, 6


def count(parts: list[str], out: str, smoothing: str = "witten-bell") -> dict[str, Any]:
    """Count parts into folders; return the time, memory and bytes of the last one."""
    import moreish

    def counted(words: Any) -> moreish.Run:
        return moreish.train(words, "ngram", order=ORDER, split="hash", smoothing=smoothing, memory=1000)

    counted(moreish.bundled("names"))  # compiles the kernels if necessary
    found, memory = {}, PeakMemory()
    for part in parts:
        base, memory.most, began = memory.now(), 0, time.process_time()
        run = counted(moreish.read_words(part))
        found = {"cpu_seconds": time.process_time() - began, "base_bytes": base, "memory_bytes": memory.most}
        found |= {"sent_bytes": len(pickle.dumps(run, 5)), "windows": len(run.model.arrays["counts"])}
        run.save(f"{out}/{Path(part).name}")
    return found


def whole(paths: list[str], out: str) -> dict[str, Any]:
    """Count a whole list with the smoothing of the merged run."""
    return count(paths, out, "fitted")


def merge(folders: list[str], out: str) -> dict[str, Any]:
    """Merge the runs in folders and save the run; return the time and memory, and those of its losses."""
    import moreish

    small = moreish.train(moreish.bundled("names"), "ngram", order=ORDER, split="hash")  # compiles the kernels
    moreish.merge([small])
    memory = PeakMemory()
    base, began = memory.now(), time.process_time()
    run = moreish.merge(folders, smoothing="fitted", memory=1000)
    found = {"cpu_seconds": time.process_time() - began, "base_bytes": base, "memory_bytes": memory.most}
    run.save(out)
    model = (Path(out) / "model.safetensors").stat().st_size
    return found | {"model_bytes": model, "windows": len(run.model.arrays["counts"])}


def in_process(what: str, paths: list[Path], out: Path) -> dict[str, Any]:
    """Run `count`, `whole` or `merge` in a process of its own."""
    command = [sys.executable, __file__, "--one", what, str(out), *map(str, paths)]
    env = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env).stdout)


def measure(n: int, folder: Path) -> dict[str, Any]:
    """Count n words in PARTS parts and merge them."""
    write_words(folder / "list.txt", n)
    lines = (folder / "list.txt").read_bytes().splitlines(keepends=True)
    paths = [folder / f"part-{number:02}" for number in range(PARTS)]
    for number, path in enumerate(paths):
        path.write_bytes(b"".join(lines[number * n // PARTS : (number + 1) * n // PARTS]))
    for name in ("counted", "whole"):
        (folder / name).mkdir()
    in_process("count", paths[1:], folder / "counted")
    part = in_process("count", paths[:1], folder / "counted")
    merged = in_process("merge", [folder / "counted" / path.name for path in paths], folder / "merged")
    alone = in_process("whole", [folder / "list.txt"], folder / "whole")
    return {
        "words": n,
        "file_bytes": (folder / "list.txt").stat().st_size,
        "whole": alone,
        "part": part,
        "merge": merged,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=int, nargs="+", default=SIZES, help="sizes of lists")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--one", nargs="+", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        what, out, *paths = arguments.one
        print(json.dumps({"count": count, "whole": whole, "merge": merge}[what](paths, out)))
        return
    rows = []
    for n in arguments.words:
        with tempfile.TemporaryDirectory() as folder:
            rows.append(measure(n, Path(folder)))
    found = {"machine": machine(), "versions": versions(), "order": ORDER, "parts": PARTS, "sizes": rows}
    print(json.dumps(found, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
