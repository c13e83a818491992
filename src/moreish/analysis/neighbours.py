"""How much words are like those of a list: the nearest one by edit distance, and the longest piece that they share."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from rapidfuzz import process
from rapidfuzz.distance import Levenshtein

from ..corpus import WordList
from ..evaluation import Interval, share_interval

ROWS, COLUMNS = 512, 1 << 15  # of the distances in memory at a time
CHUNK = 1 << 15  # words of the list that are searched for pieces at a time
BREAK = ord("\n")
FURTHEST = 3  # the edit distance from which on all are told together
DISTANCES = ("0", "1", "2", "3 or more")
PIECES = ("under half", "under 3/4", "under all", "all of it")


@dataclass(frozen=True)
class Kin:
    """A word beside the train words.

    seen        the first part that it stands in, or "new"
    nearest     the train word at the least edit distance (of several see `nearest`): itself, if it stands in train
    distance    that distance: characters put in, taken out or exchanged
    shared      characters of the longest piece that stands in a train word too
    """

    word: str
    seen: str
    nearest: str
    distance: int
    shared: int


@dataclass(frozen=True)
class Likeness:
    """How much words are like the train words.

    words           how many
    copies          how many of them stand in train
    distinct        how many different ones there are
    among_first     and among the first `first`: equally many of samples and of held-out words, to be held against each
                    other, since the share of different ones falls the more there are
    kin             of the first words, a row each: all of them, or as many as a long list allows
    """

    words: int
    copies: int
    distinct: int
    among_first: int
    first: int
    kin: list[Kin]

    @property
    def copied(self) -> float:
        """The share that stands in train."""
        return self.copies / self.words

    @property
    def interval(self) -> Interval | None:
        """A 95% interval of that share; None for too few words to tell."""
        return share_interval(self.copies, self.words)

    @property
    def distances(self) -> dict[str, float]:
        """The share of words at each edit distance from train."""
        found = np.bincount([min(kin.distance, FURTHEST) for kin in self.kin], minlength=FURTHEST + 1)
        return dict(zip(DISTANCES, (found / len(self.kin)).tolist(), strict=True))

    @property
    def mean_distance(self) -> float:
        """The mean edit distance to the nearest train word."""
        return float(np.mean([kin.distance for kin in self.kin]))

    @property
    def pieces(self) -> dict[str, float]:
        """The share of words by how much of each its longest piece is that stands in a train word."""
        found = np.searchsorted((0.5, 0.75, 1), self._pieces, side="right")
        return dict(zip(PIECES, (np.bincount(found, minlength=len(PIECES)) / len(self.kin)).tolist(), strict=True))

    @property
    def mean_piece(self) -> float:
        """The mean length of that piece, as a share of its word."""
        return float(self._pieces.mean())

    @property
    def _pieces(self) -> np.ndarray:
        return np.array([kin.shared / len(kin.word) for kin in self.kin])

    def as_json(self) -> dict:
        """Everything but kin as a plain dictionary; `searched` is how many of the words have a row there."""
        counted = {"searched": len(self.kin), **{k: v for k, v in vars(self).items() if k != "kin"}}
        names = ("copied", "interval", "distances", "mean_distance", "pieces", "mean_piece")
        return {**counted, **{name: getattr(self, name) for name in names}}


def nearest(
    words: Sequence[str], listed: WordList, tell: Callable[[int], object] = lambda done: None
) -> tuple[np.ndarray, np.ndarray]:
    """The least edit distance of each word to a word of a list, and the place of that one: int64 (words,) both.

    Insertions, deletions and substitutions of a character count 1 each (Levenshtein 1966). Lengths that differ by d are
    d edits apart or more, so a word is compared with those of its own length, then of one more or less, until none
    that is left could be nearer. Of several at the least distance the one nearest in length is given, of these the
    shorter, of these the first. `tell` is called with how many words are done.
    """
    lengths, longest = np.array([len(word) for word in words], np.int64), int(listed.lengths.max(initial=0))
    dtype = np.uint8 if max(longest, lengths.max(initial=0)) < 256 else np.int32
    by_length = np.argsort(listed.lengths, kind="stable")
    bounds = np.searchsorted(listed.lengths[by_length], np.arange(longest + 2))
    least, place, done = np.full(len(words), np.iinfo(np.int64).max), np.zeros(len(words), np.int64), 0
    for length in np.unique(lengths).tolist():
        same = left = np.flatnonzero(lengths == length)
        for gap in range(max(length, longest) + 1):
            left = left[least[left] > gap]
            for other in sorted({length - gap, length + gap}):
                if left.size and 0 < other <= longest:
                    others = by_length[bounds[other] : bounds[other + 1]]
                    for rows, some, distances in _blocks(words, left, listed, others, dtype):
                        at = distances.argmin(1)
                        found = distances[np.arange(len(rows)), at]
                        nearer = found < least[rows]
                        least[rows[nearer]], place[rows[nearer]] = found[nearer], some[at[nearer]]
            if not left.size:
                break
        done += len(same)
        tell(done)
    return least, place


def _blocks(
    words: Sequence[str], rows: np.ndarray, listed: WordList, places: np.ndarray, dtype: type
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Edit distances of some words to some of a list, block by block: the places of both, and the distances."""
    for column in range(0, len(places), COLUMNS):
        some = places[column : column + COLUMNS]
        others = list(listed[some])
        for row in range(0, len(rows), ROWS):
            block = rows[row : row + ROWS]
            ours = [words[i] for i in block]
            yield block, some, process.cdist(ours, others, scorer=Levenshtein.distance, dtype=dtype)


