"""Loss against seconds: exact gradients over all train words and mini-batches, for trainings of several lengths.

python benchmarks/fullbatch.py --names names.txt [--json benchmarks/results/fullbatch.json]
python benchmarks/pages.py       puts the figures of that file into the README and the documentation
"""

import argparse
import json
from pathlib import Path
from statistics import median
from typing import Any

from machine import machine, versions

from moreish import Corpus, read_words, set_threads, train
from moreish.engine.batches import Batches

MLP3: dict[str, Any] = {"model": "mlp", "block_size": 3, "n_embd": 10, "n_hidden": 200}
WAYS: dict[str, tuple[dict[str, Any], tuple[int, ...]]] = {
    "batches of 32, SGD": ({"batch_size": 32, "optimizer": "sgd", "lr": 0.1}, (5_000, 20_000, 80_000)),
    "batches of 256, AdamW": ({"batch_size": 256, "lr": 0.012}, (1_000, 4_000, 16_000)),
    "full batch, AdamW": ({"full_batch": True, "lr": 0.03}, (60, 250, 1_000)),
}
SEEDS = (1, 2, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    set_threads(1)
    corpus, rows = Corpus(read_words(arguments.names)), []
    for way, (options, lengths) in WAYS.items():
        for steps in lengths:
            runs = [train(corpus, **MLP3, **options, steps=steps, seed=seed) for seed in SEEDS]
            row = {"way": way, "steps": steps, "seconds": min(run.seconds or 0 for run in runs)}
            rows.append(row | {part: median(run.loss[part] for run in runs) for part in ("train", "val")})
            print("{way}, {steps:,} steps: {seconds:.2f} s, train {train:.4f}, val {val:.4f}".format(**rows[-1]))
    if arguments.json:
        stream = corpus.stream("train")
        found = {"machine": machine(), "versions": versions(), "data": Path(arguments.names).name, "rows": rows}
        found |= {"contexts": Batches.of_all(stream, 3).size, "tokens": len(stream) - 1}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
