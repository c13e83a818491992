"""Leave out the entries of an n-gram model that matter least, so that it becomes smaller.

Writes a run with fewer sequences of characters, and prints what that costs. A sequence is left out if the loss is
expected to rise by less than --entropy without it (Stolcke 1998): the probability that it gives to its last character
is about the one that a shorter sequence gives. With --size, the threshold is found that makes the tables small enough.

This is done after counting. moreish train --at-least leaves out rare sequences while it counts, which saves memory
there; for the same size, the loss is then higher.

Examples:
  moreish prune runs/names-ngram --entropy 1e-6 --out runs/small
  moreish prune runs/names-ngram --size 500kB --out runs/small
"""

import shlex
from pathlib import Path

from ..corpus import PARTS
from ..ngram.pruning import n_bytes
from ..training.loading import load
from ..training.pruning import prune as prune_run
from .terminal import announce_work, print_table, print_text
from .values import Size


def prune(run: Path, /, *, out: Path, entropy: float | None = None, size: Size | None = None) -> None:
    """Run `moreish prune`.

    Parameters
    ----------
    run
        Folder of a run of an n-gram model.
    out
        Folder for the pruned run.
    entropy
        Leave out every sequence without which the loss is expected to rise by less than this, in nats per token.
    size
        Leave out as little as brings the tables down to this size, such as 500kB, 1MB (1,000,000 bytes) or 1MiB.
    """
    announce_work()
    before = load(run)
    after = prune_run(before, entropy=entropy, size=size).save(out)
    counts = [
        (of.model.arrays["char"].size, of.model.arrays["parent"].size, n_bytes(of.model.arrays))
        for of in (before, after)
    ]
    rows = [
        (name, f"{was:,}", f"{now:,}", f"{now / was - 1:+.1%}")
        for name, was, now in zip(("entries", "contexts", "bytes of the tables"), *counts, strict=True)
    ]
    rows += [
        (f"{part} loss", f"{was:.4f}", f"{now:.4f}", f"{now - was:+.4f}")
        for part, was, now in ((part, before.loss[part], after.loss[part]) for part in PARTS)
    ]
    after.keep_loss()
    print_table(["", ">before", ">after", ">change"], rows)
    print_text(f"\npruned at {after.pruned:.3g} nats per token" if after.pruned else "\nnothing had to be left out")
    print_text(f"saved in {out}; new words with: {shlex.join(['moreish', 'sample', str(out)])}")
