"""Similarity of words to a list: the nearest listed word by edit distance, and the longest shared substring."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from ..corpus import WordList
from ..evaluation import Interval, share_interval

DISTANCE_BLOCK = (512, 1 << 15)  # words x listed words whose distances are in memory at a time
LISTED_PER_PASS = 1 << 15  # listed words searched for substrings at a time
LINE_BREAK = ord("\n")
LARGEST_DISTANCE = 3  # this edit distance and all larger ones are reported together
DISTANCE_LABELS = ("0", "1", "2", "3 or more")
SUBSTRING_LABELS = {  # in JSON, and in tables and pictures
    "under half": "less than half",
    "under 3/4": "half to 3/4",
    "under all": "3/4 or more",
    "all of it": "whole word",
}


@dataclass(frozen=True)
class Neighbour:
    """A word and its nearest train word.

    seen        the first part that contains the word, or "new"
    nearest     the train word at the smallest edit distance (`nearest` breaks ties): the word itself if it is in train
    distance    that distance: the number of characters inserted, deleted or substituted
    shared      length in characters of the longest substring that also occurs in a train word
    source      the first train word with that substring; empty if no character is shared
    """

    word: str
    seen: str
    nearest: str
    distance: int
    shared: int
    source: str

    @property
    def piece(self) -> str:
        """The longest substring shared with `source`."""
        starts = range(len(self.word) - self.shared + 1)
        return next(piece for i in starts if (piece := self.word[i : i + self.shared]) in self.source)


@dataclass(frozen=True)
class Similarity:
    """Similarity of a group of words to the train words.

    words           number of words
    copies          number of words that are in train
    distinct        number of distinct words
    among_first     number of distinct words among the first `first`. Samples and held-out words use the same `first`,
                    because the fraction of distinct words falls as a group grows
    neighbours      one row for each of the first words: for all of them, or for fewer if the list is long
    """

    words: int
    copies: int
    distinct: int
    among_first: int
    first: int
    neighbours: list[Neighbour] = field(repr=False)

    @property
    def kin(self) -> list[Neighbour]:
        """`neighbours`, under its old name."""
        return self.neighbours

    @property
    def copied(self) -> float:
        """Fraction of words that are in train."""
        return self.copies / self.words

    @property
    def interval(self) -> Interval | None:
        """95% interval of `copied`; None if there are too few words."""
        return share_interval(self.copies, self.words)

    @property
    def distances(self) -> dict[str, float]:
        """Fraction of words at each edit distance from train."""
        found = np.bincount(
            [min(neighbour.distance, LARGEST_DISTANCE) for neighbour in self.neighbours],
            minlength=LARGEST_DISTANCE + 1,
        )
        return dict(zip(DISTANCE_LABELS, (found / len(self.neighbours)).tolist(), strict=True))

    @property
    def mean_distance(self) -> float:
        """Mean edit distance to the nearest train word."""
        return float(np.mean([neighbour.distance for neighbour in self.neighbours]))

    @property
    def pieces(self) -> dict[str, float]:
        """Fraction of words by relative length of the longest substring that also occurs in a train word."""
        found = np.searchsorted((0.5, 0.75, 1), self._shared_fractions, side="right")
        counts = np.bincount(found, minlength=len(SUBSTRING_LABELS))
        return dict(zip(SUBSTRING_LABELS, (counts / len(self.neighbours)).tolist(), strict=True))

    @property
    def mean_piece(self) -> float:
        """Mean length of that substring, as a fraction of its word."""
        return float(self._shared_fractions.mean())

    @property
    def _shared_fractions(self) -> np.ndarray:
        return np.array([neighbour.shared / len(neighbour.word) for neighbour in self.neighbours])

    def as_json(self) -> dict[str, Any]:
        """All values but `neighbours` as a plain dictionary; `searched` is the number of neighbours."""
        counted = {"searched": len(self.neighbours), **{k: v for k, v in vars(self).items() if k != "neighbours"}}
        names = ("copied", "interval", "distances", "mean_distance", "pieces", "mean_piece")
        return {**counted, **{name: getattr(self, name) for name in names}}


def nearest(
    words: Sequence[str],
    listed: WordList,
    tell: Callable[[int], object] = lambda done: None,
    *,
    block: tuple[int, int] = DISTANCE_BLOCK,
) -> tuple[np.ndarray, np.ndarray]:
    """Smallest edit distance of each word to a listed word, and the index of that listed word: int64 (words,) both.

    Insertions, deletions and substitutions of a character cost 1 each (Levenshtein 1966). If two lengths differ by d,
    the distance is at least d. So each word is compared with listed words of its own length, then of lengths one more
    and one less, and so on, until the remaining ones cannot be nearer. Ties go to the listed word nearest in length,
    then to the shorter one, then to the first.

    tell    called with the number of words done
    block   the most words and listed words whose distances are computed at once
    """
    lengths, longest = np.array([len(word) for word in words], np.int64), int(listed.lengths.max(initial=0))
    dtype = np.uint8 if max(longest, lengths.max(initial=0)) < 256 else np.int32
    by_length = np.argsort(listed.lengths, kind="stable")
    bounds = np.searchsorted(listed.lengths[by_length], np.arange(longest + 2))
    least, index, done = np.full(len(words), np.iinfo(np.int64).max), np.zeros(len(words), np.int64), 0
    for length in np.unique(lengths).tolist():
        same = left = np.flatnonzero(lengths == length)
        for gap in range(max(length, longest) + 1):
            left = left[least[left] > gap]
            for other in sorted({length - gap, length + gap}):
                if left.size and 0 < other <= longest:
                    others = by_length[bounds[other] : bounds[other + 1]]
                    for rows, columns, distances in _distance_blocks(words, left, listed, others, dtype, block):
                        best = distances.argmin(1)
                        found = distances[np.arange(len(rows)), best]
                        nearer = found < least[rows]
                        least[rows[nearer]], index[rows[nearer]] = found[nearer], columns[best[nearer]]
            if not left.size:
                break
        done += len(same)
        tell(done)
    return least, index


def _distance_blocks(
    words: Sequence[str], rows: np.ndarray, listed: WordList, columns: np.ndarray, dtype: type, block: tuple[int, int]
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Edit distances of words[rows] to listed[columns], block by block: indices of both, and the distances."""
    n_rows, n_columns = block
    for column in range(0, len(columns), n_columns):
        block_columns = columns[column : column + n_columns]
        others = list(listed[block_columns])
        for row in range(0, len(rows), n_rows):
            block_rows = rows[row : row + n_rows]
            ours = [words[i] for i in block_rows]
            yield block_rows, block_columns, process.cdist(ours, others, scorer=Levenshtein.distance, dtype=dtype)


