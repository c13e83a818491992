"""Losses of the default model and of n-gram counts on short lists.

    python benchmarks/short_lists.py --names names.txt [--json benchmarks/results/short-lists.json]
    python benchmarks/pages.py       puts the figures of that file into the documentation

Short lists are random draws from names.txt. A tenth of twenty words is two, so that val says little. Each model is
therefore also scored on the same names, which are in none of the lists: those that have only characters of its list.
"""

import argparse
import json
import random
import statistics
from pathlib import Path
from typing import Any

from machine import machine, versions
from rich.console import Console
from rich.table import Table

from moreish import Corpus, read_words, set_threads, train

SIZES = (20, 50, 100, 500, 5000)
MODELS = ("mlp", "ngram")
DRAWS = 20  # lists of each size
HELD_OUT = 5000  # names
SAMPLES = 500  # words of each model
FIGURES = ("held_out", "val", "length", "longer", "seconds")


def measure(words: list[str], held_out: list[str], model: str) -> dict[str, float]:
    """Train a model on words; return its val loss, its loss on held-out names, and lengths in those of the list."""
    corpus = Corpus(words)
    known = set(corpus.vocab.characters)
    run = train(corpus, model)
    lengths, own = [len(word) for word in run.model.sample(SAMPLES)], [len(word) for word in words]
    return {
        "val": run.loss["val"],
        "held_out": float(run.model.nll_of_words([word for word in held_out if known.issuperset(word)])[0].mean()),
        "length": statistics.mean(lengths) / statistics.mean(own),
        "longer": sum(length > max(own) for length in lengths) / SAMPLES,
        "seconds": run.seconds or 0.0,
    }


def summary(found: list[dict[str, float]]) -> dict[str, float]:
    """Means over the draws."""
    return {name: statistics.mean(row[name] for row in found) for name in FIGURES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    set_threads(1)
    names = list(dict.fromkeys(read_words(arguments.names)))
    random.Random(0).shuffle(names)
    held_out, others = names[:HELD_OUT], names[HELD_OUT:]
    rows: list[dict[str, Any]] = []
    for size in SIZES:
        lists = [random.Random(seed).sample(others, size) for seed in range(DRAWS)]
        found = {model: [measure(words, held_out, model) for words in lists] for model in MODELS}
        differences = [
            net["held_out"] - counts["held_out"] for net, counts in zip(*(found[m] for m in MODELS), strict=True)
        ]
        error = statistics.stdev(differences) / DRAWS**0.5
        rows.append({"words": size, **{model: summary(found[model]) for model in MODELS}, "error": error})
    table = Table("words", "model", *FIGURES)
    for row in rows:
        for model in MODELS:
            table.add_row(f"{row['words']:,}", model, *(f"{row[model][k]:.3f}" for k in FIGURES))
    Console(width=120).print(table)
    if arguments.json:
        about = {"machine": machine(), "versions": versions(), "data": Path(arguments.names).name, "threads": 1}
        about |= {"draws": DRAWS, "held_out": HELD_OUT, "samples": SAMPLES}
        arguments.json.write_text(json.dumps({**about, "sizes": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
