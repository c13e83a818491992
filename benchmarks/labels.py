"""Accuracy of models in telling labels apart, and of their samples in keeping to a label.

    python benchmarks/labels.py [--json benchmarks/results/labels.json]
    python benchmarks/pages.py       puts the figures of that file into the documentation

The list is made of the four bundled lists; the label of a word is the name of its list. It is taken as it stands, where
only places have capitals, spaces and accents, and in lower case. For comparison, the n-gram model of order 4 is also
trained on the words of each label alone. Words drawn under a label are classified by a judge, a wavenet of another
seed, and so are the test words of that label.
"""

import argparse
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine, versions
from rich.console import Console
from rich.table import Table

from moreish import Classifier, Corpus, Model, Run, WordList, bundled, evaluate, set_threads, train
from moreish.evaluation import part_nll
from moreish.models.ngram import NGram
from moreish.ngram import count_tables, smoothed

LISTS = ("names", "dinosaurs", "minerals", "places")
MODELS = ("ngram", "mlp", "wavenet")
APART = NGram(order=4)  # of each label
JUDGE_SEED = 7
SAMPLES = 2000  # words of each label
PARTS = ("val", "test")


def labelled(lower: bool) -> WordList:
    """The words of all lists, each with the name of its list as label, without repeats of a pair."""
    pairs = ((lowered(word) if lower else word, name) for name in LISTS for word in bundled(name))
    words, labels = zip(*dict.fromkeys(pairs), strict=True)
    return WordList.of(words).with_labels(labels)


def lowered(word: str) -> str:
    """A word in lower case; that of İ is i, without a combining dot."""
    return word.lower().replace("i\u0307", "i")


def trained_apart(corpus: Corpus) -> list[Model]:
    """A model for each label, trained on its words alone."""
    models = []
    for label in range(len(corpus.label_names)):
        tables = count_tables(corpus.stream("train", label), APART.order, len(corpus.vocab))
        arrays = smoothed(tables, APART.smoothing, APART.added, corpus.stream("val", label))
        models.append(Model(APART, corpus.vocab, arrays=arrays))
        models[-1].longest = max(map(len, corpus.words))
    return models


def bayes(models: Sequence[Model], corpus: Corpus, words: Sequence[str]) -> np.ndarray:
    """Probability of each label for each word by Bayes' rule, (words, labels)."""
    ends = np.cumsum([len(word) + 1 for word in words])
    log_p = np.array([-np.diff(np.cumsum(m.nll_of_words(words)[0])[ends - 1], prepend=0) for m in models]).T
    log_p += np.log(corpus.label_shares)
    p = np.exp(log_p - log_p.max(1, keepdims=True))
    return p / p.sum(1, keepdims=True)


def told(p: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Share of the words (W,) whose likeliest label is theirs, and the mean probability of the likeliest label."""
    return {"accuracy": float((p.argmax(1) == labels).mean()), "confidence": float(p.max(1).mean())}


def kept(models: Sequence[Model], judge: Classifier) -> list[float]:
    """Share of the words drawn from the model of each label that the judge takes for it."""
    drawn = (model.sample(SAMPLES, seed=1) for model in models)
    return [float((judge.probabilities(words).argmax(1) == label).mean()) for label, words in enumerate(drawn)]


def measure_run(run: Run, judge: Classifier) -> dict[str, Any]:
    """The figures of a model with labels."""
    loss, classifier, corpus = evaluate(run.model, run.corpus, PARTS).loss, Classifier(run), run.corpus
    models = [run.model.given(label) for label in corpus.label_names]
    found = measure(models, corpus, judge) | {"model": run.model.name, "loss": loss}
    found["calibrated"] = {p: told(classifier.probabilities(corpus.parts[p]), corpus.labels(p)) for p in PARTS}
    return found


def measure_apart(corpus: Corpus, judge: Classifier) -> dict[str, Any]:
    """The figures of the models of each label alone."""
    models, loss = trained_apart(corpus), {}
    for part in PARTS:
        nll, tokens = part_nll(lambda stream, label: models[label].nll(stream), corpus, part)
        loss[part] = float(nll.sum() / tokens.sum())
    return measure(models, corpus, judge) | {"model": "apart", "loss": loss}


def measure(models: Sequence[Model], corpus: Corpus, judge: Classifier) -> dict[str, Any]:
    """Accuracy of one model a label by Bayes' rule alone, and of their samples in keeping to a label."""
    by_rule = {p: told(bayes(models, corpus, corpus.parts[p]), corpus.labels(p)) for p in PARTS}
    return {"bayes": by_rule, "kept": kept(models, judge)}


def compare(lower: bool) -> dict[str, Any]:
    """The figures of all models on the list."""
    corpus = Corpus(labelled(lower))
    judge = Classifier(train(corpus, "wavenet", seed=JUDGE_SEED))
    sizes = {part: np.bincount(corpus.labels(part), minlength=len(LISTS)).tolist() for part in ("train", *PARTS)}
    repeated = [word for word, times in Counter(corpus.words).items() if times > 1]
    held_out = judge.confusion("test")
    rows = [measure_run(train(corpus, model), judge) for model in MODELS]
    return {
        "lower": lower,
        "labels": corpus.label_names,
        "words": sizes,
        "ambiguous": float(np.isin(corpus.parts["test"], repeated).mean()),
        "held_out": held_out.recall.tolist(),
        "confusion": held_out.counts.tolist(),
        "rows": [*rows, measure_apart(corpus, judge)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write the figures")
    arguments = parser.parse_args()
    set_threads(1)
    found = [compare(lower) for lower in (False, True)]
    for of_list in found:
        table = Table("model", "val", "test", "accuracy", "by Bayes' rule", *of_list["labels"])
        table.add_row("held-out", "", "", "", "", *(f"{share:.1%}" for share in of_list["held_out"]))
        for row in of_list["rows"]:
            accuracies = (row[k]["test"]["accuracy"] if k in row else float("nan") for k in ("calibrated", "bayes"))
            cells = [f"{row['loss'][p]:.3f}" for p in PARTS] + [f"{share:.1%}" for share in (*accuracies, *row["kept"])]
            table.add_row(row["model"], *cells)
        Console(width=120).print(table)
    if arguments.json:
        about = {"machine": machine(), "versions": versions(), "data": LISTS, "threads": 1}
        about |= {"samples": SAMPLES, "judge_seed": JUDGE_SEED, "order": APART.order}
        arguments.json.write_text(json.dumps({**about, "lists": found}, indent=2) + "\n")


if __name__ == "__main__":
    main()
