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

    Raises InputError if a part would be empty.
    """
    if how not in SPLITS:
        raise unknown("split", how, SPLITS)
    if isinstance(words, MappedWords):

        def fill(new: Callable[[int], np.ndarray]) -> None:
            places = _shuffled(words, how, seed)
            new(len(places))[:] = places

        places = words.cached_array(f"places-{how}-{seed}.i4", fill)
    else:
        places = _shuffled(words, how, seed)
    n = len(places)
    first, second = int(0.8 * n), int(0.9 * n)
    parts = {"train": places[:first], "val": places[first:second], "test": places[second:]}
    if not all(map(len, parts.values())):
        kind = ("different " if how == "distinct" else "") + ("word" if n == 1 else "words")
        raise InputError(f"only {n} {kind}: a split into train, val and test needs at least {MIN_WORDS}, so add some")
    return parts


def _shuffled(words: WordList, how: str, seed: int) -> np.ndarray:
    """Return the places of the words to split, in shuffled order."""
    distinct = words.distinct() if how == "distinct" else None
    n = len(words) if distinct is None else len(distinct)
    shuffled = array("i", range(n))  # a list of integers would take ten times the memory
    random.Random(seed).shuffle(shuffled)  # the order depends only on n
    places = np.frombuffer(shuffled, np.intc)
    return places if distinct is None else distinct[places]
