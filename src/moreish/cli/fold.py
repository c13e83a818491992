"""Fold BatchNorm into the layers before it.

Writes a run whose model computes the same function without BatchNorm. With its running statistics, BatchNorm is an
affine map; together with the Linear before it, it is a single affine map. Both models are evaluated on val, and nothing
is saved if they differ.

Examples:
  moreish fold runs/names-wavenet --out runs/folded
  moreish fold runs/names-wavenet --calibrate --out runs/folded
"""

from pathlib import Path

import numpy as np

from ..errors import WorkError
from ..training.batchnorm import calibrate as calibrate_model
from ..training.batchnorm import fold as fold_model
from ..training.loading import load
from ..training.run import Run
from .terminal import announce_work, print_text
from .values import Flag

ALLOWED = 1e-3  # nats of difference in the val loss; rounding makes far less


def fold(run: Path, /, *, out: Path, calibrate: Flag = False) -> None:
    """Run `moreish fold`.

    Parameters
    ----------
    run
        Folder of a run whose model has BatchNorm.
    out
        Folder for the folded run.
    calibrate
        First recompute BatchNorm's running statistics over all train words.
    """
    announce_work()
    before = load(run)
    if calibrate:
        calibrate_model(before.model, before.corpus)
    folded = fold_model(before.model)
    stream = before.corpus.stream("val")
    difference = folded.nll(stream) - before.model.nll(stream)
    if not abs(difference.mean()) <= ALLOWED:
        raise WorkError(
            f"the val loss of the folded model is off by {difference.mean():.2g} nats, more than rounding explains: "
            f"nothing was saved; keep using {run}"
        )
    # Diagnostics of the steps are those of other layers.
    history = [{k: v for k, v in line.items() if k not in ("layers", "tensors")} for line in before.history]
    Run(folded, before.corpus, before.options, history, folded=True).save(out)
    sizes = f"{before.model.layout.size:,} to {folded.layout.size:,} parameters"
    print_text(f"folded: {sizes}; losses differ by at most {np.abs(difference).max():.1g} nats per token")
    print_text(f"saved in {out}")