def longest_shared(words: Sequence[str], listed: WordList) -> np.ndarray:
    """How many characters the longest piece has that each word shares with some word of a list: int64 (words,).

    Pieces of one character are looked for first, then those of one more that begin where the last were found. A piece
    is known by the number of its beginning and its last character, so nothing rests on a hash.
    """
    if not words:
        return np.zeros(0, np.int64)
    codes, word = _codes(words)
    characters = np.unique(codes[codes != BREAK])
    longest, alphabet = np.zeros(len(words), np.int64), len(characters) + 1
    text = _numbered(codes, characters)
    # Of each length in turn: where in `text` its pieces begin, which piece that is, and the pieces in order.
    starts, pieces = [np.flatnonzero(text)], [text[text > 0] - 1]
    keys = [np.arange(1, alphabet)]
    shared = [np.zeros(len(characters), bool)]
    for at in range(0, len(listed), CHUNK):
        other = _numbered(_codes(listed[at : at + CHUNK])[0], characters)
        begin, known, length = np.flatnonzero(other), other[other > 0] - 1, 0
        while begin.size:
            shared[length][known] = True
            length += 1
            if length == len(keys):
                begins, key = _longer(text, starts[-1], pieces[-1], length, alphabet)
                distinct, numbers = np.unique(key, return_inverse=True)
                starts.append(begins)
                pieces.append(numbers)
                keys.append(distinct)
                shared.append(np.zeros(len(distinct), bool))
            begin, key = _longer(other, begin, known, length, alphabet)
            found = np.searchsorted(keys[length], key)
            hit = found < len(keys[length])
            hit[hit] = keys[length][found[hit]] == key[hit]
            begin, known = begin[hit], found[hit]
    for length, (begins, numbers, has) in enumerate(zip(starts, pieces, shared, strict=True), start=1):
        longest[word[begins[has[numbers]]]] = length
    return longest


def _codes(words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The code points of words, each followed by a line break, and which word each belongs to."""
    codes = np.frombuffer("\n".join([*words, ""]).encode("utf-32-le"), np.uint32)
    return codes, np.cumsum(codes == BREAK)


def _numbered(codes: np.ndarray, characters: np.ndarray) -> np.ndarray:
    """Code points as numbers from 1, in the order of characters; 0 for any other, which ends a piece."""
    at = np.minimum(np.searchsorted(characters, codes), len(characters) - 1)
    return np.where(characters[at] == codes, at + 1, 0)


def _longer(
    text: np.ndarray, begin: np.ndarray, known: np.ndarray, length: int, alphabet: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pieces of `length` characters made longer by one: where they begin, and their number with the character."""
    after = text[begin + length]  # a break ends the text, and a piece
    goes_on = after > 0
    return begin[goes_on], known[goes_on] * alphabet + after[goes_on]
