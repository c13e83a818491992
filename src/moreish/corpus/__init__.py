"""Word lists: reading them, their vocabulary, their split, and the flat stream of tokens that models learn from."""

from .cleaning import KINDS, clean
from .corpus import Corpus
from .lists import BUNDLED, DOWNLOADS, bundled, download, words_of
from .mapped import MappedWords
from .reading import read_words, written_words
from .split import PARTS, SPLITS
from .stream import END, whole_words
from .vocab import Vocab
from .wordlist import WordList

__all__ = [
    "BUNDLED",
    "DOWNLOADS",
    "END",
    "KINDS",
    "PARTS",
    "SPLITS",
    "Corpus",
    "MappedWords",
    "Vocab",
    "WordList",
    "bundled",
    "clean",
    "download",
    "read_words",
    "whole_words",
    "words_of",
    "written_words",
]
