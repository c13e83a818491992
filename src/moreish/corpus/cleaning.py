"""Issues of a word list, and cleaning it.

Each check finds the words that have an issue. Cleaning changes these words, or drops them. An issue that is common in a
list is part of its nature: a check that would drop more than a tenth of the words drops none, except for repeats.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import numpy as np

from .wordlist import WordList

MAX_WORD_LENGTH = 40  # characters: a longer line is hardly a word
RARE_COUNT = 3  # occurrences: a character that is no more frequent than this cannot be learnt
MAX_DROPPED_SHARE = 0.1  # of the words: a check that finds more drops none, except for repeats
# Invisible, but part of how Indic words and emoji are written: joiners, and the tags that spell a flag.
JOINERS = {"\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))}


@dataclass(frozen=True)
class Check:
    """A check for one kind of issue.

    issue   the issue, in words
    remedy  what cleaning does about it, in words
    places  a function that returns the places of the words that have it
    change  a function that returns a word without it; None if such words are dropped
    """

    issue: str
    remedy: str
    places: Callable[[WordList], np.ndarray]
    change: Callable[[str], str] | None = None


@dataclass(frozen=True)
class Issue:
    """An issue of a list: the name of its check, the number of words that have it, and the first of them."""

    kind: str
    count: int
    first: str

    @property
    def message(self) -> str:
        return f"{CHECKS[self.kind].issue}: {_number_of_words(self.count)} (the first: {_shown(self.first)})"


@dataclass(frozen=True)
class Change(Issue):
    """The result of cleaning for an issue. done is False if too many words have it."""

    done: bool

    @property
    def message(self) -> str:
        if self.done:
            return f"{CHECKS[self.kind].remedy}: {_number_of_words(self.count)} (the first: {_shown(self.first)})"
        return f"{super().message}: too many to drop, kept"


def issues(words: WordList) -> list[Issue]:
    """Find the issues of a list, in the order of CHECKS."""
    found = {name: check.places(words) for name, check in CHECKS.items()}
    return [Issue(name, len(places), words[int(places[0])]) for name, places in found.items() if len(places)]


def clean(words: WordList, keep: Collection[str] = ()) -> tuple[WordList, list[Change]]:
    """Remove the issues of a list, except those named in `keep`; return the words, in order, and the changes."""
    changes = []
    for name, check in CHECKS.items():
        places = check.places(words) if name not in keep else np.zeros(0, np.int64)
        changed: dict[int, str] = {}
        if check.change is not None:
            changed = {place: check.change(words[place]) for place in places.tolist()}
            places = np.array([place for place, word in changed.items() if word != words[place]], np.int64)
        if not len(places):
            continue
        first, done = words[int(places[0])], True
        if check.change is not None:
            made = (changed.get(place, word) for place, word in enumerate(words))
            words = WordList.of([word for word in made if word])
        elif name == "repeats" or len(places) <= MAX_DROPPED_SHARE * len(words):
            words = WordList.of(words[np.setdiff1d(np.arange(len(words)), places, assume_unique=True)])
        else:
            done = False
        changes.append(Change(name, len(places), first, done))
    return words, changes


def _containing(test: Callable[[str], bool]) -> Callable[[WordList], np.ndarray]:
    """Return a function that finds the words with a character that passes a test."""
    return lambda words: _with_any(words, filter(test, words.character_counts()))


def _with_any(words: WordList, characters: Iterable[str]) -> np.ndarray:
    """Return the places of the words with any of some characters."""
    wanted = "".join(map(re.escape, characters))
    if not wanted:
        return np.zeros(0, np.int64)
    search = re.compile(f"[{wanted}]").search
    return np.flatnonzero(np.fromiter((search(word) is not None for word in words), bool, len(words)))


def _rare(words: WordList) -> np.ndarray:
    return _with_any(words, [c for c, n in words.character_counts().items() if n <= RARE_COUNT])


def _script(character: str) -> str | None:
    """Return the script of a letter, from its Unicode name; all scripts of Japanese and Korean are "EAST ASIAN".

    None for a character that is no letter, and for variants of letters, such as ª and µ.
    """
    is_letter = unicodedata.category(character) in ("Lu", "Ll", "Lt", "Lo")
    if not is_letter or unicodedata.normalize("NFKC", character) != character:
        return None
    name = unicodedata.name(character, "").split(" ")[0]
    return "EAST ASIAN" if name in ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO") else name


def _mixed(words: WordList) -> np.ndarray:
    """Return the places of the words with letters of more than one script."""
    scripts: dict[str, list[str]] = {}
    for character in words.character_counts():
        if script := _script(character):
            scripts.setdefault(script, []).append(character)
    if len(scripts) < 2:
        return np.zeros(0, np.int64)
    places_by_script = [_with_any(words, characters) for characters in scripts.values()]
    places, n_scripts = np.unique(np.concatenate(places_by_script), return_counts=True)
    return places[n_scripts > 1]


def _invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf") and not character.isspace() and character not in JOINERS


def _lower(word: str) -> str:
    return word.lower().replace("i\u0307", "i")  # lower() turns İ into i with a combining dot


CHECKS: dict[str, Check] = {
    "invisible": Check(
        "control or invisible characters",
        "control or invisible characters removed",
        _containing(_invisible),
        lambda word: "".join(c for c in word if not _invisible(c)).strip(),
    ),
    "spaces": Check(
        "spaces inside",
        "spaces inside made plain and single",
        _containing(str.isspace),
        lambda word: " ".join(word.split()),
    ),
    "case": Check("capital letters", "converted to lower case", _containing(lambda c: c.lower() != c), _lower),
    "digits": Check("digits", "dropped for their digits", _containing(str.isdigit)),
    "scripts": Check("mixed scripts", "dropped for mixed scripts", _mixed),
    "long": Check(
        f"more than {MAX_WORD_LENGTH} characters",
        f"dropped for more than {MAX_WORD_LENGTH} characters",
        lambda words: np.flatnonzero(words.lengths > MAX_WORD_LENGTH),
    ),
    "rare": Check(
        f"rare characters ({RARE_COUNT} occurrences or fewer)",
        f"dropped for rare characters ({RARE_COUNT} occurrences or fewer)",
        _rare,
    ),
    "repeats": Check(
        "repeats of an earlier word",
        "dropped as repeats",
        lambda words: np.flatnonzero(words.first_places != np.arange(len(words))),
    ),
}


def _number_of_words(count: int) -> str:
    return f"{count:,} word{'s' * (count != 1)}"


def _shown(word: str) -> str:
    return repr(word) if len(word) <= MAX_WORD_LENGTH else repr(word[:MAX_WORD_LENGTH]) + "..."
