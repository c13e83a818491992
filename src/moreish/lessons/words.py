"""The word list of the lessons."""

import os

from ..corpus import WordList, bundled, words_of
from ..errors import InputError


def lesson_words() -> WordList:
    """Return the words of names.txt, on which the published figures were measured, or else the bundled names.

    The file is the one that MOREISH_NAMES names, or the one that `moreish download makemore-names` fetched.
    """
    try:
        return words_of(os.environ.get("MOREISH_NAMES") or "makemore-names")
    except InputError:
        return bundled()
