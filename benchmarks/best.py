"""The best words: nets that are regularised, ensembles, mixtures and distilled nets, and what can be had in a time.

    python benchmarks/best.py --names names.txt [--json benchmarks/results/best.json] [--only PART...] [--keep FOLDER]
    python benchmarks/pages.py       puts the figures of that file into the README and the documentation

The parts are ladder, regularisation, within and lists. The ladder trains four nets of two minutes on each split, and
within and lists take two. Parts that are left out keep their figures in the file. With --keep, trained nets are kept in
a folder, and taken from it if they are there.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from commands import trained
from machine import machine, versions
from rich.console import Console

from moreish import Corpus, Run, compare, distill, load, mix, read_words, train

NET: dict[str, Any] = {
    "n_hidden": 512,
    "dropout": 0.5,
    "recurrent_dropout": 0.25,
    "epochs": 24.0,
    "lr": 0.005,
    "weight_decay": 0.15,
    "average": 0.999,
}
SEEDS, MEMBERS = (1, 2, 3), (1, 2, 3, 4)
STUDENT: dict[str, Any] = {
    "n_hidden": 304,
    "drawn": 50_000,
    "epochs": 9.0,
    "lr": 0.005,
    "weight_decay": 0.1,
    "average": 1.0,
}
TIMES = (1, 10, 60)  # seconds
DRAWN = 10_000  # words
# One change each of a smaller net, which is trained for less time.
BASE: dict[str, Any] = {
    "n_hidden": 192,
    "dropout": 0.4,
    "recurrent_dropout": 0.2,
    "epochs": 12.0,
    "lr": 0.006,
    "weight_decay": 0.15,
    "average": 0.998,
}
CHANGES: dict[str, dict[str, Any]] = {
    "no dropout": {"dropout": 0.0},
    "dropout 0.5": {"dropout": 0.5},
    "no recurrent dropout": {"recurrent_dropout": 0.0},
    "recurrent dropout 0.3": {"recurrent_dropout": 0.3},
    "weight decay 0.01": {"weight_decay": 0.01},
    "weight decay 0.3": {"weight_decay": 0.3},
    "no average": {"average": 0.0},
    "label smoothing 0.05": {"label_smoothing": 0.05},
    "4 epochs": {"epochs": 4.0},
    "16 epochs": {"epochs": 16.0},
    "64 hidden units": {"n_hidden": 64},
    "256 hidden units": {"n_hidden": 256},
    "two layers": {"n_layer": 2},
    "a gru": {"model": "gru"},
}


def kept(corpus: Corpus, keep: Path | None, name: str, model: str, options: dict[str, Any]) -> Run:
    """Train a run, or take it from the folder of those that are kept."""
    path = keep and keep / f"{corpus.split}-{name}"
    if path is not None and path.exists():
        return load(path)
    return train(corpus, model, out=path, **options)


def row(name: str, made: str, runs: Sequence[Run]) -> dict[str, Any]:
    """The losses of the runs of a rung, one a seed, and their median."""
    losses = [run.loss for run in runs]
    return {
        "name": name,
        "made": made,
        "parameters": runs[0].model.n_parameters,
        "losses": losses,
        "median": {part: statistics.median(loss[part] for loss in losses) for part in losses[0]},
        "seconds": statistics.median(run.seconds or 0.0 for run in runs),
    }


def share_of_copies(run: Run) -> float:
    """The share of drawn words that are in train."""
    words = run.model.sample(DRAWN, seed=0)
    return sum(run.corpus.mark(word) == "train" for word in words) / DRAWN


def ladder(names: str, keep: Path | None, console: Console) -> dict[str, Any]:
    """Losses of nets, mixtures, ensembles and a distilled net on both splits, compared by the paired bootstrap."""
    found = {}
    for split in ("lecture", "distinct"):
        corpus = Corpus(read_words(names), split)
        counts = kept(corpus, keep, "ngram-1", "ngram", {})
        nets = [kept(corpus, keep, f"lstm-{seed}", "lstm", {**NET, "seed": seed}) for seed in MEMBERS]
        single = nets[: len(SEEDS)]
        everything = mix([counts, *nets], by_context=True)
        path = keep and keep / f"{split}-student"
        student = load(path) if path and path.exists() else distill(everything, "lstm", out=path, seed=1, **STUDENT)
        rungs = {
            "n-gram counts": ("train --model ngram", [counts]),
            "lstm 512": ("train --model lstm", single),
            "lstm 512 and counts": ("mix", [mix([counts, net]) for net in single]),
            "lstm 512 and counts, by context": (
                "mix --by-context",
                [mix([counts, net], by_context=True) for net in single],
            ),
            "4 lstm 512": ("train --model lstm --members 4", [mix(nets, equal=True)]),
            "4 lstm 512 and counts": ("mix", [mix([counts, *nets])]),
            "4 lstm 512 and counts, by context": ("mix --by-context", [everything]),
            "distilled from it, lstm 304": ("distill", [student]),
        }
        rows = []
        for name, (made, runs) in rungs.items():
            rows.append(row(name, made, runs))
            console.print(f"{split}: {name}: val {rows[-1]['median']['val']:.4f}")
        typical = [sorted(runs, key=lambda run: run.loss["val"])[len(runs) // 2] for _, runs in rungs.values()]
        compared = compare(typical, names=list(rungs)).as_json()
        baseline = compared["baseline"]
        compared["pairs"] = [pair for pair in compared["pairs"] if baseline in (pair["one"], pair["other"])]
        copies = {name: share_of_copies(run) for name, run in zip(rungs, typical, strict=True)}
        found[split] = {"rungs": rows, "comparison": compared, "copies": copies}
    return found


def regularisation(names: str, console: Console) -> list[dict[str, Any]]:
    """Val losses of a net with one change each, over three seeds."""
    corpus, rows = Corpus(read_words(names)), []
    for name, change in {"as below": {}, **CHANGES}.items():
        options = {**BASE, **change}
        model = options.pop("model", "lstm")
        vals = [train(corpus, model, seed=seed, **options).loss["val"] for seed in SEEDS]
        rows.append({"name": name, "val": vals})
        console.print(f"{name}: val {statistics.mean(vals):.4f}")
    return rows


def within(file: str, seconds: int) -> dict[str, Any]:
    """Train a list within a time, as a process of its own."""
    return {"file": Path(file).name, "within": seconds, **trained(file, ["--within", str(seconds)])}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the reference list, names.txt")
    parser.add_argument("--only", nargs="+", choices=("ladder", "regularisation", "within", "lists"))
    parser.add_argument("--keep", type=Path, help="folder of the trained nets")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    console, found = Console(width=140), {}
    if arguments.json and arguments.json.exists():
        found = json.loads(arguments.json.read_text())
    parts = arguments.only or ("ladder", "regularisation", "within", "lists")
    if "ladder" in parts:
        found["ladder"] = ladder(arguments.names, arguments.keep, console)
    if "regularisation" in parts:
        found["regularisation"] = {"options": BASE, "rows": regularisation(arguments.names, console)}
    if "within" in parts:
        found["within"] = [within(arguments.names, seconds) for seconds in TIMES]
    if "lists" in parts:
        found["lists"] = [within(name, 10) for name in ("names", "dinosaurs", "minerals", "places")]
    found |= {"data": Path(arguments.names).name, "machine": machine(), "versions": versions()}
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
