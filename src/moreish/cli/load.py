"""Make a run of an n-gram model in an ARPA file, or fetch a run from the Hugging Face Hub.

ARPA files are those that KenLM, SRILM and moreish export write.

Characters are the words of such a model; one that is written as its code point, such as U+0020, is read as that
character. The file may be packed, as with gzip. All words keep the probabilities that the file gives them.

hf:USER/NAME is a run that moreish push has sent. Only the files of a run are fetched.

A run needs a list of words as well: it tells which drawn words are new, and the losses are those of its parts. If the
model was counted on the whole list, its losses on val and test are not those of new words.

Examples:
  moreish load names.arpa --words names.txt --out runs/names-arpa
  moreish load kenlm.arpa.gz --words names.txt --split distinct --out runs/kenlm
  moreish load hf:anna/names --out runs/anna
"""

import shlex
from pathlib import Path
from typing import Literal

from ..corpus import words_of
from ..errors import InputError
from ..evaluation import Evaluation
from ..export.hub import SCHEME, pull
from ..training.arpa import from_arpa
from .terminal import announce_work, print_losses, print_text
from .values import WholeNumber


def load(
    file: str,
    /,
    *,
    out: Path,
    words: Path | None = None,
    split: Literal["lecture", "distinct"] = "lecture",
    split_seed: WholeNumber = 42,
) -> None:
    """Run `moreish load`.

    Parameters
    ----------
    file
        ARPA file of a model whose words are characters, or hf:USER/NAME.
    out
        Folder for the run.
    words
        Word list, or the name of a bundled or downloaded one. A run of the Hub needs it only if it was sent without.
    split
        How to split the list: see moreish train.
    split_seed
        Seed of the shuffle before the split.
    """
    announce_work()
    given = words_of(words) if words else None
    if file.startswith(SCHEME):
        run = pull(file.removeprefix(SCHEME), out, given)
    elif given is None:
        raise InputError(f"{file} has no list of words: name one with --words")
    else:
        run = from_arpa(Path(file), given, split, split_seed).save(out)
    print_losses(Evaluation(run.loss, {}))
    run.keep_loss()
    print_text(f"\nsaved in {out}; new words with: {shlex.join(['moreish', 'sample', str(out)])}")
