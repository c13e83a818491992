"""Novelty of the words of each model, beside held-out words, and the time to measure it.

python benchmarks/novelty.py --names names.txt [--json benchmarks/results/novelty.json]
python benchmarks/pages.py       puts the figures of that file into the README and the documentation
"""

import argparse
import json
from pathlib import Path
from typing import Any

from machine import ROUNDS, best, machine, versions

from moreish import Corpus, Novelty, novelty, read_words, set_threads, train

MODELS_BY_LABEL = {"bigram counts": "bigram-counts", "n-gram counts": "ngram", "mlp": "mlp", "wavenet": "wavenet"}
TIMED_MODEL = "mlp"
SAMPLES = 10_000


def without_words(name: str, found: Novelty) -> dict[str, Any]:
    """Novelty of a model as JSON, without the words."""
    return {"name": name, **{k: v for k, v in found.as_json().items() if k != "words"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    set_threads(1)
    words, splits, seconds, train_words = read_words(arguments.names), {}, {}, 0
    for split in ("lecture", "distinct"):
        corpus, splits[split] = Corpus(words, split), []
        for name, model in MODELS_BY_LABEL.items():
            run = train(corpus, model)
            found = novelty(run, SAMPLES)
            splits[split].append(without_words(name, found))
            print(f"\n{split}: {name}", *found.verdicts, sep="\n")
            if name == TIMED_MODEL and not seconds:
                train_words = len(corpus.parts["train"])
                seconds["novelty"] = best(lambda run=run: novelty(run, SAMPLES))
                seconds["sampling"] = best(lambda run=run: run.model.sample(SAMPLES))
    print(
        f"\n{SAMPLES:,} samples against {train_words:,} train words: {seconds['novelty']:.2f} s, the best of {ROUNDS}"
    )
    if arguments.json:
        found = {"machine": machine(), "versions": versions(), "data": Path(arguments.names).name, "splits": splits}
        found |= {"seconds": seconds, "train_words": train_words}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
