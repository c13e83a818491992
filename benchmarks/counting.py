"""N-gram counts: their losses by smoothing, and their cost beside other programs.

    python benchmarks/counting.py --names names.txt [--only PART ...] [--json benchmarks/results/counting.json]
    python benchmarks/pages.py       puts the figures of that file into the README and the documentation

smoothing   val loss of each smoothing, by the order and by the tokens in front of a word
counting    seconds and memory of counting and smoothing the same words by modified Kneser-Ney, as whole processes from
            a file of words to a file of the model, beside KenLM's lmplz
scoring     seconds and memory of scoring a million words, beside KenLM's query
words       seconds from a word list to the first twenty new words, beside markovify and namemaker

Programs that are compared run in turns; those that are not installed are left out. KenLM takes words with a space after
each character; writing these is not timed. Parts that are not measured keep their figures in the file. All of it takes
about six minutes.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from counting_peers import counting_part, scoring_part, words_part
from machine import machine, versions

from moreish import Corpus, read_words
from moreish.ngram import SMOOTHINGS, Automaton, Tables, count_tables, smoothed
from moreish.ngram.fitting import evidence, fit_loss, fit_strengths, trace_tokens

ORDERS = range(2, 9)
ADDED = 0.1


def smoothing_part(arguments: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure the losses at all orders."""
    corpus = Corpus(read_words(arguments.names))
    return [loss_by_start(corpus, order) for order in ORDERS]


PARTS: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]] = {
    "smoothing": smoothing_part,
    "counting": counting_part,
    "scoring": scoring_part,
    "words": words_part,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=Path, required=True, help="the list of words")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="parts to measure")
    parser.add_argument("--lmplz", default=shutil.which("lmplz"), help="KenLM's lmplz, if it is not on the PATH")
    parser.add_argument("--lmplz-memory", default="1G", help="the memory that lmplz may use")
    parser.add_argument("--query", default=shutil.which("query"), help="KenLM's query, if it is not on the PATH")
    parser.add_argument("--peers", default=sys.executable, help="a Python that has markovify and namemaker")
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    known = arguments.json and arguments.json.exists()
    found: dict[str, Any] = json.loads(arguments.json.read_text(encoding="utf-8")) if known else {}
    for part in arguments.only:
        about = {"machine": machine(), "versions": versions(), "data": arguments.names.name}
        found[part] = {**about, "rows": PARTS[part](arguments)}
        if part == "smoothing":
            found[part]["added"] = ADDED
        elif part in ("counting", "scoring"):
            found[part]["lmplz_memory"] = arguments.lmplz_memory
        if arguments.json:
            arguments.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


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
