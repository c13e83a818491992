"""makemore.py beside moreish: the val loss that each of their models reaches in a given time, and the time of a step.

    python benchmarks/peers.py --makemore CHECKOUT --names names.txt --json benchmarks/results/peers.json
    python benchmarks/pages.py       puts the figures of that file into the README and the documentation

CHECKOUT is a clone of github.com/karpathy/makemore. The parts are makemore (7 minutes), moreish (3 minutes) and steps
(1 minute); those that `--only` leaves out keep their figures in the file. `--seconds 2 4` tries losses after 2 and 4
seconds.

Both learn from the train words of the lecture's split, on 2 threads. Losses are means over all val tokens. Times are
those of whole processes. The weights of makemore.py are kept at each time and evaluated at the end, so that it loses no
time to evaluations; moreish trains anew for each time, from start to exit.
"""

import argparse
import hashlib
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import makemore_training
from commands import trained
from machine import alternate, machine, versions
from makemore_loops import makemore_loop, packed_loop, tape_loop

from moreish import Corpus, read_words, set_threads
from moreish.models import MODELS, NETS

SECONDS = (1.0, 10.0, 60.0)
THREADS = 2
ROUND_SECONDS = 0.5  # of each loop
# Options of moreish by model and by the seconds within which the whole process ends.
TRAININGS: dict[str, dict[float, list[str]]] = {
    "ngram": {1: []},
    "bigram": {10: []},
    "mlp": {1: [], 10: ["--n-hidden", "512", "--epochs", "10", "--lr", "0.006", "--weight-decay", "0.06"]},
    "bow": {10: []},
    "rnn": {10: []},
    "gru": {
        10: [],
        60: ["--n-hidden", "512", "--dropout", "0.4", "--epochs", "12", "--lr", "0.004", "--average", "0.998"],
    },
    "transformer": {
        10: ["--epochs", "4"],
        15: [],
        60: ["--dropout", "0.1", "--epochs", "30", "--lr", "0.003", "--average", "0.998"],
    },
}


def word_lists(corpus: Corpus) -> dict[str, Any]:
    """Train and val words, and the characters and longest length of all words, for makemore.py."""
    words = [word for part in corpus.parts.values() for word in part]
    found: dict[str, Any] = {part: list(corpus.parts[part]) for part in ("train", "val")}
    return found | {"characters": sorted(set("".join(words))), "longest": max(map(len, words))}


def makemore_losses(checkout: Path, lists: dict[str, Any], seconds: list[float]) -> list[dict[str, Any]]:
    """Val loss of each model of makemore.py after some seconds, as a process of its own."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "words.json"
        file.write_text(json.dumps(lists))
        for name in makemore_training.MODELS:
            command = [sys.executable, makemore_training.__file__, str(checkout), name, str(file), str(time.time())]
            command += map(str, seconds)
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            rows.append(json.loads(done.stdout.splitlines()[-1]))
            reached = rows[-1]["reached"]
            print(f"makemore.py {name}:", *(f"{r['val']:.3f} after {r['limit']:g} s" for r in reached), flush=True)
    return rows


def moreish_losses(names: str, seconds: list[float]) -> list[dict[str, Any]]:
    """Losses of our models, each as a process of its own, after one that compiles what it needs."""
    rows: list[dict[str, Any]] = []
    for name, trainings in TRAININGS.items():
        if name not in MODELS:
            print(f"moreish {name}: there is no such model yet")
            continue
        common = ["--model", name]
        trained(names, [*common, *(["--steps", "1"] if name in NETS else [])])
        for limit, options in trainings.items():
            if limit > max(seconds):
                continue
            row: dict[str, Any] = {"model": name, "limit": limit}
            row |= trained(names, [*common, *options, "--threads", str(THREADS)])
            rows.append(row)
            late = " TOO LATE" if row["seconds"] > limit else ""
            print(f"moreish {name}: {row['loss']['val']:.3f} in {row['seconds']:.1f} s of {limit:g}{late}", flush=True)
    return rows


def steps(makemore: Any, corpus: Corpus, lists: dict[str, Any]) -> list[dict[str, Any]]:
    """Seconds of a training step of each model of makemore.py, and of the same model in moreish and in PyTorch."""
    set_threads(THREADS)
    words, rows = makemore_training.dataset(makemore, lists, "train"), []
    for name in makemore_training.MODELS:
        ways = {"makemore": makemore_loop(makemore, name, words, THREADS)}
        if name == "transformer":
            ways["packed"] = packed_loop(corpus, lists["longest"], THREADS)
        ours = tape_loop(corpus, name, lists["longest"])
        if ours is not None:
            ways["moreish"] = ours
        rows.append({"model": name, "seconds": alternate(ways, ROUND_SECONDS)})
        times = ", ".join(f"{way} {1e3 * s:.2f} ms" for way, s in rows[-1]["seconds"].items())
        print(f"a step of {name}: {times}", flush=True)
    set_threads(None)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--makemore", type=Path, required=True, help="folder of makemore.py")
    parser.add_argument("--names", required=True, help="the word list")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parts = ("makemore", "moreish", "steps")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts, help="parts to measure")
    parser.add_argument(
        "--seconds", nargs="+", type=float, default=SECONDS, help="times after which losses are measured"
    )
    arguments = parser.parse_args()
    script = arguments.makemore / "makemore.py"
    if not script.exists():
        parser.error(f"{script} does not exist: give a checkout of github.com/karpathy/makemore")
    found = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.exists() else {}
    found |= {"machine": machine(), "versions": versions(), "data": Path(arguments.names).name, "threads": THREADS}
    found |= {"makemore_sha256": hashlib.sha256(script.read_bytes()).hexdigest()}
    corpus = Corpus(read_words(arguments.names))
    lists, seconds = word_lists(corpus), sorted(arguments.seconds)
    for part in arguments.only:
        if part == "steps":
            found["steps"] = steps(makemore_training.load(arguments.makemore), corpus, lists)
        elif part == "makemore":
            found["seconds"] = seconds
            found.setdefault("losses", {})[part] = makemore_losses(arguments.makemore, lists, seconds)
        else:
            found.setdefault("losses", {})[part] = moreish_losses(arguments.names, seconds)
        if arguments.json:
            arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
