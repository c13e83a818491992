"""Measure the loss of a trained model on train, val and test.

The loss is the mean negative log-likelihood in nats per predicted token: every character, and the end of each word. The
table adds a 95% interval (bootstrap over words), and separate losses for words that are in train and for words that are
not. The last line compares with the n-gram model on the same words.

If the list has weights, losses are weighted by them, and a further column counts each word once. If it has labels, a
word is predicted given its label, and further tables show how often `moreish classify` finds the right label.

Examples:
  moreish eval runs/names-mlp
  moreish eval runs/names-mlp --split test --json
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..analysis.classification import Classifier, Confusion
from ..analysis.comparison import baseline
from ..corpus import PARTS
from ..errors import unknown
from ..evaluation import evaluate
from ..training.loading import load
from .terminal import announce_work, print_json, print_losses, print_table, print_text, say_if_diverged
from .values import Flag, one_of

if TYPE_CHECKING:
    PartName = str
else:
    PartName = one_of(PARTS)


def eval(run: Path, /, *, split: PartName | None = None, no_baseline: Flag = False, json: Flag = False) -> None:
    """Run `moreish eval`.

    Parameters
    ----------
    run
        Folder of a run.
    split
        Measure only this part: train, val or test [default: all three].
    no_baseline
        Do not compare with the n-gram model.
    json
        Print JSON: {"loss": {"train": ..., ...}, "interval": {"train": [low, high], ...}, "bits": ..., "tokens": ...,
        "perplexity": ..., "in_train": ..., "new": ..., "baseline": {"model": "ngram", "loss": {...}}}. For a list with
        weights also "each_once": the loss with each word counted once. For one with labels also "accuracy": {"train":
        ..., ...} and "confusion": {"labels": [...], "train": [[number of words with the label of the row that are taken
        for that of the column, ...], ...], ...}.
    """
    if split is not None and split not in PARTS:
        raise unknown("--split", split, PARTS)
    announce_work()
    loaded = load(run)
    say_if_diverged(loaded)
    parts = PARTS if split is None else (split,)
    evaluation = evaluate(loaded.model, loaded.corpus, parts, intervals=True)
    confusions = {}
    if loaded.model.labels is not None:
        classifier = Classifier(loaded)
        confusions = {part: classifier.confusion(part) for part in parts}
    beside = {} if no_baseline else evaluate(baseline(loaded.corpus).model, loaded.corpus, parts).loss
    if json:
        more = {"accuracy": {part: found.accuracy for part, found in confusions.items()}} if confusions else {}
        more |= {"confusion": _confusion_json(confusions)} if confusions else {}
        more |= {"baseline": {"model": "ngram", "loss": beside}} if beside else {}
        print_json({**evaluation.as_json(), **more})
        return
    print_losses(evaluation)
    for part, found in confusions.items():
        print_confusion(part, found)
    if beside:
        losses = ", ".join(f"{part} {loss:.4f}" for part, loss in beside.items())
        print_text(f"\nfor comparison, the n-gram model (moreish train --model ngram): {losses}")


def _confusion_json(confusions: dict[str, Confusion]) -> dict[str, Any]:
    """Return the counts of each part for JSON, and the labels of their rows and columns."""
    counts = {part: found.counts.tolist() for part, found in confusions.items()}
    return {"labels": list(next(iter(confusions.values())).labels), **counts}


def print_confusion(part: str, found: Confusion) -> None:
    """Print how the words of a part are classified."""
    print_text(f"\n{part}: label accuracy {found.accuracy:.1%}")
    print_table(*found.table())
