"""Lists for the tests of the reader: words with kinds and numbers, how they are written, and what errors suggest."""

import re
import shlex
from collections.abc import Sequence
from typing import Any

import pytest

import moreish
from moreish.cli import run
from moreish.corpus import WordList
from moreish.errors import InputError

WORDS = ["Anna", "Béla", "Clara", "Daria", "Emil", "Finn", "Greta", "Hugo", "Ida", "Jonas", "Karla", "Lukas"]
N = [2001, 7, 667, 501, 41, 334, 3, 251, 222, 20, 182, 1]
KINDS = ["cat", "dog", "cat", "cat", "dog", "dog", "cat", "cat", "dog", "cat", "dog", "cat"]


def lines(pattern: str, *columns: Sequence[Any]) -> str:
    return "".join(pattern.format(*row) + "\n" for row in zip(*columns or (WORDS, KINDS, N), strict=True))


def refused(name: str, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        moreish.read_words(name, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def suggested(message: str) -> list[str]:
    """Return the arguments after `moreish` of the command in a message."""
    found = re.search(r" with: moreish (train .*?)(?= \(or take|$)", message)
    assert found, message
    return shlex.split(found[1])


def read_as_suggested(message: str) -> WordList:
    """Train with the command in a message, which must work, and return the words with their weights and labels."""
    verb, name, *options = suggested(message)
    assert run([verb, name, *options, "--model", "bigram-counts", "--samples", "1"]) == 0
    named = {key.removeprefix("--"): value for key, value in zip(options[::2], options[1::2], strict=True)}
    return moreish.read_words(name, **named)


def labels_of(words: WordList) -> list[str]:
    assert words.labels is not None
    return [words.label_names[i] for i in words.labels]
