"""How a list is shared out: 80% to train on, 10% to choose by, 10% to report."""

import random
from array import array
from collections.abc import Callable

import numpy as np

from ..errors import InputError, unknown
from .mapped import MappedWords
from .wordlist import WordList

PARTS = ("train", "val", "test")
SPLITS = ("lecture", "distinct")
FEWEST = 6  # words, for each part to have one


def split_words(words: WordList, how: str = "lecture", seed: int = 42) -> dict[str, np.ndarray]:
    """Share out words into train, val and test, 80/10/10: the places of each part's words, in shuffled order.

    lecture     shuffle the lines in file order with `random.Random(seed)` and cut: the split that published results
                on names.txt use. A repeated word may stand in several parts.
    distinct    drop repeats first: no word of val or test stands in train

    Raises InputError if a part would be empty.
    """
    if how not in SPLITS:
        raise unknown("split", how, SPLITS)
    if isinstance(words, MappedWords):

        def make(new: Callable[[int], np.ndarray]) -> None:
            places = _shuffled(words, how, seed)
            new(len(places))[:] = places

        places = words.kept(f"places-{how}-{seed}.i4", make)
    else:
        places = _shuffled(words, how, seed)
    n = len(places)
    first, second = int(0.8 * n), int(0.9 * n)
    parts = {"train": places[:first], "val": places[first:second], "test": places[second:]}
    if not all(map(len, parts.values())):
        kind = "different words" if how == "distinct" else "words"
        raise InputError(f"only {n} {kind}: a split into train, val and test needs at least {FEWEST}, so add some")
    return parts


def _shuffled(words: WordList, how: str, seed: int) -> np.ndarray:
    """The places of the words to be shared out, in shuffled order."""
    distinct = words.distinct() if how == "distinct" else None
    n = len(words) if distinct is None else len(distinct)
    shuffled = array(
        "i", range(n)
    )  # in which order depends on n alone; a list of numbers would take ten times the room
    random.Random(seed).shuffle(shuffled)
    places = np.frombuffer(shuffled, np.intc)
    return places if distinct is None else distinct[places]