def longest_shared(
    words: Sequence[str], listed: WordList, *, listed_per_pass: int = LISTED_PER_PASS
) -> tuple[np.ndarray, np.ndarray]:
    """Length of the longest substring that each word shares with any listed word, and the index of the first listed
    word that has such a substring, -1 if there is none: int64 (words,) both.

    The search starts with substrings of one character, and extends those found by one character at a time. A substring
    is identified by the number of its prefix and its last character, so no hashes are compared. `listed_per_pass`
    bounds the memory: it is the number of listed words searched at a time.
    """
    if not words:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    codes, word = _codes(words)
    characters = np.unique(codes[codes != LINE_BREAK])
    longest, source, alphabet = np.zeros(len(words), np.int64), np.full(len(words), -1), len(characters) + 1
    text = _numbered(codes, characters)
    # For each length: where in `text` its substrings begin, the number of each, the sorted keys of all, and the first
    # listed word with each.
    starts, substrings = [np.flatnonzero(text)], [text[text > 0] - 1]
    keys = [np.arange(1, alphabet)]
    holders = [np.full(len(characters), len(listed))]
    for at in range(0, len(listed), listed_per_pass):
        other_codes, other_word = _codes(listed[at : at + listed_per_pass])
        other, other_word = _numbered(other_codes, characters), at + other_word
        begin, known, length = np.flatnonzero(other), other[other > 0] - 1, 0
        while begin.size:
            np.minimum.at(holders[length], known, other_word[begin])
            length += 1
            if length == len(keys):
                begins, key = _extended(text, starts[-1], substrings[-1], length, alphabet)
                distinct, numbers = np.unique(key, return_inverse=True)
                starts.append(begins)
                substrings.append(numbers)
                keys.append(distinct)
                holders.append(np.full(len(distinct), len(listed)))
            begin, key = _extended(other, begin, known, length, alphabet)
            found = np.searchsorted(keys[length], key)
            hit = found < len(keys[length])
            hit[hit] = keys[length][found[hit]] == key[hit]
            begin, known = begin[hit], found[hit]
    for length, (begins, numbers, holder) in enumerate(zip(starts, substrings, holders, strict=True), start=1):
        first = np.full(len(words), len(listed))
        np.minimum.at(first, word[begins], holder[numbers])
        has = first < len(listed)
        longest[has], source[has] = length, first[has]
    return longest, source


def _codes(words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Code points of words, each word followed by a line break, and the index of the word that each belongs to."""
    codes = np.frombuffer("\n".join([*words, ""]).encode("utf-32-le"), np.uint32)
    return codes, np.cumsum(codes == LINE_BREAK)


def _numbered(codes: np.ndarray, characters: np.ndarray) -> np.ndarray:
    """Code points as numbers from 1, in the order of `characters`; 0 for any other, which ends a substring."""
    at = np.minimum(np.searchsorted(characters, codes), len(characters) - 1)
    return np.where(characters[at] == codes, at + 1, 0)


def _extended(
    text: np.ndarray, begin: np.ndarray, known: np.ndarray, length: int, alphabet: int
) -> tuple[np.ndarray, np.ndarray]:
    """Substrings of `length` characters extended by one: where they begin, and their keys."""
    after = text[begin + length]  # the text ends with a line break, which cannot extend a substring
    goes_on = after > 0
    return begin[goes_on], known[goes_on] * alphabet + after[goes_on]
