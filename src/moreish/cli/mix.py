"""Mix several trained models into one, with weights fitted on val.

The mixture is a run like any other: use it with sample, eval or mix. All runs must have the same words, with the
same weights and labels, and the same split and characters.

Examples:
  moreish mix runs/names-ngram runs/names-wavenet --out runs/mixed
  moreish mix runs/a runs/b runs/c --log-linear --out runs/mixed
  moreish mix runs/names-ngram runs/names-gru --by-context --out runs/mixed
"""

import shlex
from pathlib import Path

from ..evaluation import Evaluation
from ..training.loading import load
from ..training.mixing import mix as mix_runs
from .terminal import announce_work, print_losses, print_table, print_text
from .values import Flag


def mix(*runs: Path, out: Path, log_linear: Flag = False, by_context: Flag = False) -> None:
    """Run `moreish mix`.

    Parameters
    ----------
    runs
        Folders of two or more runs on the same words and split.
    out
        Folder for the mixture.
    log_linear
        Mix log-linearly: multiply powers of the probabilities instead of taking their weighted mean.
    by_context
        Let the weights depend on the context: the position in the word, how certain each run is, and how often an
        n-gram model has seen the context. Fixed weights are kept if they are as good on held-out words of val.
    """
    announce_work()
    loaded = [load(run) for run in runs]
    mixture = mix_runs(loaded, "log-linear" if log_linear else "linear", by_context=by_context).save(out)
    weights, gain = mixture.model.weights["weights"], mixture.model.weights.get("gate_gain")
    rows = [
        (str(run.path), run.model.name, f"{weight:.3f}", f"{run.loss['val']:.4f}", f"{run.loss['test']:.4f}")
        for run, weight in zip(loaded, weights, strict=True)
    ]
    mixture.keep_loss()
    print_table(["run", "model", ">weight" if gain is None else ">mean weight", ">val", ">test"], rows)
    if gain is not None:
        print_text(f"weights depend on the context: {gain[0]:.4f} nats better than fixed ones on held-out val words")
    elif by_context:
        print_text("fixed weights are as good on held-out val words, so the mixture has these")
    print()
    print_losses(Evaluation(mixture.loss, {}))
    print_text(f"\nsaved in {out}; new words with: {shlex.join(['moreish', 'sample', str(out)])}")
