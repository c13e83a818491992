"""Word lists: reading them, their vocabulary, their split, and the flat stream of tokens that models learn from."""

from .corpus import Corpus
from .lists import BUNDLED, DOWNLOADS, bundled, download, words_of
from .oddities import KINDS, clean
from .split import PARTS, SPLITS
from .vocab import END, Vocab
from .wordlist import WordList
from .words import read_words

__all__ = [
    "BUNDLED",
    "DOWNLOADS",
    "END",
    "KINDS",
    "PARTS",
    "SPLITS",
    "Corpus",
    "Vocab",
    "WordList",
    "bundled",
    "clean",
    "download",
    "read_words",
    "words_of",
]
