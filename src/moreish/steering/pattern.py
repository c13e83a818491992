"""Patterns of words, as of file names: letters, ? for any one character, * for any run of them, [aeiou], [a-f], [^xyz].

A backslash takes the next character as it is. `items` reads a pattern, `automaton` makes the set of words that fit.
"""

import unicodedata

import numpy as np

from ..corpus import Vocab
from ..errors import InputError
from .deadline import check_time
from .dfa import DFA, MOST_STATES, trimmed

RUN = None  # the item for *
Item = np.ndarray | None  # which tokens may stand at a place, bool (V,), or RUN


def items(pattern: str, vocab: Vocab, name: str = "pattern") -> list[Item]:
    """The places of a pattern. Raises InputError, naming the place, for one that is not well-formed."""
    text, V = unicodedata.normalize("NFC", pattern), len(vocab)
    anything = np.arange(V) > 0
    found: list[Item] = []
    i = 0
    while i < len(text):
        char = text[i]
        if char == "*":
            if not found or found[-1] is not RUN:
                found.append(RUN)
        elif char == "?":
            found.append(anything)
        elif char == "[":
            allowed, i = _class(text, i, vocab, name)
            found.append(allowed)
        else:
            if char == "\\":
                i += 1
                if i == len(text):
                    raise InputError(f"--{name} {pattern!r} ends with a backslash: write \\\\ for one")
                char = text[i]
            found.append(np.arange(V) == vocab.encode(char)[0])
        i += 1
    return found


def _class(text: str, start: int, vocab: Vocab, name: str) -> tuple[np.ndarray, int]:
    """The tokens that a class [...] beginning at `start` stands for, bool (V,), and where it ends."""
    i, negated = start + 1, text[start + 1 : start + 2] in ("^", "!") and len(text) > start + 1
    i += negated
    chars: list[str] = []  # a range as its two ends and "-" before them
    ranges: list[tuple[str, str]] = []
    while i < len(text) and (text[i] != "]" or i == start + 1 + negated):
        char = text[i]
        if char == "\\" and i + 1 < len(text):
            i += 1
            char = text[i]
        if text[i + 1 : i + 2] == "-" and text[i + 2 : i + 3] not in ("", "]"):
            ranges.append((char, text[i + 2]))
            i += 2
        else:
            chars.append(char)
        i += 1
    if i >= len(text):
        raise InputError(f"--{name} {text!r}: the [ at place {start + 1} is never closed: write \\[ for one itself")
    inside = np.array([c in chars or any(low <= c <= high for low, high in ranges) for c in vocab.characters])
    allowed = np.concatenate([[False], ~inside if negated else inside])
    if not allowed.any():
        raise InputError(f"--{name} {text!r}: no character of the list is in {text[start : i + 1]}")
    return allowed, i


def automaton(places: list[Item], letters: np.ndarray) -> DFA:
    """The words that fit a pattern, all of whose characters are among letters, bool (V,).

    The subset construction: a state is the set of places of the pattern at which a word may have come, as bits.
    """
    steps = [place for place in places if place is not RUN]
    stays = [False] * (len(steps) + 1)  # whether a run stands before each step, and after the last one
    at = 0
    for place in places:
        if place is RUN:
            stays[at] = True
        else:
            at += 1
    allowed = np.array([place & letters for place in steps]).reshape(len(steps), len(letters))
    kinds, kind_of = np.unique(allowed, axis=1, return_inverse=True)  # characters that no step tells apart
    advancing = [sum(1 << int(i) for i in np.flatnonzero(column)) for column in kinds.T]
    staying = sum(1 << i for i, stays_here in enumerate(stays) if stays_here)
    sets, known, delta = [1], {1: 0}, []
    for current in sets:  # it grows while it is read
        check_time()
        after = []
        for column in advancing:
            new = (current & column) << 1 | (current & staying)
            if new and new not in known:
                known[new] = len(sets)
                sets.append(new)
            after.append(known[new] if new else -1)
        delta.append(np.where(letters, np.array(after)[kind_of.ravel()], -1))
        if len(sets) > MOST_STATES:
            raise InputError(f"a pattern takes more than {MOST_STATES:,} states: use fewer * and ? after a *")
    accept = np.array([bool(current >> len(steps) & 1) for current in sets])
    return trimmed(np.array(delta, np.int32), accept)
