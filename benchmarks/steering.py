"""Speed of sampling, with and without constraints, and the method that draws the words.

python benchmarks/steering.py --names names.txt [--json benchmarks/results/steering.json]
python benchmarks/pages.py       puts the figures of that file into the README and the documentation
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from machine import best, machine, versions
from rich.console import Console
from rich.table import Table

from moreish import Corpus, InputError, read_words, set_threads, train

UNCONSTRAINED = {"ngram": 1_000_000, "mlp": 200_000, "wavenet": 50_000, "gru": 50_000, "transformer": 50_000}  # words
FEW, MANY = 20, 10_000  # words to draw with constraints
SEEDS = range(8)  # over which the effective sample size is averaged
MODELS: dict[str, dict[str, Any]] = {
    "ngram": {},
    "mlp": {},
    "mlp, context 3": {"block_size": 3},
    "wavenet": {},
    "gru": {},
    "transformer": {},
}
CONSTRAINTS: dict[str, dict[str, Any]] = {
    "`m??a*`": {"pattern": "m??a*"},
    "`m??a`": {"pattern": "m??a"},
    "5 to 8 characters": {"min_length": 5, "max_length": 8},
    "ends with ella": {"suffix": "ella"},
    "has zz": {"contains": "zz"},
    "has x, y and z": {"require": "xyz"},
    "`*q[^u]*`, no e, i, o, u": {"pattern": "*q[^u]*", "forbid": "eiou"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    set_threads(1)
    corpus = Corpus(read_words(arguments.names))
    models = {name: train(corpus, name.split(",")[0], **options).model for name, options in MODELS.items()}
    rates = {name: n / best(lambda m=models[name], n=n: m.sample(n)) for name, n in UNCONSTRAINED.items()}
    rows = []
    for name, model in models.items():
        for label, constraints in CONSTRAINTS.items():
            words = model.sample(FEW, **constraints)  # loads the kernels, and counts the n-gram that looks ahead
            took: dict[int, float | None] = {}
            for n in (FEW, MANY):
                try:
                    took[n] = best(lambda m=model, c=constraints, n=n: m.sample(n, **c))
                except InputError:  # too few such words among the tries
                    took[n] = None
            about = {"model": name, "asked": label, "method": words.method, "share": words.share}
            if words.effective is not None:  # draws of the same variance, for each draw
                drawn = [model.sample(FEW, seed=seed, **constraints).effective or 1.0 for seed in SEEDS]
                about["effective"] = 1 / float(np.mean([1 / share for share in drawn]))
            rows.append({**about, "seconds": took})
    table = Table(*("model", "constraints", "method", "share", "effective", f"{FEW} words", f"{MANY:,} words"))
    for row in rows:
        seconds = ("" if s is None else f"{s:.3f} s" for s in row["seconds"].values())
        effective = f"{row['effective']:.0%}" if "effective" in row else ""
        table.add_row(row["model"], row["asked"], row["method"], f"{row['share']:.2g}", effective, *seconds)
    Console(width=120).print(table)
    for name, rate in rates.items():
        print(f"{name}, no constraints: {rate:,.0f} words a second")
    if arguments.json:
        found = {"machine": machine(), "versions": versions(), "data": Path(arguments.names).name}
        found |= {"words_per_second": rates, "rows": rows}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
