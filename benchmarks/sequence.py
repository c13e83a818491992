"""Models of whole words: speed beside PyTorch and BLAS, sampling, shared prefixes, and losses in a given time.

    python benchmarks/sequence.py --names names.txt [--json benchmarks/results/sequence.json] [--only PART...]
    python benchmarks/pages.py       puts the figures of that file into the README and the documentation

The parts are epochs, rates, sharing and losses; losses takes ten minutes. Parts that are left out keep their figures
in the file.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from commands import trained
from machine import alternate, best, machine, versions
from recurrent_loops import nets_loop, products_loop, tape_loop
from rich.console import Console
from rich.table import Table

from moreish import Corpus, read_words, set_threads, train
from moreish.corpus import PARTS
from moreish.engine.protocol import Draw
from moreish.models import NetConfig, make_config
from moreish.models.model import Model

WORDS = 128  # in a batch
ROUND_SECONDS = 1.0  # of each loop
# Model, hidden units, layers, threads.
EPOCHS = (("gru", 256, 1, 2), ("lstm", 256, 1, 2), ("rnn", 256, 1, 2), ("gru", 256, 1, 1), ("gru", 384, 2, 1))
RATED: dict[str, dict[str, Any]] = {"gru": {"epochs": 2}, "transformer": {"epochs": 2}}
DRAWN = 50_000  # words
SHARED: dict[str, Any] = {"n_hidden": 256, "epochs": 6, "dropout": 0.3, "recurrent_dropout": 0.3}
SEEDS = (42, 43, 44)
# What is trained as a whole process, and in how many seconds.
LARGE = ["--model", "gru", "--n-hidden", "512"]
TRAININGS: dict[str, tuple[float, list[str]]] = {
    "gru": (10, ["--model", "gru"]),
    "transformer": (15, ["--model", "transformer"]),
    "gru, a minute": (60, [*LARGE, "--dropout", "0.4", "--epochs", "12", "--lr", "0.004", "--average", "0.998"]),
    "transformer, a minute": (
        60,
        ["--model", "transformer", *("--dropout", "0.1", "--epochs", "30", "--lr", "0.003", "--average", "0.998")],
    ),
    "transformer, 10 minutes": (
        600,
        [
            *("--model", "transformer", "--n-embd", "128", "--dropout", "0.25"),
            *("--epochs", "45", "--lr", "0.002", "--average", "0.999"),
        ],
    ),
    "gru, 20 minutes": (
        1200,
        [
            *(*LARGE, "--dropout", "0.5", "--recurrent-dropout", "0.25"),
            *("--epochs", "30", "--lr", "0.005", "--average", "0.999"),
        ],
    ),
}


def epochs(corpus: Corpus) -> list[dict[str, Any]]:
    """Seconds of an epoch of train words: moreish with and without shared prefixes, PyTorch, and the products alone."""
    rows, steps = [], len(corpus.parts["train"]) / WORDS
    for kind, n_hidden, n_layer, threads in EPOCHS:
        config = make_config(kind, {"n_hidden": n_hidden, "n_layer": n_layer, "dropout": 0.0})
        assert isinstance(config, NetConfig)
        set_threads(threads)
        loops = {
            "moreish": tape_loop(corpus, config, WORDS, shared=True),
            "not shared": tape_loop(corpus, config, WORDS, shared=False),
            "torch": nets_loop(corpus, kind, n_hidden, n_layer, WORDS, threads),
            "products": products_loop(corpus, config, WORDS, threads),
        }
        seconds = {name: s * steps for name, s in alternate(loops, ROUND_SECONDS).items()}
        model = Model(config, corpus.vocab)
        rows.append(
            {"model": kind, "n_hidden": n_hidden, "n_layer": n_layer, "threads": threads}
            | {"parameters": model.n_parameters, "seconds": seconds}
        )
    set_threads(None)
    return rows


def rates(corpus: Corpus) -> list[dict[str, Any]]:
    """Words drawn a second, and seconds of an evaluation of all parts, by models of their default sizes."""
    rows = []
    set_threads(2)
    for name, options in RATED.items():
        model = train(corpus, name, progress=False, **options).model
        draw = partial(model.engine.generate, model.params, DRAWN, Draw(max_length=64))

        def evaluate(model: Model = model) -> None:
            for part in PARTS:
                model.engine.nll(model.params, corpus.stream(part))

        seconds = {"words_per_second": DRAWN / best(draw), "evaluation_seconds": best(evaluate)}
        rows.append({"model": name, "parameters": model.n_parameters, "threads": 2, **seconds})
    set_threads(None)
    return rows


def sharing(corpus: Corpus) -> list[dict[str, Any]]:
    """Losses and seconds of a gru with dropout, with prefixes shared and not, over some seeds."""
    from moreish.engine.words import WordBatches

    rows, drawn = [], WordBatches.drawn
    for shared in (True, False):
        losses, seconds = [], []
        try:
            if not shared:
                WordBatches.drawn = lambda *of, **options: drawn(*of, **{**options, "shared": False})  # type: ignore
            for seed in SEEDS:
                began = time.perf_counter()
                losses.append(train(corpus, "gru", seed=seed, progress=False, **SHARED).loss["val"])
                seconds.append(time.perf_counter() - began)
        finally:
            WordBatches.drawn = drawn
        rows.append({"shared": shared, "val": losses, "seconds": min(seconds)})
    return rows


def losses(names: str) -> list[dict[str, Any]]:
    """Losses of whole processes, from start to exit."""
    return [{"what": what, "limit": limit, **trained(names, options)} for what, (limit, options) in TRAININGS.items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    parts: dict[str, Callable[..., Any]] = {"epochs": epochs, "rates": rates, "sharing": sharing, "losses": losses}
    parser.add_argument("--only", nargs="+", choices=parts, default=list(parts), help="parts to measure")
    arguments = parser.parse_args()
    found = json.loads(arguments.json.read_text()) if arguments.json and arguments.json.exists() else {}
    found |= {"machine": machine(), "versions": versions(), "data": Path(arguments.names).name, "batch": WORDS}
    found |= {"drawn": DRAWN, "sharing_options": SHARED}
    corpus = Corpus(read_words(arguments.names))
    for part in arguments.only:
        found[part] = losses(arguments.names) if part == "losses" else parts[part](corpus)
        if arguments.json:
            arguments.json.write_text(json.dumps(found, indent=2) + "\n")
    show(found)


def show(found: dict[str, Any]) -> None:
    """Print what was measured."""
    console = Console(width=120)
    if "epochs" in found:
        table = Table("model", "threads", *found["epochs"][0]["seconds"], "times as fast as torch", "of products")
        for row in found["epochs"]:
            s = row["seconds"]
            ratios = f"{s['torch'] / s['moreish']:.2f}", f"{s['moreish'] / s['products']:.2f}"
            name = f"{row['model']} {row['n_layer']} x {row['n_hidden']}"
            table.add_row(name, str(row["threads"]), *(f"{x:.2f} s" for x in s.values()), *ratios)
        console.print(table)
    for part in ("rates", "sharing", "losses"):
        if part in found:
            console.print(part, found[part])


if __name__ == "__main__":
    main()
