"""Mix several trained models into one, with weights fitted on val.

The mixture is a run like any other: use it with sample, eval or mix. All runs must have the same words, with the
same weights and labels, and the same split and characters.

Examples:
  moreish mix runs/names-ngram runs/names-wavenet --out runs/mixed
  moreish mix runs/a runs/b runs/c --log-linear --out runs/mixed
"""

import shlex
from pathlib import Path

from ..evaluation import Evaluation
from ..training.mixing import mix as mix_runs
from ..training.run import load
from .terminal import announce_work, print_losses, print_table, print_text
from .values import Flag


def mix(*runs: Path, out: Path, log_linear: Flag = False) -> None:
    """Run `moreish mix`.

    Parameters
    ----------
    runs
        Folders of two or more runs on the same words and split.
    out
        Folder for the mixture.
    log_linear
        Mix log-linearly: multiply powers of the probabilities instead of taking their weighted mean.
    """
    announce_work()
    loaded = [load(run) for run in runs]
    mixture = mix_runs(loaded, "log-linear" if log_linear else "linear").save(out)
    weights = mixture.model.weights["weights"]
    rows = [
        (str(run.path), run.model.name, f"{weight:.3f}", f"{run.loss['val']:.4f}", f"{run.loss['test']:.4f}")
        for run, weight in zip(loaded, weights, strict=True)
    ]
    print_table(["run", "model", ">weight", ">val", ">test"], rows)
    print()
    print_losses(Evaluation(mixture.loss, {}))
    mixture.keep_loss()
    print_text(f"\nsaved in {out}; new words with: {shlex.join(['moreish', 'sample', str(out)])}")
