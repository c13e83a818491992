"""Predict the labels of words, with a model that was trained with --labels.

Give words as arguments, or - to read any number of them from standard input, one per line. The probability of a label
follows from the probability of the word with each label, by Bayes' rule, calibrated on val. `moreish eval` tells how
often the most likely label is right.

Each word gives one line of output: on a terminal the word and its most likely labels; elsewhere the word, the most
likely label and its probability, separated by tabs, with escapes as in `moreish score`. A blank line of standard input
gives a line with empty fields (in JSON the label null and no probabilities), so that input and output correspond line
by line.

Examples:
  moreish train people.csv --column name --labels country --out runs/people
  moreish classify runs/people giovanna björn
  moreish classify runs/people - --json < words.txt > labels.jsonl
"""

import json as json_module
from collections.abc import Sequence
from pathlib import Path

from ..analysis.classification import Classification, Classifier
from ..files import standard_input
from ..training.loading import load
from .candidates import write_lines
from .lines import escaped, given_words, read_lines
from .terminal import announce_work, on_terminal, print_table
from .values import Flag

SHOWN = 3  # labels of a word on a terminal
BLANK = {"word": "", "label": None, "probabilities": {}}  # the object of a blank line


def classify(run: Path, /, *words: str, json: Flag = False) -> None:
    """Run `moreish classify`.

    Parameters
    ----------
    run
        Folder of a run whose list has labels.
    words
        Words; or a single -, to read words from standard input, one per line.
    json
        Print a JSON object for each word, on one line: {"word": ..., "label": the most likely, "probabilities":
        {label: ..., ...}}.
    """
    given = given_words(words, "label")
    announce_work()
    classifier = Classifier(load(run))
    if given is not None:
        found = list(classifier.each(given))
        _write(found, json) if json or not on_terminal() else _show(found)
        return
    from .progress import counting

    with counting("words", hidden=on_terminal()) as count:
        for lines in read_lines(standard_input()):
            found = classifier.each(filter(None, lines))
            _write([next(found) if word else None for word in lines], json)
            count(len(lines))


def _write(found: Sequence[Classification | None], json: bool) -> None:
    """Write a line for each word; None is that of a blank line."""
    if json:
        lines = [json_module.dumps(word.as_json() if word else BLANK) for word in found]
    else:
        lines = ["\t".join(_fields(word)) if word else "\t\t" for word in found]
    write_lines(lines)


def _fields(word: Classification) -> list[str]:
    return [*escaped([word.word, word.label]), f"{word.probabilities[word.label]:.4f}"]


def _show(found: Sequence[Classification]) -> None:
    """Print each word with its likeliest labels."""
    rows = []
    for name, word in zip(escaped([word.word for word in found]), found, strict=True):
        ranked = sorted(word.probabilities.items(), key=lambda pair: -pair[1])[:SHOWN]
        rows.append([name, *(f"{escaped([label])[0]} {p:.1%}" for label, p in ranked)])
    print_table(["word", "label", *[""] * (max(map(len, rows), default=2) - 2)], rows)
