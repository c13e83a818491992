"""How good: the lecture's ladder of models, each trained three times, with the published figure beside.

    python benchmarks/quality.py --names names.txt [--rungs NAME ...] [--json benchmarks/results/quality.json]
    python benchmarks/readme.py       puts the figures of that file into the README

Losses are nats per predicted token on the lecture split, the median of the seeds. Published rungs are trained as they
were: SGD at 0.1, then at 0.01, for 200,000 steps of 32, the last weights kept. Only val has ever been used to choose.
"""

import argparse
import json
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import machine, versions
from rich.console import Console
from rich.table import Table

from moreish import Corpus, Run, mix, read_words, train

SEEDS = (1, 2, 3)
LECTURE: dict[str, Any] = {"steps": 200_000, "batch_size": 32, "optimizer": "sgd", "lr": 0.1, "keep": "last"}
LATE = {**LECTURE, "step_at": 0.75}
OURS: dict[str, Any] = {"epochs": 20.0, "batch_size": 128, "lr": 0.003, "weight_decay": 0.06}


@dataclass(frozen=True)
class Rung:
    """A model as it is trained, and the published losses (train, val) of one like it."""

    name: str
    model: str
    options: dict[str, Any]
    published: tuple[float | None, float | None] = (None, None)


RUNGS = [
    Rung("pairs counted", "bigram-counts", {}, (None, 2.453)),
    Rung("up to six counted", "ngram", {}),
    Rung("pairs as a net", "bigram", {}, (None, 2.46)),
    Rung("mlp 3 / 10 / 200", "mlp", {**LECTURE, "block_size": 3, "n_embd": 10, "n_hidden": 200}, (2.036, 2.103)),
    Rung(
        "the same with BatchNorm",
        "mlp",
        {**LECTURE, "block_size": 3, "n_embd": 10, "n_hidden": 200, "batch_norm": True},
        (2.067, 2.105),
    ),
    Rung(
        "mlp 8 / 10 / 200, BatchNorm",
        "mlp",
        {**LATE, "block_size": 8, "n_embd": 10, "n_hidden": 200, "batch_norm": True},
        (1.918, 2.027),
    ),
    Rung("tree 8 / 10 / 68", "wavenet", {**LATE, "n_embd": 10, "n_hidden": 68}, (1.912, 2.022)),
    Rung("tree 8 / 24 / 128", "wavenet", {**LATE, "n_embd": 24, "n_hidden": 128}, (1.769, 1.993)),
    Rung("mlp, our defaults", "mlp", {}),
    Rung("wavenet, our defaults", "wavenet", {}),
    Rung("wavenet-conv, our defaults", "wavenet-conv", {}),
    Rung("tree 8 / 24 / 128, our settings", "wavenet", OURS),
    Rung("tree 8 / 24 / 192, our settings", "wavenet", {**OURS, "n_hidden": 192, "epochs": 12.0}),
]


# What is mixed: rungs, each with its own seed.
MIXED = ("up to six counted", "tree 8 / 24 / 192, our settings")


def measure(rung: Rung, corpus: Corpus) -> tuple[dict, list[Run]]:
    """Train a rung with each seed."""
    runs, losses, seconds = [], [], []
    for seed in SEEDS:
        began = time.perf_counter()
        runs.append(train(corpus, rung.model, seed=seed, **rung.options))
        losses.append(runs[-1].loss)
        seconds.append(time.perf_counter() - began)
    row = {"name": rung.name, "model": rung.model, "options": rung.options, "published": rung.published}
    return {**row, **summary(runs, losses, seconds)}, runs


def summary(runs: list[Run], losses: list[dict[str, float]], seconds: list[float]) -> dict:
    """What is told of the runs of a rung."""
    return {
        "parameters": runs[0].model.n_parameters,
        "losses": losses,
        "median": {part: statistics.median(loss[part] for loss in losses) for part in losses[0]},
        "seconds": statistics.median(seconds),
    }


def measure_mixture(kept: dict[str, list[Run]]) -> dict:
    """Mix the runs of the rungs in MIXED, seed by seed."""
    runs, losses, seconds = [], [], []
    for parts in zip(*(kept[name] for name in MIXED), strict=True):
        began = time.perf_counter()
        runs.append(mix(parts))
        losses.append(runs[-1].loss)
        seconds.append(time.perf_counter() - began)
    row = {"name": "the last and the counted one, mixed", "model": "mixture", "options": {}, "published": (None, None)}
    return {**row, **summary(runs, losses, seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list; published figures are for names.txt")
    parser.add_argument("--rungs", nargs="+", help="only the rungs with one of these words in their name or model")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    corpus, rows, console = Corpus(read_words(arguments.names)), [], Console(width=120)
    wanted, kept = arguments.rungs or [""], {}
    for rung in RUNGS:
        if any(word in rung.name or word == rung.model for word in wanted):
            row, kept[rung.name] = measure(rung, corpus)
            rows.append(row)
            console.print(f"{rung.name}: val {row['median']['val']:.4f}, {row['seconds']:.1f} s a run")
    if all(name in kept for name in MIXED):
        rows.append(measure_mixture(kept))
    table = Table(title=f"median of seeds {SEEDS}", title_justify="left")
    for column in ("model", "parameters", "train", "val", "test", "published train", "published val", "s a run"):
        table.add_column(column, justify="left" if column == "model" else "right")
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['parameters']:,}",
            *(f"{row['median'][part]:.4f}" for part in ("train", "val", "test")),
            *("" if loss is None else f"{loss:.3f}" for loss in row["published"]),
            f"{row['seconds']:.1f}",
        )
    console.print(table)
    if arguments.json:
        found = {"machine": machine(), "versions": versions(), "seeds": SEEDS, "rungs": rows}
        found["data"] = Path(arguments.names).name
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
