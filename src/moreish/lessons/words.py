"""The list that the lessons are about."""

import os

from ..corpus import WordList, bundled, words_of
from ..errors import InputError


def lesson_words() -> WordList:
    """The words of names.txt, on which the published figures are, where it is at hand; else the bundled names.

    At hand is the file that MOREISH_NAMES names, or what `moreish download names` has fetched.
    """
    try:
        return words_of(os.environ.get("MOREISH_NAMES") or "names.txt")
    except InputError:
        return bundled()
