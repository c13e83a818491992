"""Pruned n-gram models: memory and val loss by order and threshold, and against leaving out rare sequences.

    python benchmarks/pruning.py --names names.txt [--json benchmarks/results/pruning.json]
    python benchmarks/pages.py       puts the figures of that file into the documentation

The memory of a process is its peak after it has loaded the run and scored val, without importing anything else.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from machine import machine, versions

import moreish
from moreish import Corpus, Run, read_words
from moreish.ngram.pruning import n_bytes
from moreish.training.folder import MODEL

ORDERS = range(2, 9)
THRESHOLDS = (0.0, 3e-7, 3e-6)  # nats per token
OF_COUNTS, AT_LEAST = 6, (2, 3, 5)


def score_val(folder: str) -> None:
    """Print the val loss of a run and the peak memory of this process in bytes, as JSON."""
    run = moreish.load(folder)
    val = float(run.model.nll(run.corpus.stream("val")).mean())
    print(json.dumps({"val": val, "memory_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}))


def measured(run: Run) -> dict[str, Any]:
    """Measure a run in a process of its own."""
    arrays = run.model.arrays
    with tempfile.TemporaryDirectory() as folder:
        run.save(Path(folder) / "run")
        command = [sys.executable, __file__, "--one", str(Path(folder) / "run")]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        size = (Path(folder) / "run" / MODEL).stat().st_size
    return {
        "entries": len(arrays["char"]),
        "contexts": len(arrays["parent"]),
        "file_bytes": size,
        **json.loads(done.stdout),
    }


def by_order(corpus: Corpus, order: int) -> dict[str, Any]:
    """Measure the model of an order, whole and pruned."""
    run = moreish.train(corpus, "ngram", order=order)
    pruned = [run if threshold == 0 else moreish.prune(run, entropy=threshold) for threshold in THRESHOLDS]
    return {
        "order": order,
        "models": [{"threshold": t, **measured(run)} for t, run in zip(THRESHOLDS, pruned, strict=True)],
    }


def by_count(corpus: Corpus, at_least: int) -> dict[str, Any]:
    """Compare a model without rare sequences with models that were pruned to its size."""
    rare = moreish.train(corpus, "ngram", order=OF_COUNTS, at_least=at_least)
    size = n_bytes(rare.model.arrays)
    whole, lower = (moreish.train(corpus, "ngram", order=order) for order in (OF_COUNTS, OF_COUNTS - 1))
    return {
        "at_least": at_least,
        "bytes": size,
        "by count": rare.loss["val"],
        "by entropy": moreish.prune(whole, size=size).loss["val"],
        "lower order, by entropy": moreish.prune(lower, size=size).loss["val"],
        "both": moreish.prune(rare, size=size / 2).loss["val"],
        "by entropy, half": moreish.prune(whole, size=size / 2).loss["val"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=Path, help="the list of words")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        score_val(arguments.one)
        return
    if not arguments.names:
        parser.error("--names is needed")
    corpus = Corpus(read_words(arguments.names))
    found = {
        "machine": machine(),
        "versions": versions(),
        "data": arguments.names.name,
        "order": OF_COUNTS,
        "orders": [by_order(corpus, order) for order in ORDERS],
        "counts": [by_count(corpus, at_least) for at_least in AT_LEAST],
    }
    print(json.dumps(found, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
