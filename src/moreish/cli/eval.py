"""moreish eval"""

from pathlib import Path

from ..comparison import baseline
from ..corpus import PARTS
from ..errors import unknown
from ..evaluation import evaluate
from ..run import load
from .terminal import announce_work, print_json, print_losses
from .values import Flag


def eval(run: Path, /, *, split: str | None = None, json: Flag = False) -> None:
    """`moreish eval`: its text stands in VERBS.

    Parameters
    ----------
    run
        Folder of a run.
    split
        Only this part: train, val or test [default: all three].
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
    counted = evaluate(baseline(loaded.corpus).model, loaded.corpus, parts).loss
    if json:
        print_json({**evaluation.as_json(), "baseline": {"model": "ngram", "loss": counted}})
    else:
        print_losses(evaluation)
        losses = ", ".join(f"{part} {loss:.4f}" for part, loss in counted.items())
        print(f"\nbeside it, what counting gives (moreish train --model ngram): {losses}")
