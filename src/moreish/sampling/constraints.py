"""Constraints on words, and the set of words that satisfy them, as an automaton."""

import math
import shlex
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from ..corpus import Vocab
from ..errors import InputError
from ..options import Options, option
from .dfa import DFA
from .pattern import RUN, Item, automaton, items
from .sets import at_edits, containing_none, of_lengths
from .sounds import (
    LIKE_FACTOR,
    MAX_DISTANCE,
    MAX_FACTOR,
    MAX_LIKED,
    of_syllables,
    sounding,
    sounding_like,
    syllable_bounds,
)

MAX_LENGTH = 10_000  # characters
MAX_SHOWN = 5  # pieces of --without in an error
MAX_DIGITS = 100  # of the weight of a word


@dataclass(frozen=True)
class Constraints(Options):
    """Constraints that every word satisfies, and wishes, which give words weights.

    Raises InputError for values that contradict each other.
    """

    prefix: str = option("", "text that every word begins with")
    suffix: str = option("", "text that every word ends with")
    contains: str = option("", "text that every word contains")
    pattern: str = option(
        "",
        "pattern that every word matches: ? is any character, * any number of them, [aeiou] or [a-f] one of these, "
        "[^xyz] any other, \\v a vowel (y is one), \\c a consonant; a backslash takes any other character literally",
    )
    min_length: int = option(1, "shortest word, in characters", low=1, high=MAX_LENGTH)
    max_length: int | None = option(None, "longest word, in characters", low=1, high=MAX_LENGTH)
    forbid: str = option("", "characters that no word contains")
    require: str = option("", "characters that every word contains; repeat one to require it that many times")
    near: str = option("", "every word is --edits away from this word: characters inserted, deleted or replaced")
    edits: int | None = option(None, "exact number of edits", low=1, high=100)
    gap: str = option("", "word with gaps, such as jo__than: _ is any character; the signs of --pattern work too")
    without: tuple[str, ...] = option((), "text that no word contains; repeat it for several")
    prefer: tuple[str, ...] = option(
        (),
        "TEXT:X makes words that contain TEXT X times as likely, relative to others (rarer for X below 1); TEXT alone "
        "means twice; repeat it for several",
    )
    syllables: str = option(
        "", "number of syllables, such as 2 or 2-3: runs of vowels as written (y is a vowel), so that jane has 2"
    )
    like: str = option(
        "",
        "word that others should sound like, as WORD or WORD:X: each edit makes a word X times less likely "
        f"[default: {LIKE_FACTOR:g}]. An edit inserts, deletes or replaces a character; to double it, or to replace it "
        f"by a similar one, is half an edit. Words that take over {MAX_DISTANCE} edits, or over half as many as WORD "
        "has characters, are left out, and so is WORD itself",
    )

    def __post_init__(self):
        if isinstance(self.syllables, int):  # pyright: ignore[reportUnnecessaryIsInstance]
            object.__setattr__(self, "syllables", str(self.syllables))
        if not isinstance(self.forbid, str):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise InputError(
                f"--forbid is {self.forbid!r}: it takes characters as one string, such as 'qx'; a list of texts that "
                "no word contains is the argument without"
            )
        if isinstance(self.prefer, Mapping):
            object.__setattr__(self, "prefer", [f"{text}:{factor}" for text, factor in self.prefer.items()])
        super().__post_init__()
        for f in fields(self):
            value = getattr(self, f.name)
            if isinstance(value, str):
                object.__setattr__(self, f.name, unicodedata.normalize("NFC", value))
            elif isinstance(value, tuple):
                object.__setattr__(self, f.name, tuple(unicodedata.normalize("NFC", text) for text in value))
        if "" in self.without:
            raise InputError("--without '': give a text of one character or more")
        wishes(self.prefer)
        if self.edits is not None and not self.near:
            raise InputError(f"--edits is {self.edits}: give the word to edit with --near")
        if self.like:
            self._liked()
        if self.syllables:
            syllable_bounds(self.syllables)
        if self.max_length is not None and self.max_length < self.min_length:
            raise InputError(f"--max-length is {self.max_length}: it must be at least --min-length {self.min_length}")

    @property
    def only_prefix(self) -> bool:
        """True if the prefix is the only constraint."""
        return all(getattr(self, f.name) == f.default for f in fields(self) if f.name != "prefix")

    def words(self, vocab: Vocab) -> DFA:
        """Return the set of words that satisfy all constraints, with their weights.

        Raises InputError for a character that is not in the list, and for an empty set; the message names the fewest
        constraints that exclude each other.
        """
        sets = self._sets(vocab)
        satisfying = intersection(sets.values())
        if satisfying.empty:
            for name in list(sets):
                rest = {k: words for k, words in sets.items() if k != name}
                if rest and _known_empty(rest.values()):
                    sets = rest
            raise InputError(f"no word fits {' and '.join(sets)}")
        return satisfying

    def _liked(self) -> tuple[str, float]:
        """Return the word of --like and its factor. Raises InputError if it is out of range."""
        word, factor = text_and_factor("like", self.like, f"{LIKE_FACTOR}")
        if not 1 <= factor <= MAX_FACTOR:
            raise InputError(f"--like {self.like!r}: the number must be between 1 and {MAX_FACTOR:,}")
        if len(word) > MAX_LIKED:
            raise InputError(f"--like {word!r} has {len(word)} characters: give a word of up to {MAX_LIKED}")
        return word, factor

    def _sets(self, vocab: Vocab) -> dict[str, DFA]:
        """Return the set of words for each constraint and wish given, under its text on the command line."""
        anything = np.arange(len(vocab)) > 0

        def literal(text: str) -> list[Item]:
            return [np.arange(len(vocab)) == token for token in vocab.encode(text)]

        def matching(places: list[Item]) -> DFA:
            return automaton(places, anything)

        def text_of(name: str) -> str:
            return f"--{name} {shlex.quote(getattr(self, name))}"

        bounds = [f"--min-length {self.min_length}"] if self.min_length > 1 else []
        bounds += [f"--max-length {self.max_length}"] if self.max_length is not None else []
        sets = {" ".join(bounds) or "a length of one or more": of_lengths(self.min_length, self.max_length, anything)}
        if self.prefix:
            sets[text_of("prefix")] = matching([*literal(self.prefix), RUN])
        if self.suffix:
            sets[text_of("suffix")] = matching([RUN, *literal(self.suffix)])
        if self.contains:
            sets[text_of("contains")] = matching([RUN, *literal(self.contains), RUN])
        if self.pattern:
            sets[text_of("pattern")] = matching(items(self.pattern, vocab))
        if self.forbid:
            forbidden = np.array([False, *(c in self.forbid for c in vocab.characters)])
            sets[text_of("forbid")] = automaton([RUN], anything & ~forbidden)
        if self.without:
            shown = [f"--without {shlex.quote(piece)}" for piece in self.without[:MAX_SHOWN]]
            shown += [f"({len(self.without) - MAX_SHOWN:,} more)"] * (len(self.without) > MAX_SHOWN)
            characters = set(vocab.characters)
            known = [vocab.encode(piece) for piece in self.without if characters.issuperset(piece)]
            sets[" ".join(shown)] = containing_none(known, anything)
        for text, factor in wishes(self.prefer).items():
            if set(text) <= set(vocab.characters):
                containing = matching([RUN, *literal(text), RUN])
                weights = np.where(containing.accept, factor, 1.0)  # every text leads to a state of this automaton
                sets[f"--prefer {shlex.quote(f'{text}:{factor:g}')}"] = replace(containing, weights=weights)
        for char in sorted(set(self.require)):
            times = self.require.count(char)
            sets[f"--require {shlex.quote(char * times)}"] = matching([RUN, *[*literal(char), RUN] * times])
        if self.gap:
            sets[shlex.quote(self.gap)] = matching(items(self.gap, vocab, any_one="?_"))
        if self.near:
            edits, tokens = self.edits or 1, [vocab.characters.find(char) + 1 or -1 for char in self.near]
            name = f"{edits} {'edit' if edits == 1 else 'edits'} from {shlex.quote(self.near)}"
            sets[name] = at_edits(tokens, edits, anything)
        if self.syllables:
            vowels = sounding(vocab, "v")
            if not vowels.any():
                raise InputError(f"--syllables {self.syllables} counts runs of vowels, and the list has no vowels")
            sets[text_of("syllables")] = of_syllables(*syllable_bounds(self.syllables), vowels, anything)
        if self.like:
            sets[text_of("like")] = sounding_like(*self._liked(), vocab)
        return sets


