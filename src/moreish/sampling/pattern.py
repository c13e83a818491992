"""Patterns of words, as of file names: letters, ? for any one character, * for any run of them, [aeiou], [a-f], [^xyz].

A backslash takes the next character as it is. `items` reads a pattern, `automaton` makes the set of words that fit.
"""

import numpy as np

from ..corpus import Vocab
from ..errors import InputError
from .deadline import check_time
from .dfa import DFA, MOST_STATES, trimmed

RUN = None  # the item for *
Item = np.ndarray | None  # which tokens may stand at a place, bool (V,), or RUN


def items(pattern: str, vocab: Vocab, any_one: str = "?") -> list[Item]:
    """The places of a pattern in NFC; any_one are the characters that stand for any one character.

    Raises InputError, naming the place, for one that is not well-formed.
    """
    anything, found, i = np.arange(len(vocab)) > 0, [], 0
    while i < len(pattern):
        if pattern[i] == "*":
            found += [RUN] if not found or found[-1] is not RUN else []
            i += 1
        elif pattern[i] in any_one:
            found.append(anything)
            i += 1
        elif pattern[i] == "[":
            allowed, i = _class(pattern, i, vocab)
            found.append(allowed)
        else:
            char, i = _literal(pattern, i)
            found.append(np.arange(len(vocab)) == vocab.encode(char)[0])
    return found


def _literal(pattern: str, i: int) -> tuple[str, int]:
    """The character at a place, or behind a backslash there, and the place after it."""
    if pattern[i] != "\\":
        return pattern[i], i + 1
    if i + 1 == len(pattern):
        raise InputError(f"{pattern!r} ends with a backslash: write \\\\ for one")
    return pattern[i + 1], i + 2


def _class(pattern: str, start: int, vocab: Vocab) -> tuple[np.ndarray, int]:
    """The tokens that a class [...] beginning at `start` stands for, bool (V,), and the place after it."""
    i = start + 1
    negated = pattern[i : i + 1] in ("^", "!") and i < len(pattern)
    i += negated
    first, ranges = i, []
    while i < len(pattern) and (pattern[i] != "]" or i == first):
        low, i = _literal(pattern, i)
        high = low
        if pattern[i : i + 1] == "-" and pattern[i + 1 : i + 2] not in ("", "]"):
            high, i = _literal(pattern, i + 1)
        if low > high:
            raise InputError(f"{pattern!r}: the range {low}-{high} is the wrong way round")
        ranges.append((low, high))
    if i >= len(pattern):
        raise InputError(f"{pattern!r}: the [ at place {start + 1} is never closed: write \\[ for one itself")
    inside = np.array([any(low <= c <= high for low, high in ranges) for c in vocab.characters], bool)
    allowed = np.concatenate([[False], ~inside if negated else inside])
    if not allowed.any():
        raise InputError(f"{pattern!r}: no character of the list is in {pattern[start : i + 1]}")
    return allowed, i + 1


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
