"""moreish fold"""

from pathlib import Path

import numpy as np

from ..batchnorm import calibrate as calibrate_model
from ..batchnorm import fold as fold_model
from ..errors import WorkError
from ..run import Run, load
from .terminal import announce_work
from .values import Flag

ALLOWED = 1e-3  # nats: rounding in float32 comes to a hundredth of it


def fold(run: Path, /, *, out: Path, calibrate: Flag = False) -> None:
    """`moreish fold`: its text stands in VERBS.

    Parameters
    ----------
    run
        Folder of a run whose model has BatchNorm.
    out
        Folder for the folded run.
    calibrate
        First take BatchNorm's running statistics over all train words.
    """
    announce_work()
    before = load(run)
    if calibrate:
        calibrate_model(before.model, before.corpus)
    folded = fold_model(before.model)
    stream = before.corpus.stream("val")
    difference = float(np.abs(folded.nll(stream) - before.model.nll(stream)).max())
    if not difference <= ALLOWED:
        raise WorkError(f"the folded model differs by {difference:.2g} nats on a val token: nothing was saved")
    Run(folded, before.corpus, before.options, before.history).save(out)
    sizes = f"{before.model.layout.size:,} to {folded.layout.size:,} numbers"
    print(f"{folded.name}: {sizes}; largest difference on a val token: {difference:.2g} nats")
    print(f"saved in {out}")
