"""What is odd about a list of words, and how it is cleaned.

Each kind of oddity says which words have it and what cleaning does about them: it changes a word, or drops it. What is
common in a list is its nature: a kind that would drop more than a tenth of the words drops none.
"""

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

import numpy as np

from .wordlist import WordList

LONG = 40  # characters: a line longer than this is hardly a word
RARE = 3  # occurrences: a character seen no more often than this cannot be learnt
ODD_SHARE = 0.1  # of the words: what more of them have is not dropped
# Invisible, but part of how Indic words and emoji are written: joiners, and the tags that spell a flag.
JOINERS = {"\u200c", "\u200d", *map(chr, range(0xE0020, 0xE0080))}


@dataclass(frozen=True)
class Kind:
    """A kind of oddity.

    what    what it is, before ": 3 words"
    remedy  what cleaning does about it, before ": 3 words"
    places  the places of the words that have it
    change  a word without it; None where such words are dropped
    """

    what: str
    remedy: str
    places: Callable[[WordList], np.ndarray]
    change: Callable[[str], str] | None = None


@dataclass(frozen=True)
class Oddity:
    """How many words of a list have an oddity, by the name of its kind, and the first of them."""

    kind: str
    count: int
    first: str

    @property
    def message(self) -> str:
        return f"{KINDS[self.kind].what}: {_words(self.count)} (the first: {_shown(self.first)})"


@dataclass(frozen=True)
class Change(Oddity):
    """What cleaning did about an oddity: nothing, where too many words have it."""

    done: bool

    @property
    def message(self) -> str:
        if self.done:
            return f"{KINDS[self.kind].remedy}: {_words(self.count)} (the first: {_shown(self.first)})"
        return f"{super().message}: too many to be dropped, kept"


def oddities(words: WordList) -> list[Oddity]:
    """Everything odd about a list, kind by kind."""
    found = {name: kind.places(words) for name, kind in KINDS.items()}
    return [Oddity(name, len(places), words[int(places[0])]) for name, places in found.items() if len(places)]


def clean(words: WordList, keep: Collection[str] = ()) -> tuple[WordList, list[Change]]:
    """The words without their oddities, and what was done; kinds named in `keep` stay. Order is kept."""
    changes = []
    for name, kind in KINDS.items():
        places = kind.places(words) if name not in keep else np.zeros(0, np.int64)
        changed: dict[int, str] = {}
        if kind.change is not None:
            changed = {place: kind.change(words[place]) for place in places.tolist()}
            places = np.array([place for place, word in changed.items() if word != words[place]], np.int64)
        if not len(places):
            continue
        first, done = words[int(places[0])], True
        if kind.change is not None:
            made = (changed.get(place, word) for place, word in enumerate(words))
            words = WordList.of([word for word in made if word])
        elif name == "repeats" or len(places) <= ODD_SHARE * len(words):
            words = WordList.of(words[np.setdiff1d(np.arange(len(words)), places, assume_unique=True)])
        else:
            done = False
        changes.append(Change(name, len(places), first, done))
    return words, changes


def _holding(test: Callable[[str], bool]) -> Callable[[WordList], np.ndarray]:
    """The places of words with a character that passes a test."""
    return lambda words: _with_any(words, filter(test, words.character_counts()))


def _with_any(words: WordList, characters: Iterable[str]) -> np.ndarray:
    wanted = "".join(map(re.escape, characters))
    if not wanted:
        return np.zeros(0, np.int64)
    holds = re.compile(f"[{wanted}]").search
    return np.flatnonzero(np.fromiter((holds(word) is not None for word in words), bool, len(words)))


def _rare(words: WordList) -> np.ndarray:
    return _with_any(words, [c for c, n in words.character_counts().items() if n <= RARE])


def _script(character: str) -> str | None:
    """The script of a letter, as its Unicode name begins; the scripts that Japanese and Korean mix count as one.

    None for what is no letter, and for forms of letters that stand for others, such as ª and µ.
    """
    is_letter = unicodedata.category(character) in ("Lu", "Ll", "Lt", "Lo")
    if not is_letter or unicodedata.normalize("NFKC", character) != character:
        return None
    name = unicodedata.name(character, "").split(" ")[0]
    return "EAST ASIAN" if name in ("CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO") else name


def _mixed(words: WordList) -> np.ndarray:
    scripts: dict[str, list[str]] = {}
    for character in words.character_counts():
        if script := _script(character):
            scripts.setdefault(script, []).append(character)
    if len(scripts) < 2:
        return np.zeros(0, np.int64)
    having = [_with_any(words, characters) for characters in scripts.values()]
    places, how_many = np.unique(np.concatenate(having), return_counts=True)
    return places[how_many > 1]


def _invisible(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Cf") and not character.isspace() and character not in JOINERS


def _lower(word: str) -> str:
    return word.lower().replace("i\u0307", "i")  # İ becomes i with a loose dot, which is not meant


KINDS: dict[str, Kind] = {
    "invisible": Kind(
        "control or invisible characters",
        "control or invisible characters taken off",
        _holding(_invisible),
        lambda word: "".join(c for c in word if not _invisible(c)).strip(),
    ),
    "spaces": Kind(
        "spaces inside",
        "spaces inside made plain and single",
        _holding(str.isspace),
        lambda word: " ".join(word.split()),
    ),
    "case": Kind("capital letters", "put in lower case", _holding(lambda c: c.lower() != c), _lower),
    "digits": Kind("digits", "dropped for their digits", _holding(str.isdigit)),
    "scripts": Kind("mixed scripts", "dropped for mixed scripts", _mixed),
    "long": Kind(
        f"more than {LONG} characters",
        f"dropped for more than {LONG} characters",
        lambda words: np.flatnonzero(words.lengths > LONG),
    ),
    "rare": Kind(
        f"characters that occur {RARE} times or fewer",
        f"dropped for characters that occur {RARE} times or fewer",
        _rare,
    ),
    "repeats": Kind(
        "repeats of an earlier word",
        "dropped as repeats",
        lambda words: np.flatnonzero(words.first_places != np.arange(len(words))),
    ),
}


def _words(count: int) -> str:
    return f"{count:,} word{'s' * (count != 1)}"


def _shown(word: str) -> str:
    return repr(word) if len(word) <= LONG else repr(word[:LONG]) + "..."
