"""Speed: microseconds per training step, against PyTorch's eager loop and the step's own matrix products.

    python benchmarks/speed.py [--names names.txt] [--json benchmarks/results/speed.json]
    python benchmarks/pages.py       puts the figures of that file into the README and the documentation

Each ratio compares two loops that alternate in one run, on one thread each, best of several rounds: on a shared machine
only ratios can be compared. "products" are the matrix products of the step as the lecture writes it, three for each
Linear, by the BLAS that SciPy includes, called from compiled code.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from loops import ROUNDS, alternate, module_loop, products_loop, tape_loop, torch_loop
from machine import machine, versions
from rich.console import Console
from rich.table import Table

from moreish import Corpus, bundled, read_words, set_threads, train
from moreish.engine.tape.cache import cache_folder
from moreish.models import MLP, WaveNet

MLP4, MLP3 = (MLP(block_size=n, n_embd=10, n_hidden=200) for n in (4, 3))
# The models and the batch sizes. Sizes are context / embedding / hidden.
NETS: dict[str, tuple[MLP | WaveNet, tuple[int, ...]]] = {
    "mlp 4 / 10 / 200": (MLP4, (32, 64, 256)),
    "mlp 3 / 10 / 200": (MLP3, (32,)),
    "mlp 3 / 10 / 200, BatchNorm": (MLP(block_size=3, n_embd=10, n_hidden=200, batch_norm=True), (32,)),
    "wavenet 8 / 24 / 128": (WaveNet(block_size=8, n_embd=24, n_hidden=128), (32, 128)),
}


def step_rows(corpus: Corpus) -> list[dict]:
    rows = []
    for name, (config, batches) in NETS.items():
        for batch in batches:
            loops = {"moreish": tape_loop(corpus, config, batch), "products": products_loop(corpus, config, batch)}
            loops["adamw"] = tape_loop(corpus, config, batch, "adamw")
            if "torch" in VERSIONS:
                if isinstance(config, MLP) and not config.batch_norm:
                    loops["torch"] = torch_loop(corpus, config, batch)
                else:
                    loops["torch"] = module_loop(corpus, config, batch)
            best = {name: seconds * 1e6 for name, seconds in alternate(loops).items()}
            row = {"model": name, "batch": batch, "us": best, "of_products": best["moreish"] / best["products"]}
            if "torch" in best:
                row["times_torch"] = best["torch"] / best["moreish"]
            rows.append(row)
    return rows


def torch_rows(corpus: Corpus) -> list[dict]:
    """PyTorch in several ways, on one and two threads, and the tape on one."""
    rows = []
    for batch in (32, 64):
        ways = [(how, threads) for how in ("eager", "compiled", "by hand") for threads in (1, 2)]
        loops = {
            f"{how}, {threads} thread{'s' * (threads > 1)}": torch_loop(corpus, MLP4, batch, how, threads)
            for how, threads in ways
        }
        best = alternate({"moreish": tape_loop(corpus, MLP4, batch), **loops})
        rows.append({"batch": batch, "us": {name: seconds * 1e6 for name, seconds in best.items()}})
    return rows


def sampling_row(corpus: Corpus) -> dict:
    """Names per second from a trained mlp 4/10/200, on one core, with the conversion to strings."""
    run, n = train(corpus, block_size=4, n_embd=10, n_hidden=200), 100_000
    best, words = float("inf"), []
    for seed in range(ROUNDS):
        began = time.perf_counter()
        words = run.model.sample(n, seed=seed)
        best = min(best, time.perf_counter() - began)
    return {
        "mlp": "4 / 10 / 200",
        "names_per_second": n / best,
        "characters_per_second": sum(map(len, words)) / best,
    }


def process_rows(names: str | None) -> dict:
    """Seconds of whole processes: a default training with an empty cache, then with a warm one, alternating."""
    command, rows = (
        [sys.executable, "-m", "moreish", "train", "--threads", "1", *([names] if names else []), "--out"],
        {},
    )
    kept = cache_folder()
    if kept is not None:
        shutil.rmtree(kept)
    with tempfile.TemporaryDirectory() as folder:
        rows["train_cold"] = _timed([*command, f"{folder}/cold"])
        for i in range(ROUNDS):
            kinds = {
                "train_warm": [*command, f"{folder}/warm{i}"],
                "import_numpy": [sys.executable, "-c", "import numpy"],
            }
            if "torch" in VERSIONS:
                kinds["import_torch"] = [sys.executable, "-c", "import torch"]
            for kind, line in kinds.items():
                rows[kind] = min(rows.get(kind, float("inf")), _timed(line))
    return rows


def _timed(command: list[str]) -> float:
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - began


VERSIONS = versions()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", help="word list to measure on (default: the bundled names)")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    set_threads(1)
    corpus = Corpus(read_words(arguments.names) if arguments.names else bundled())
    steps = step_rows(corpus)
    found: dict[str, Any] = {
        "machine": machine(),
        "versions": VERSIONS,
        "threads": 1,
        "data": Path(arguments.names).name if arguments.names else "bundled names",
        "step": steps,
        "torch": torch_rows(corpus) if "torch" in VERSIONS else [],
        "sampling": sampling_row(corpus),
        "process_seconds": process_rows(arguments.names),
    }
    table = Table(title=f"{found['machine']['processor']}, one thread: microseconds a step", title_justify="left")
    for column in (
        "model",
        "batch",
        "moreish sgd",
        "adamw",
        "its products by BLAS",
        "PyTorch eager",
        "of products",
        "times PyTorch",
    ):
        table.add_column(column, justify="right")
    for row in found["step"]:
        us = row["us"]
        table.add_row(
            row["model"],
            str(row["batch"]),
            *(f"{us[k]:.1f}" for k in ("moreish", "adamw", "products")),
            f"{us['torch']:.1f}" if "torch" in us else "-",
            f"{row['of_products']:.2f}",
            f"{row['times_torch']:.1f}" if "times_torch" in row else "-",
        )
    console = Console(width=120)
    console.print(table)
    for row in found["torch"]:
        ways = ", ".join(f"{name} {us:.0f}" for name, us in row["us"].items())
        console.print(f"mlp 4/10/200, batch {row['batch']}, us a step: {ways}")
    console.print(f"sampling: {found['sampling']['names_per_second']:,.0f} names a second")
    console.print("whole processes: " + ", ".join(f"{k} {v:.2f} s" for k, v in found["process_seconds"].items()))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
