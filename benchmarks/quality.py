"""Quality: each model trained with three seeds on both splits, with the published figure.

    python benchmarks/quality.py --names names.txt [--rungs NAME ...] [--json benchmarks/results/quality.json]
    python benchmarks/pages.py       puts the figures of that file into the README and the documentation

Losses are nats per predicted token, the median of the seeds. The run with the median val loss is compared with those of
the other rungs by the paired bootstrap. Rungs with a published figure are trained as published: SGD at 0.1, then at
0.01, for 200,000 steps of 32 examples, keeping the last weights. Settings were chosen on val alone.
"""

import argparse
import json
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import machine, versions
from rich.console import Console
from rich.table import Table

from moreish import Corpus, Run, compare, mix, read_words, set_threads, train

SEEDS = (1, 2, 3)
LECTURE: dict[str, Any] = {"steps": 200_000, "batch_size": 32, "optimizer": "sgd", "lr": 0.1, "keep": "last"}
LATE = {**LECTURE, "step_at": 0.75}
OURS: dict[str, Any] = {"epochs": 20.0, "batch_size": 128, "lr": 0.003, "weight_decay": 0.06}


@dataclass(frozen=True)
class Rung:
    """A model and its training options, and the published losses (train, val) of the same model."""

    name: str
    model: str
    options: dict[str, Any]
    published: tuple[float | None, float | None] = (None, None)


RUNGS = [
    Rung("bigram counts", "bigram-counts", {}, (None, 2.453)),
    Rung("n-gram counts", "ngram", {}),
    Rung("bigram net", "bigram", {}, (None, 2.46)),
    Rung("mlp 3 / 10 / 200", "mlp", {**LECTURE, "block_size": 3, "n_embd": 10, "n_hidden": 200}, (2.036, 2.103)),
    Rung(
        "mlp 3 / 10 / 200, BatchNorm",
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
    Rung("wavenet 8 / 10 / 68", "wavenet", {**LATE, "n_embd": 10, "n_hidden": 68}, (1.912, 2.022)),
    Rung("wavenet 8 / 24 / 128", "wavenet", {**LATE, "n_embd": 24, "n_hidden": 128}, (1.769, 1.993)),
    Rung("mlp, defaults", "mlp", {}),
    Rung("wavenet, defaults", "wavenet", {}),
    Rung("wavenet-conv, defaults", "wavenet-conv", {}),
    Rung("wavenet 8 / 24 / 128, tuned", "wavenet", OURS),
    Rung("wavenet 8 / 24 / 192, tuned", "wavenet", {**OURS, "n_hidden": 192, "epochs": 12.0}),
]


# The rungs that are mixed, seed by seed.
MIXED = ("n-gram counts", "wavenet 8 / 24 / 192, tuned")
MIXTURE = "n-gram counts and tuned wavenet, mixed"


def measure_split(split: str, names: str, wanted: list[str], console: Console) -> dict:
    """Train every wanted rung with each seed on one split, and compare the median runs."""
    corpus, rungs, runs = Corpus(read_words(names), split), [], {}
    for rung in RUNGS:
        if any(word in rung.name or word == rung.model for word in wanted):
            runs[rung.name] = [train(corpus, rung.model, seed=seed, **rung.options) for seed in SEEDS]
            rungs.append({**summary(rung.name, runs[rung.name]), "options": rung.options, "published": rung.published})
            console.print(f"{split}: {rung.name}: val {rungs[-1]['median']['val']:.4f}, {rungs[-1]['seconds']:.1f} s")
    if all(name in runs for name in MIXED):
        runs[MIXTURE] = [mix(parts) for parts in zip(*(runs[name] for name in MIXED), strict=True)]
        rungs.append({**summary(MIXTURE, runs[MIXTURE]), "options": {}, "published": (None, None)})
    typical = [sorted(of_seeds, key=lambda run: run.loss["val"])[len(SEEDS) // 2] for of_seeds in runs.values()]
    found = compare(typical, names=list(runs)).as_json()
    # The documentation shows only the pairs that contain the baseline.
    found["pairs"] = [pair for pair in found["pairs"] if found["baseline"] in (pair["one"], pair["other"])]
    return {"rungs": rungs, "comparison": found}


def summary(name: str, runs: list[Run]) -> dict:
    """Losses of all seeds of a rung, their medians, and the size of the model."""
    losses = [run.loss for run in runs]
    return {
        "name": name,
        "model": runs[0].model.name,
        "parameters": runs[0].model.n_parameters,
        "losses": losses,
        "median": {part: statistics.median(loss[part] for loss in losses) for part in losses[0]},
        "seconds": statistics.median(run.seconds or 0.0 for run in runs),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list; published figures are for names.txt")
    parser.add_argument("--rungs", nargs="+", help="only the rungs with one of these words in their name or model")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    set_threads(1)
    console, splits = Console(width=140), {}
    for split in ("lecture", "distinct"):
        splits[split] = measure_split(split, arguments.names, arguments.rungs or [""], console)
        table = Table(title=f"{split} split, median of seeds {SEEDS}", title_justify="left")
        for column in ("model", "parameters", "train", "val", "test", "published train", "published val", "seconds"):
            table.add_column(column, justify="left" if column == "model" else "right")
        for row in splits[split]["rungs"]:
            table.add_row(
                row["name"],
                f"{row['parameters']:,}",
                *(f"{row['median'][part]:.4f}" for part in ("train", "val", "test")),
                *("" if loss is None else f"{loss:.3f}" for loss in row["published"]),
                f"{row['seconds']:.1f}",
            )
        console.print(table)
    if arguments.json:
        found: dict[str, Any] = {"machine": machine(), "versions": versions(), "seeds": SEEDS, "splits": splits}
        found["data"] = Path(arguments.names).name
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
