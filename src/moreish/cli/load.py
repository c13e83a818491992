"""Make a run of an n-gram model in an ARPA file, as KenLM, SRILM and moreish export write them.

Characters are the words of such a model; one that is written as its code point, such as U+0020, is read as that
character. The file may be packed, as with gzip. All words keep the probabilities that the file gives them.

A run needs a list of words as well: it tells which drawn words are new, and the losses are those of its parts. If the
model was counted on the whole list, its losses on val and test are not those of new words.

Examples:
  moreish load names.arpa --words names.txt --out runs/names-arpa
  moreish load kenlm.arpa.gz --words names.txt --split distinct --out runs/kenlm
"""

import shlex
from pathlib import Path
from typing import Literal

from ..corpus import read_words
from ..evaluation import Evaluation
from ..training.arpa import from_arpa
from .terminal import announce_work, print_losses, print_text
from .values import WholeNumber


def load(
    file: Path,
    /,
    *,
    words: Path,
    out: Path,
    split: Literal["lecture", "distinct"] = "lecture",
    split_seed: WholeNumber = 42,
) -> None:
    """Run `moreish load`.

    Parameters
    ----------
    file
        ARPA file of a model whose words are characters.
    words
        Word list, as moreish train takes it.
    out
        Folder for the run.
    split
        How to split the list: see moreish train.
    split_seed
        Seed of the shuffle before the split.
    """
    announce_work()
    run = from_arpa(file, read_words(words), split, split_seed).save(out)
    print_losses(Evaluation(run.loss, {}))
    run.keep_loss()
    print_text(f"\nsaved in {out}; new words with: {shlex.join(['moreish', 'sample', str(out)])}")
