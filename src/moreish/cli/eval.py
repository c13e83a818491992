"""moreish eval"""

from pathlib import Path

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
        "perplexity": ..., "in_train": ..., "new": ...}.
    """
    if split is not None and split not in PARTS:
        raise unknown("--split", split, PARTS)
    announce_work()
    loaded = load(run)
    evaluation = evaluate(loaded.model, loaded.corpus, PARTS if split is None else (split,), intervals=True)
    if json:
        print_json(evaluation.as_json())
    else:
        print_losses(evaluation)
