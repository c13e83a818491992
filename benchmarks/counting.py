"""N-gram counts: the loss of each smoothing by the order and by the tokens in front of a word.

python benchmarks/counting.py --names names.txt [--json benchmarks/results/counting.json]
python benchmarks/pages.py       puts the figures of that file into the documentation
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, versions

from moreish import Corpus, read_words
from moreish.ngram import SMOOTHINGS, Automaton, Tables, count_tables, smoothed
from moreish.ngram.fitting import evidence, fit_loss, fit_strengths, trace_tokens

ORDERS = range(2, 9)
ADDED = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=Path, required=True, help="the list of words")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    corpus = Corpus(read_words(arguments.names))
    found = {
        "machine": machine(),
        "versions": versions(),
        "data": arguments.names.name,
        "added": ADDED,
        "smoothing": [loss_by_start(corpus, order) for order in ORDERS],
    }
    print(json.dumps(found, indent=2))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=2) + "\n")


def loss_by_start(corpus: Corpus, order: int) -> dict[str, Any]:
    """Val loss of each smoothing, with padded words and with one token in front of them.

    "own strengths" is fitted smoothing with one token, and strengths of their own for the contexts that begin a word.
    """
    train, val, V = corpus.stream("train"), corpus.stream("val"), len(corpus.vocab)
    row: dict[str, Any] = {"order": order}
    for name, padded in (("padded", True), ("one", False)):
        tables = count_tables(train, order, V, padded=padded)
        row[name] = {}
        for smoothing in SMOOTHINGS:
            arrays = smoothed(tables, smoothing, ADDED, val)
            row[name][smoothing] = float(Automaton(order, V, arrays).nll(np.zeros(0), val).mean())
            if smoothing == "fitted":
                row[f"strengths, {name}"] = arrays["strengths"].tolist()
        if not padded:
            row["own strengths"], strengths = fitted_apart(tables, val)
            row["strengths, inside"], row["strengths, beginning"] = (
                strengths[:, ::2].tolist(),
                strengths[:, 1::2].tolist(),
            )
    return row


def fitted_apart(tables: Tables, val: np.ndarray) -> tuple[float, np.ndarray]:
    """Val loss and strengths (3, 2 order): of contexts inside a word and at its beginning, order after order."""
    nodes, entries = trace_tokens(tables, val, np.arange(len(val) - 1))
    begins = (nodes >= 0) & tables.outer_end[nodes]
    apart = [
        np.stack([np.where(begins, -1, found), np.where(begins, found, -1)], axis=2).reshape(len(nodes), -1)
        for found in (nodes, entries)
    ]
    tokens = evidence(tables, *apart)
    a, b, d, _ = fit_strengths(tokens, tables.n_vocab)
    return fit_loss(tokens, tables.n_vocab)(np.concatenate([np.log(a), np.log(b), np.log(d / (1 - d))]))[0], np.array(
        [a, b, d]
    )


if __name__ == "__main__":
    main()
