"""Losses of the default net, of n-gram counts and of their mixture on lists of 20 to 20,000 words.

    python benchmarks/short_lists.py --names names.txt [--json benchmarks/results/short-lists.json]
    python benchmarks/pages.py       puts the figures of that file into the documentation

The lists are random draws from names.txt and from the bundled lists. A tenth of twenty words is two, so that val says
little. Each model is therefore also scored on other words of the same kind, which are in none of its parts: those that
have only characters of its list. `moreish.training.train.default_model` follows these figures.
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

from moreish import Corpus, Run, bundled, mix, read_words, set_threads, train
from moreish.corpus import BUNDLED

# For each size, how many lists are drawn from names.txt; half as many are drawn from each bundled list.
DRAWS = {20: 20, 50: 20, 100: 20, 200: 20, 500: 20, 1000: 10, 2000: 10, 5000: 6, 20_000: 2}
MODELS = ("mlp", "ngram", "mixture")
HELD_OUT = 5000  # words at most
FEWEST_HELD_OUT = 400  # words
SAMPLES = 500  # words of each model
FIGURES = ("held_out", "val", "length", "longer", "seconds")


def measure(words: list[str], others: list[str]) -> dict[str, dict[str, float]]:
    """Train the models on words; return the figures of each, of which held_out is its loss on others."""
    corpus = Corpus(words)
    net, counts = train(corpus, "mlp"), train(corpus, "ngram")
    known = set(corpus.vocab.characters)
    held_out, own = [word for word in others if known.issuperset(word)], [len(word) for word in words]

    def figures(run: Run) -> dict[str, float]:
        lengths = [len(word) for word in run.model.sample(SAMPLES)]
        return {
            "val": run.loss["val"],
            "held_out": float(run.model.nll_of_words(held_out)[0].mean()),
            "length": statistics.mean(lengths) / statistics.mean(own),
            "longer": sum(length > max(own) for length in lengths) / SAMPLES,
            "seconds": run.seconds or 0.0,
        }

    return dict(zip(MODELS, map(figures, (net, counts, mix([net, counts]))), strict=True))


def rows_of(words: list[str], draws: dict[int, int]) -> list[dict[str, Any]]:
    """Return the mean figures of the models for each size, and the standard errors of differences in held_out."""
    rows: list[dict[str, Any]] = []
    for size, n in draws.items():
        if len(words) - size < FEWEST_HELD_OUT:
            break
        found: list[dict[str, dict[str, float]]] = []
        for seed in range(n):
            shuffled = random.Random(seed).sample(words, len(words))
            found.append(measure(shuffled[:size], shuffled[size:][:HELD_OUT]))
        row: dict[str, Any] = {"words": size, "draws": n}
        for model in MODELS:
            row[model] = {name: statistics.mean(one[model][name] for one in found) for name in FIGURES}
        for model in MODELS[:-1]:
            differences = [one["mixture"]["held_out"] - one[model]["held_out"] for one in found]
            row[f"error_{model}"] = statistics.stdev(differences) / n**0.5
        rows.append(row)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    set_threads(1)
    data = Path(arguments.names).name
    lists = {data: list(dict.fromkeys(read_words(arguments.names)))}
    lists |= {name: list(dict.fromkeys(bundled(name))) for name in BUNDLED}
    found: dict[str, list[dict[str, Any]]] = {}
    console = Console(width=120)
    for name, words in lists.items():
        found[name] = rows_of(words, DRAWS if name == data else {size: max(2, n // 2) for size, n in DRAWS.items()})
        table = Table("words", "model", *FIGURES, title=name)
        for row in found[name]:
            for model in MODELS:
                table.add_row(f"{row['words']:,}", model, *(f"{row[model][k]:.3f}" for k in FIGURES))
        console.print(table)
    if arguments.json:
        about = {"machine": machine(), "versions": versions(), "data": data, "threads": 1}
        about |= {"held_out": HELD_OUT, "fewest_held_out": FEWEST_HELD_OUT, "samples": SAMPLES}
        arguments.json.write_text(json.dumps({**about, "lists": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
