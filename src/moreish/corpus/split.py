"""How a list is shared out: 80% to train on, 10% to choose by, 10% to report."""

import random
from collections.abc import Sequence

from ..errors import InputError, unknown

PARTS = ("train", "val", "test")
SPLITS = ("lecture", "distinct")


def split_words(words: Sequence[str], how: str = "lecture", seed: int = 42) -> dict[str, list[str]]:
    """Share out words into train, val and test, 80/10/10.

    lecture     shuffle the lines in file order with `random.Random(seed)` and cut: the split that published results
                on names.txt use. A repeated word may stand in several parts.
    distinct    drop repeats first: no word of val or test stands in train

    Raises InputError if a part would be empty.
    """
    if how not in SPLITS:
        raise unknown("split", how, SPLITS)
    shuffled = list(dict.fromkeys(words)) if how == "distinct" else list(words)
    random.Random(seed).shuffle(shuffled)
    n = len(shuffled)
    first, second = int(0.8 * n), int(0.9 * n)
    parts = {"train": shuffled[:first], "val": shuffled[first:second], "test": shuffled[second:]}
    if not all(parts.values()):
        kind = "different words" if how == "distinct" else "words"
        raise InputError(f"only {n} {kind}: a split into train, val and test needs at least 6, so add some")
    return parts
