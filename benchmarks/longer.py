"""Losses of the default net after twice the training, with the usual and with more weight decay.

    python benchmarks/longer.py --names names.txt [--json benchmarks/results/longer.json]
    python benchmarks/pages.py       puts the figures of that file into the documentation

The advice that `moreish train` prints after a training (moreish/cli/advice.py) follows these figures.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

from machine import machine, versions
from rich.console import Console
from rich.table import Table

from moreish import Corpus, bundled, read_words, set_threads, train
from moreish.corpus import BUNDLED, PARTS
from moreish.models import MLP

TWICE = 2 * MLP.defaults["epochs"]
TRAININGS: dict[str, dict[str, Any]] = {
    "default": {},
    "twice": {"epochs": TWICE},
    "twice, decay": {"epochs": TWICE, "weight_decay": 0.1},
}
SEEDS = (42, 43, 44)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    set_threads(1)
    data = Path(arguments.names).name
    rows: list[dict[str, Any]] = []
    table = Table("list", "training", *PARTS)
    for name, words in {data: read_words(arguments.names), **{name: bundled(name) for name in BUNDLED}}.items():
        corpus = Corpus(words)
        for training, options in TRAININGS.items():
            found = [train(corpus, "mlp", seed=seed, **options).loss for seed in SEEDS]
            loss = {part: statistics.mean(one[part] for one in found) for part in PARTS}
            rows.append({"list": name, "words": len(words), "training": training, "loss": loss})
            table.add_row(name, training, *(f"{loss[part]:.3f}" for part in PARTS))
    Console(width=100).print(table)
    if arguments.json:
        about = {"machine": machine(), "versions": versions(), "threads": 1, "seeds": SEEDS, "trainings": TRAININGS}
        arguments.json.write_text(json.dumps({**about, "rows": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
