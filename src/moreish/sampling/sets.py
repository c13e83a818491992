"""Sets of words of some lengths, at an edit distance from a word, and without some texts."""

from collections.abc import Iterable, Sequence

import numpy as np

from ..errors import InputError
from .deadline import check_time
from .dfa import DFA, MAX_STATES, trimmed

MAX_CELLS = 1 << 20  # of tables of edit distances at a time


def of_lengths(low: int, high: int | None, letters: np.ndarray) -> DFA:
    """Return the words of low to high characters, all of them among letters, bool (V,). None for high is no limit."""
    last = low if high is None else high
    delta = np.full((last + 1, 2), -1, np.int32)
    delta[:last, 1] = np.arange(1, last + 1)
    delta[last, 1] = -1 if high is not None else last
    return trimmed(delta, np.where(np.arange(last + 1) >= low, 1.0, 0.0), letters.astype(np.int64))


def classes_of(tokens: Iterable[int], letters: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Return the letters among tokens, sorted, and classes (V,) in which the i-th of them has class 2 + i alone.

    All other letters, bool (V,), have class 1.
    """
    own = sorted({token for token in tokens if token > 0 and letters[token]})
    classes = letters.astype(np.int64)
    classes[own] = np.arange(2, len(own) + 2)
    return own, classes


def at_edits(word: Sequence[int], distance: int, letters: np.ndarray) -> DFA:
    """Return the words at an exact edit distance (Levenshtein 1966): characters inserted, deleted or replaced.

    word        tokens; -1 for a character outside the vocabulary, which has to be edited
    letters     bool (V,): True for a token that may be inserted

    A state is a row of the table that computes the distance (Wagner and Fischer 1974), with all numbers above
    `distance` made equal.
    """
    far, places = distance + 1, np.arange(len(word) + 1)
    own_letters, classes = classes_of(word, letters)
    columns = [*range(2, len(own_letters) + 2), *[1] * bool((classes == 1).any())]
    differs = np.array([[own != token for own in word] for token in [*own_letters, 0][: len(columns)]], int)
    rows = [np.minimum(places, far)]
    known, delta = {rows[0].tobytes(): 0}, np.zeros((0, len(own_letters) + 2), np.int32)
    while len(delta) < len(rows):
        check_time()
        some = np.array(rows[len(delta) :][: 1 + MAX_CELLS // (len(columns) * len(places))])[:, None]
        table = np.empty((len(some), len(columns), len(places)), int)
        table[..., :1] = some[..., :1] + 1
        table[..., 1:] = np.minimum(some[..., :-1] + differs, some[..., 1:] + 1)
        table = np.minimum(np.minimum.accumulate(table - places, 2) + places, far)
        after = np.full((len(some), delta.shape[1]), -1, np.int32)
        for i, j in np.argwhere(table.min(2) < far).tolist():
            key = table[i, j].tobytes()
            if key not in known:
                known[key] = len(rows)
                rows.append(table[i, j])
            after[i, columns[j]] = known[key]
        delta = np.concatenate([delta, after])
        if len(rows) > MAX_STATES:
            raise InputError(f"{distance} edits of this word take more than {MAX_STATES:,} states: use fewer --edits")
    return trimmed(delta, np.array([float(row[-1] == distance) for row in rows]), classes)


def containing_none(pieces: Iterable[Sequence[int]], letters: np.ndarray) -> DFA:
    """Return the words of letters, bool (V,), that contain none of some pieces, given as tokens.

    The automaton of Aho and Corasick (1975): a state is the longest end of what was read that begins a piece. Words
    that reach the end of a piece are left out.
    """
    pieces = [tuple(piece) for piece in pieces]
    _, classes = classes_of((token for piece in pieces for token in piece), letters)
    children: list[dict[int, int]] = [{}]
    whole = [False]  # True for a state in which what was read ends with a piece
    for number, piece in enumerate(pieces):
        q = 0
        for token in piece:
            if token not in children[q]:
                children[q][token] = len(children)
                children.append({})
                whole.append(False)
            q = children[q][token]
        whole[q] = True
        if len(children) > MAX_STATES:
            raise InputError(
                f"--without has too many or too long texts: about the first {number:,} of them fit; give fewer"
            )
    delta = np.zeros((len(children), int(classes.max()) + 1), np.int32)
    shorter = [0] * len(children)  # the state of the longest proper end of what was read
    reached = [0]
    for q in reached:  # the list grows during the loop, by length
        check_time()
        delta[q] = delta[shorter[q]]
        for token, child in children[q].items():
            place = (q, classes[token])
            shorter[child], delta[place] = int(delta[place]), child
            whole[child] |= whole[shorter[child]]
            if not whole[child]:
                reached.append(child)
    delta[:, 0] = -1
    accept = np.zeros(len(children), bool)
    accept[reached] = True
    return trimmed(np.where(accept[:, None] & accept[delta] & (delta >= 0), delta, -1), accept.astype(float), classes)
