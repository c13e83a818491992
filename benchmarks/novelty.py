"""How new the words of each model are, beside held-out words, and how long it takes to find out.

python benchmarks/novelty.py --names names.txt [--json benchmarks/results/novelty.json]
python benchmarks/pages.py       puts the figures of that file into the README and the documentation
"""

import argparse
import json
from pathlib import Path

from machine import ROUNDS, best, machine, versions

from moreish import Corpus, Novelty, novelty, read_words, set_threads, train
from moreish.corpus.split import SPLITS

MODELS = {"bigram counts": "bigram-counts", "n-gram counts": "ngram", "mlp": "mlp", "wavenet": "wavenet"}
TIMED = "mlp"
N = 10_000


def told(name: str, found: Novelty) -> dict:
    """What is kept of a model's novelty: all but its words."""
    return {"name": name, **{k: v for k, v in found.as_json().items() if k != "words"}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", required=True, help="the word list")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    set_threads(1)
    words, splits, seconds, train_words = read_words(arguments.names), {}, {}, 0
    for split in SPLITS:
        corpus, splits[split] = Corpus(words, split), []
        for name, model in MODELS.items():
            run = train(corpus, model)
            found = novelty(run, N)
            splits[split].append(told(name, found))
            print(f"\n{split}: {name}", *found.verdicts, sep="\n")
            if name == TIMED and not seconds:
                train_words = len(corpus.parts["train"])
                seconds["novelty"] = best(lambda run=run: novelty(run, N))
                seconds["sampling"] = best(lambda run=run: run.model.sample(N))
    print(f"\n{N:,} samples against {train_words:,} train words: {seconds['novelty']:.2f} s, the best of {ROUNDS}")
    if arguments.json:
        found = {"machine": machine(), "versions": versions(), "data": Path(arguments.names).name, "splits": splits}
        found |= {"seconds": seconds, "train_words": train_words}
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
