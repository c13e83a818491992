"""The word list of the lessons."""

import os

from ..corpus import DOWNLOADS, WordList, bundled, download, read_words, words_of
from ..errors import WorkError

PUBLISHED = next(iter(DOWNLOADS))  # names.txt, on which published results are compared
N_NAMES = 32_033  # words of names.txt
TIMEOUT = 4.0  # seconds to wait for a server


def lesson_words() -> WordList:
    """Return the words of names.txt, which the text of the lessons quotes, or else the bundled names; print which.

    names.txt is downloaded unless it is in the user's cache. The environment variable MOREISH_NAMES names another list:
    a file, or a bundled list. Raises InputError if it cannot be read.
    """
    given = os.environ.get("MOREISH_NAMES")
    if given:
        words = words_of(given)
    else:
        try:
            words = read_words(download(PUBLISHED, timeout=TIMEOUT))
        except WorkError:
            words = bundled()
    print(_which(words))
    return words


def _which(words: WordList) -> str:
    if len(words) == N_NAMES:
        return f"{len(words):,} names: names.txt of the lecture, on which published results are compared."
    which = f"{len(words):,} words"
    if words == bundled():
        which = f"{len(words):,} names: the bundled list"
    return f"{which}. Figures in the text are for names.txt; to get it, run: moreish download {PUBLISHED}"