def wishes(prefer: Iterable[str]) -> dict[str, float]:
    """Return the factor by which each text of --prefer, as TEXT:X or TEXT, makes a word likelier.

    Raises InputError for an empty text, for one that is given twice, and for an X that is not a number above 0.
    """
    found: dict[str, float] = {}
    for wish in prefer:
        text, factor = text_and_factor("prefer", wish)
        if text in found:
            raise InputError(f"--prefer has {text!r} twice: give it once")
        found[text] = factor
    if sum(abs(math.log10(factor)) for factor in found.values()) > MAX_DIGITS:
        raise InputError(f"--prefer: together the numbers must stay between 1e-{MAX_DIGITS} and 1e{MAX_DIGITS}")
    return found


def text_and_factor(name: str, wish: str, default: str = "2") -> tuple[str, float]:
    """Return the parts of a wish TEXT:X or TEXT, given with an option.

    Raises InputError for an empty text, and for an X that is not a number above 0.
    """
    text, number = wish.rsplit(":", 1) if ":" in wish else (wish, default)
    try:
        factor = float(number)
    except ValueError:
        raise InputError(
            f"--{name} {wish!r}: what follows the last colon must be a number, such as {text + ':2'!r}"
        ) from None
    if not 0 < factor < math.inf:
        raise InputError(f"--{name} {wish!r}: the number is {number}: it must be above 0, and finite")
    if not text:
        raise InputError(f"--{name} {wish!r}: give a text of one character or more")
    return text, factor


def intersection(sets: Iterable[DFA]) -> DFA:
    """Return the words that are in all sets, one or more. The two smallest go first, which keeps all of them small."""
    rest = list(sets)
    while len(rest) > 1:
        rest.sort(key=lambda words: len(words.weights))
        rest = [rest[0] & rest[1], *rest[2:]]
    return rest[0]


def _known_empty(sets: Iterable[DFA]) -> bool:
    """Return True if sets have no word in common; False also if their intersection is too large to compute."""
    try:
        return intersection(sets).empty
    except InputError:
        return False
