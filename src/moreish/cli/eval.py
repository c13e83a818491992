"""Measure the loss of a trained model on train, val and test.

The loss is the mean negative log-likelihood in nats per predicted token: every character, and the end of each word. The
table adds a 95% interval (bootstrap over words), and separate losses for words that are in train and for words that are
not. The last line compares with the n-gram model on the same words.

Examples:
  moreish eval runs/names-mlp
  moreish eval runs/names-mlp --split test --json
"""

from pathlib import Path

from ..analysis.comparison import baseline
from ..corpus import PARTS
from ..errors import unknown
from ..evaluation import evaluate
from ..training.run import load
from .terminal import announce_work, print_json, print_losses
from .values import Flag


def eval(run: Path, /, *, split: str | None = None, no_baseline: Flag = False, json: Flag = False) -> None:
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
        "perplexity": ..., "in_train": ..., "new": ..., "baseline": {"model": "ngram", "loss": {...}}}.
    """
    if split is not None and split not in PARTS:
        raise unknown("--split", split, PARTS)
    announce_work()
    loaded = load(run)
    parts = PARTS if split is None else (split,)
    evaluation = evaluate(loaded.model, loaded.corpus, parts, intervals=True)
    beside = {} if no_baseline else evaluate(baseline(loaded.corpus).model, loaded.corpus, parts).loss
    if json:
        print_json({**evaluation.as_json(), **({"baseline": {"model": "ngram", "loss": beside}} if beside else {})})
        return
    print_losses(evaluation)
    if beside:
        losses = ", ".join(f"{part} {loss:.4f}" for part, loss in beside.items())
        print(f"\nfor comparison, the n-gram model (moreish train --model ngram): {losses}")
