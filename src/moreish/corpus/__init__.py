"""Word lists: reading, cleaning, vocabulary, split, and the flat stream of tokens that models learn from."""

from .cleaning import CHECKS, clean
from .corpus import Corpus
from .formats import ListOptions
from .lists import BUNDLED, DOWNLOADS, bundled, download, words_of
from .mapped import MappedWords
from .reading import read_words, written_words
from .split import PARTS, SPLITS
from .stream import END, whole_words
from .vocab import Vocab
from .wordlist import WordList

__all__ = [
    "BUNDLED",
    "CHECKS",
    "DOWNLOADS",
    "END",
    "PARTS",
    "SPLITS",
    "Corpus",
    "ListOptions",
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
