"""A run from an ARPA file and a list of words."""

from pathlib import Path

from ..corpus import Corpus, WordList
from ..errors import InputError
from ..models.model import Model
from ..models.ngram import ArpaNGram
from ..ngram.arpa import Arpa
from .options import TrainOptions
from .run import Run


def from_arpa(path: str | Path, words: WordList, split: str = "lecture", split_seed: int = 42) -> Run:
    """Return a run with the n-gram model in an ARPA file, which gives words the same probabilities.

    words   the list that it was trained on, or one to evaluate it on

    Raises InputError for a file that is damaged or has other words than characters, and for a list with a character
    that the model does not know.
    """
    arpa = Arpa(Path(path))
    corpus = Corpus(words, split, split_seed)
    unknown = [c for c in corpus.vocab.characters if c not in arpa.characters]
    if unknown:
        shown = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        raise InputError(f"the words have characters that {path} does not have ({shown})", "leave these words out")
    corpus = corpus.widened("".join(c for c in arpa.characters if c not in corpus.vocab.characters))
    model = Model(ArpaNGram(arpa.order), corpus.vocab, arrays=arpa.arrays())
    return Run(model, corpus, TrainOptions(split=split, split_seed=split_seed))
