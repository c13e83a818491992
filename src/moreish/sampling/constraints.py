"""What is asked of words, and the set of those that fit: an automaton, or the reason why there are none."""

import shlex
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import reduce
from operator import and_

import numpy as np

from ..corpus import Vocab
from ..errors import InputError
from ..options import Options, option
from .dfa import DFA, at_edits, of_lengths
from .pattern import RUN, Item, automaton, items

LONGEST = 10_000  # characters


@dataclass(frozen=True)
class Constraints(Options):
    """What every word has to be. Raises InputError for values that contradict themselves."""

    prefix: str = option("", "what every word begins with")
    suffix: str = option("", "what every word ends with")
    contains: str = option("", "what stands somewhere in every word")
    pattern: str = option(
        "",
        "what words look like: ? is any character, * any run of them, [aeiou] or [a-f] one of these, [^xyz] one of "
        "the others; a backslash takes the next character as it is",
    )
    min_length: int = option(1, "shortest word, in characters", low=1, high=LONGEST)
    max_length: int | None = option(None, "longest word, in characters", low=1, high=LONGEST)
    forbid: str = option("", "characters that no word has")
    require: str = option("", "characters that every word has; one that stands here twice, at least twice")
    near: str = option("", "a word that every word is some edits away from: characters put in, left out or exchanged")
    edits: int | None = option(None, "how many edits away, neither more nor fewer", low=1, high=100)
    gap: str = option("", "a word with gaps, jo__than: _ is any character, and all of a pattern may stand in it")

    def __post_init__(self):
        super().__post_init__()
        for f in fields(self):
            if isinstance(value := getattr(self, f.name), str):
                object.__setattr__(self, f.name, unicodedata.normalize("NFC", value))
        if self.edits is not None and not self.near:
            raise InputError(f"--edits is {self.edits}: give the word that they are counted from, with --near")
        if self.max_length is not None and self.max_length < self.min_length:
            raise InputError(f"--max-length is {self.max_length}: it must be at least --min-length {self.min_length}")

    @property
    def only_prefix(self) -> bool:
        """Whether nothing is asked of words but how they begin."""
        return all(getattr(self, f.name) == f.default for f in fields(self) if f.name != "prefix")

    def words(self, vocab: Vocab) -> DFA:
        """The set of words that fit.

        Raises InputError for a character that is not in the list, and if there is no such word: it names the fewest
        constraints that no word meets together.
        """
        parts = self._parts(vocab)
        whole = reduce(and_, parts.values())
        if whole.empty:
            for name in list(parts):
                rest = {k: part for k, part in parts.items() if k != name}
                if rest and _certainly_empty(rest.values()):
                    parts = rest
            raise InputError(f"no word fits {' and '.join(parts)}")
        return whole

    def _parts(self, vocab: Vocab) -> dict[str, DFA]:
        """The sets of words that fit each constraint that is given, by how it was given."""
        anything = np.arange(len(vocab)) > 0

        def literal(text: str) -> list[Item]:
            return [np.arange(len(vocab)) == token for token in vocab.encode(text)]

        def fitting(places: list[Item]) -> DFA:
            return automaton(places, anything)

        def given(name: str) -> str:
            return f"--{name} {shlex.quote(getattr(self, name))}"

        bounds = [f"--min-length {self.min_length}"] if self.min_length > 1 else []
        bounds += [f"--max-length {self.max_length}"] if self.max_length is not None else []
        parts = {" ".join(bounds) or "a length of one or more": of_lengths(self.min_length, self.max_length, anything)}
        if self.prefix:
            parts[given("prefix")] = fitting([*literal(self.prefix), RUN])
        if self.suffix:
            parts[given("suffix")] = fitting([RUN, *literal(self.suffix)])
        if self.contains:
            parts[given("contains")] = fitting([RUN, *literal(self.contains), RUN])
        if self.pattern:
            parts[given("pattern")] = fitting(items(self.pattern, vocab))
        if self.forbid:
            forbidden = np.array([False, *(c in self.forbid for c in vocab.characters)])
            parts[given("forbid")] = automaton([RUN], anything & ~forbidden)
        for char in sorted(set(self.require)):
            times = self.require.count(char)
            parts[f"--require {shlex.quote(char * times)}"] = fitting([RUN, *[*literal(char), RUN] * times])
        if self.gap:
            parts[shlex.quote(self.gap)] = fitting(items(self.gap, vocab, any_one="?_"))
        if self.near:
            edits, tokens = self.edits or 1, [vocab.characters.find(char) + 1 or -1 for char in self.near]
            name = f"{edits} {'edit' if edits == 1 else 'edits'} from {shlex.quote(self.near)}"
            parts[name] = at_edits(tokens, edits, anything)
        return parts


def _certainly_empty(sets: Iterable[DFA]) -> bool:
    """Whether sets have no word in common, as far as can be said: they may be too large together."""
    try:
        return reduce(and_, sets).empty
    except InputError:
        return False
