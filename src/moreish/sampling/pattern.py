r"""Patterns, as for file names: ? is any character, * any number, [aeiou] or [a-f] one of these, [^xyz] any other.

\v is a vowel and \c a consonant, also in brackets; a backslash takes any other character literally. `items` parses a
pattern; `automaton` makes the set of words that match.
"""

import shlex

import numpy as np

from ..corpus import Vocab
from ..errors import InputError
from .deadline import check_time
from .dfa import DFA, MAX_EXPLORED, MAX_STATES, trimmed
from .sounds import sounding

RUN = None  # the item for *
Item = np.ndarray | None  # the tokens allowed at a place, bool (V,), or RUN
SOUNDS = {"\\v": "vowels", "\\c": "consonants"}


def items(pattern: str, vocab: Vocab, any_one: str = "?") -> list[Item]:
    """Parse a pattern in NFC into its places; any_one are the characters that mean any character.

    Raises InputError, naming the place, for a pattern that is not well-formed.
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
        elif pattern[i : i + 2] in SOUNDS:
            found.append(_sound(pattern, i, vocab))
            i += 2
        else:
            char, i = _literal(pattern, i)
            found.append(np.arange(len(vocab)) == vocab.encode(char)[0])
    return found


def _literal(pattern: str, i: int) -> tuple[str, int]:
    """Return the character at a place, or after a backslash there, and the next place."""
    if pattern[i] != "\\":
        return pattern[i], i + 1
    if i + 1 == len(pattern):
        raise InputError(f"{pattern!r} ends with a backslash: write \\\\ for a backslash itself")
    return pattern[i + 1], i + 2


def _sound(pattern: str, i: int, vocab: Vocab) -> np.ndarray:
    """Return the vowels or the consonants of the list, bool (V,), as the sign at a place says."""
    sign = pattern[i : i + 2]
    allowed = sounding(vocab, sign[1])
    if not allowed.any():
        raise InputError(f"{shlex.quote(pattern)}: {sign} fits nothing, because the list has no {SOUNDS[sign]}")
    return allowed


def _class(pattern: str, start: int, vocab: Vocab) -> tuple[np.ndarray, int]:
    """Return the tokens in the class [...] that begins at `start`, bool (V,), and the next place."""
    i = start + 1
    negated = pattern[i : i + 1] in ("^", "!") and i < len(pattern)
    i += negated
    first, ranges, inside = i, [], np.zeros(len(vocab), bool)
    while i < len(pattern) and (pattern[i] != "]" or i == first):
        if pattern[i : i + 2] in SOUNDS:
            inside |= _sound(pattern, i, vocab)
            i += 2
            continue
        low, i = _literal(pattern, i)
        high = low
        if pattern[i : i + 1] == "-" and pattern[i + 1 : i + 2] not in ("", "]"):
            if pattern[i + 1 : i + 3] in SOUNDS:
                raise InputError(f"{shlex.quote(pattern)}: a range cannot end with {pattern[i + 1 : i + 3]}")
            high, i = _literal(pattern, i + 1)
        if low > high:
            raise InputError(f"{pattern!r}: the range {low}-{high} is in the wrong order")
        ranges.append((low, high))
    if i >= len(pattern):
        raise InputError(f"{pattern!r}: the [ at place {start + 1} is never closed: write \\[ for a [ itself")
    inside[1:] |= [any(low <= c <= high for low, high in ranges) for c in vocab.characters]
    allowed = (inside != negated) & (np.arange(len(vocab)) > 0)
    if not allowed.any():
        raise InputError(f"{pattern!r}: no character of the list is in {pattern[start : i + 1]}")
    return allowed, i + 1


def automaton(places: list[Item], letters: np.ndarray) -> DFA:
    """Return the words that match a pattern and have only characters among letters, bool (V,).

    The subset construction: a state is the set of places in the pattern that a word may have reached, as bits.
    """
    steps = [place for place in places if place is not RUN]
    has_run = [False] * (len(steps) + 1)  # True if a run stands before each step, and after the last one
    at = 0
    for place in places:
        if place is RUN:
            has_run[at] = True
        else:
            at += 1
    allowed = np.array([letters, *(place & letters for place in steps)])
    columns, classes = np.unique(allowed, axis=1, return_inverse=True)  # the first is that of the end: all False
    advancing = [sum(1 << int(i) for i in np.flatnonzero(column[1:])) for column in columns.T[1:]]
    staying = sum(1 << i for i, run in enumerate(has_run) if run)
    sets, known, delta = [1], {1: 0}, []
    for current in sets:  # the list grows during the loop
        check_time()
        after = [-1]
        for column in advancing:
            new = (current & column) << 1 | (current & staying)
            if new and new not in known:
                known[new] = len(sets)
                sets.append(new)
            after.append(known[new] if new else -1)
        delta.append(after)
        if len(sets) > MAX_EXPLORED:
            break
    weights = np.array([float(current >> len(steps) & 1) for current in sets])
    if len(sets) <= MAX_EXPLORED:
        found = trimmed(np.array(delta, np.int32), weights, classes.ravel())
        if len(found.weights) <= MAX_STATES:
            return found
    raise InputError(f"a pattern takes more than {MAX_STATES:,} states: use fewer * and ? after a *")
