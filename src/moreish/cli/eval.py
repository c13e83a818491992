"""moreish eval"""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ..corpus import PARTS
from ..errors import InputError, nearest
from ..evaluation import evaluate
from ..run import load
from .terminal import announce_work, print_json, print_losses


def eval(run: Path, /, *, split: str | None = None, json: Annotated[bool, Parameter(negative="")] = False) -> None:
    """Measure the loss of a trained model on its train, val and test words.

    The loss is the mean negative log-likelihood in nats a predicted token: every character, and the end of each word.

    Parameters
    ----------
    run
        Folder of a run.
    split
        Only this part: train, val or test [default: all three].
    json
        Print JSON: {"loss": {"train": ..., ...}, "bits": ..., "perplexity": ..., "tokens": ...}.
    """
    if split is not None and split not in PARTS:
        raise InputError(f"--split is {split!r}{nearest(split, list(PARTS))}; it must be one of {', '.join(PARTS)}")
    announce_work()
    loaded = load(run)
    evaluation = evaluate(loaded.model, loaded.corpus, PARTS if split is None else (split,))
    if json:
        print_json(evaluation.as_json())
    else:
        print_losses(evaluation.loss, evaluation.bits, evaluation.perplexity)
