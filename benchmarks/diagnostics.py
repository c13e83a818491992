"""Cost of --diagnostics: whole trainings with and without it, alternating; the fastest of several counts.

python benchmarks/diagnostics.py --names names.txt [--json benchmarks/results/diagnostics.json]
python benchmarks/pages.py       puts the figures of that file into the README and the documentation
"""

import argparse
import json
from pathlib import Path
from typing import Any

from machine import machine, versions

from moreish import Corpus, read_words, train

ROUNDS = 7
TRAININGS: dict[str, dict[str, Any]] = {
    "mlp": {},
    "wavenet": {"epochs": 2.0},
    "mlp 3 / 10 / 200, batch 32": {
        "block_size": 3,
        "n_embd": 10,
        "n_hidden": 200,
        "batch_size": 32,
        "optimizer": "sgd",
    },
}


def seconds(corpus: Corpus, name: str, options: dict[str, Any], diagnostics: bool) -> float:
    """Train once and return the seconds that the steps took."""
    return train(corpus, name.split()[0], **options, diagnostics=diagnostics).seconds or 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list")
    parser.add_argument("--json", type=Path, help="file for the figures")
    arguments = parser.parse_args()
    corpus, rows = Corpus(read_words(arguments.names)), []
    for name, options in TRAININGS.items():
        best = {on: seconds(corpus, name, options, on) for on in (False, True)}
        for _ in range(ROUNDS):
            for on in best:
                best[on] = min(best[on], seconds(corpus, name, options, on))
        rows.append({"training": name, "off": best[False], "on": best[True], "cost": best[True] / best[False] - 1})
        print(f"{name}: {best[False]:.3f} s, with diagnostics {best[True]:.3f} s: {rows[-1]['cost']:+.1%}")
    if arguments.json:
        found = {"machine": machine(), "versions": versions(), "data": Path(arguments.names).name, "rows": rows}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
