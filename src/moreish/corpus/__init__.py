"""Word lists: reading them, their vocabulary, their split, and the flat stream of tokens that models learn from."""

from .bundled import BUNDLED, bundled
from .corpus import Corpus
from .split import PARTS, SPLITS
from .vocab import END, Vocab
from .words import read_words

__all__ = ["BUNDLED", "END", "PARTS", "SPLITS", "Corpus", "Vocab", "bundled", "read_words"]
