"""moreish eval"""

from pathlib import Path

from ..analysis.comparison import baseline
from ..corpus import PARTS
from ..errors import unknown
from ..evaluation import evaluate
from ..training.run import load
from .terminal import announce_work, print_json, print_losses
from .values import Flag


def eval(run: Path, /, *, split: str | None = None, no_baseline: Flag = False, json: Flag = False) -> None:
    """`moreish eval`: its text stands in VERBS.

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
