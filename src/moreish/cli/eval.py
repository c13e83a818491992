"""Measure the loss of a trained model on its train, val and test words.

The loss is the mean negative log-likelihood in nats per predicted token: every character, and the end of each word.
Beside it stand a 95% interval, by drawing the words again, and the loss apart of words that stand in train too and of
words that do not; beneath, what counting gives on the same parts.

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
        Only this part: train, val or test [default: all three].
    no_baseline
        Do not count the n-gram model on the same words, to show its losses beside.
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
        print(f"\nbeside it, what counting gives (moreish train --model ngram): {losses}")
