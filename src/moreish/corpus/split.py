"""Splitting a list: 80% train, 10% val and 10% test."""

import random
from array import array
from collections.abc import Callable

import numpy as np

from ..errors import InputError, unknown
from .mapped import MappedWords
from .wordlist import WordList

PARTS = ("train", "val", "test")
SPLITS = ("lecture", "distinct")
MIN_WORDS = 6  # fewer leave a part empty


def split_words(words: WordList, how: str = "lecture", seed: int = 42) -> dict[str, np.ndarray]:
    """Split words into train, val and test, 80/10/10: the places of each part's words, in shuffled order.

    lecture     shuffle the lines in file order with `random.Random(seed)` and cut, as for published results on
                names.txt. A repeated word may be in several parts.
    distinct    drop repeats first: no word of val or test is in train

    A list with weights or labels is always split by its different words, so that no word of val or test is in train:
    all lines of a word, with their different labels, are in one part, one after another.

    Raises InputError if a part would be empty.
    """
    if how not in SPLITS:
        raise unknown("split", how, SPLITS)
    if words.has_columns:
        return _split_lines(words, seed)
    if isinstance(words, MappedWords):

        def fill(new: Callable[[int], np.ndarray]) -> None:
            places = _shuffled(words, how, seed)
            new(len(places))[:] = places

        places = words.cached_array(f"places-{how}-{seed}.i4", fill)
    else:
        places = _shuffled(words, how, seed)
    n = len(places)
    check_number(n, "different " if how == "distinct" else "")
    return dict(zip(PARTS, np.split(places, _cuts(n)), strict=True))


def _split_lines(words: WordList, seed: int) -> dict[str, np.ndarray]:
    """Split the different words of a list, and return the places of all lines of each part's words."""
    shuffled = _shuffled(words, "distinct", seed)
    n = len(shuffled)
    check_number(n, "different ")
    rank = np.empty(len(words), np.int32)
    rank[shuffled] = np.arange(n)
    rank = rank[words.first_places]  # of the word of each line
    lines = np.argsort(rank, kind="stable")
    return dict(zip(PARTS, np.split(lines, np.searchsorted(rank[lines], _cuts(n))), strict=True))


def _cuts(n: int) -> list[int]:
    """Return where val and test begin among n words."""
    return [int(0.8 * n), int(0.9 * n)]


def check_number(n: int, kind: str = "") -> None:
    """Raise InputError if n words would leave a part empty."""
    if not 0 < int(0.8 * n) < int(0.9 * n) < n:
        what = kind + ("word" if n == 1 else "words")
        raise InputError(
            f"the list has {n} {what}: at least {MIN_WORDS} are needed to split it into train, val and test"
        )


def _shuffled(words: WordList, how: str, seed: int) -> np.ndarray:
    """Return the places of the words to split, in shuffled order."""
    distinct = words.distinct() if how == "distinct" else None
    n = len(words) if distinct is None else len(distinct)
    shuffled = array("i", range(n))  # a list of integers would take ten times the memory
    random.Random(seed).shuffle(shuffled)  # the order depends only on n
    places = np.frombuffer(shuffled, np.intc)
    return places if distinct is None else distinct[places]
