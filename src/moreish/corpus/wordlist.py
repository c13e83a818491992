"""Words stored as one text: ten million take little more memory than their file."""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from copy import copy
from functools import cached_property
from io import IOBase
from numbers import Real
from typing import Any, Self, overload

import numpy as np
from numpy.typing import ArrayLike

from ..display.shown import SHOWN, Shown, Table, clean, first, marked, more, shortened
from ..errors import InputError

WORDS_AT_A_TIME = 1 << 16
CHARACTERS_SCANNED = 1 << 16  # at a time, for line breaks
CHARACTERS_ENCODED = 1 << 20  # at a time
LIGHTEST, HEAVIEST = 1e-120, 1e120  # weights: sums of tokens, and ratios of these, are then far from the end of float64
MAX_LABELS = 1000  # of a list: more are hardly kinds of words
UNFIT_FOR_LABELS = {"Cc", "Cs", "Zl", "Zp"}  # categories of characters that are control characters, or half of one


class WordList(Shown, Sequence[str]):
    """A sequence of words, in order, with repeats.

    text        every word followed by a line break; it may have other words between them
    starts      place of each word in text (n,)
    lengths     characters of each word (n,)
    weights     how often each word counts, float64 (n,); None if all count once
    labels      the number of each word's label in label_names, int32 (n,); None if the list has no labels
    name        the name of the list, such as that of its file; empty if it has none
    """

    weights: np.ndarray | None = None
    labels: np.ndarray | None = None
    label_names: tuple[str, ...] = ()
    name: str = ""

    def __init__(self, text: str, starts: np.ndarray, lengths: np.ndarray):
        self.text, self.starts, self.lengths = text, starts, lengths

    def __getstate__(self) -> dict[str, Any]:
        """State without what is computed on first use: the hash of a word differs from process to process."""
        return without_cached(self)

    def with_weights(self, weights: ArrayLike | None) -> Self:
        """Return the list with a weight for each word.

        Raises InputError for a weight that is not a number from LIGHTEST to HEAVIEST, and unless there is one for each
        word. (Files and mappings may have weights of 0: such words are left out when they are read.)
        """
        listed = copy(self)
        if weights is not None:
            listed.weights = _column(self, "weight", weights, np.float64)
            for place in np.flatnonzero(~((listed.weights > 0) & np.isfinite(listed.weights)))[:1].tolist():
                raise InputError(
                    f"word {place + 1}, {self[place]!r}, has the weight {listed.weights[place]:g}: "
                    "weights must be positive numbers"
                )
            outside = (listed.weights < LIGHTEST) | (listed.weights > HEAVIEST)
            for place in np.flatnonzero(outside)[:1].tolist():
                small = listed.weights[place] < LIGHTEST
                raise InputError(
                    f"word {place + 1}, {self[place]!r}, has the weight {listed.weights[place]:g}, which is "
                    + (f"below {LIGHTEST:g}" if small else f"above {HEAVIEST:g}"),
                    f"{'multiply' if small else 'divide'} all weights by a number",
                )
        return listed

    def with_labels(self, labels: Iterable[object] | None) -> Self:
        """Return the list with a label for each word: text, or a number, which becomes text.

        Raises InputError for an empty label, for more than MAX_LABELS different ones, and unless there is one for each
        word.
        """
        listed = copy(self)
        if labels is not None:
            if isinstance(labels, str | Mapping | Set):
                raise InputError(f"labels are a {type(labels).__name__}: give a list with one for each word, in order")
            given = list(labels)
            for place, label in enumerate(given, start=1):
                if not isinstance(label, str | Real) or label != label:  # NaN differs from itself
                    raise InputError(f"label {place} is {shown(label)}: a label must be text or a number")
                if isinstance(label, str) and (not label or set(map(unicodedata.category, label)) & UNFIT_FOR_LABELS):
                    raise InputError(
                        f"label {place} is {shown(label)}: a label needs a character, and no control character"
                    )
            texts = _column(self, "label", [unicodedata.normalize("NFC", str(label)) for label in given], object)
            names = sorted(set(texts.tolist()))
            if len(names) > MAX_LABELS:
                raise InputError(f"{len(names):,} different labels: a list may have at most {MAX_LABELS:,}")
            number = {name: i for i, name in enumerate(names)}
            listed.labels = np.fromiter((number[text] for text in texts), np.int32, len(texts))
            listed.label_names = tuple(names)
        return listed

    @classmethod
    def of_text(cls, text: str) -> "WordList":
        """Make a list of the lines of a text, each ended by a line break, unchanged."""
        ends, n = np.empty(text.count("\n"), np.int32 if len(text) < 1 << 31 else np.int64), 0
        for at, codes in _code_points(text):
            breaks = np.flatnonzero(codes == ord("\n"))
            ends[n : n + len(breaks)] = at + breaks
            n += len(breaks)
        starts = np.zeros_like(ends)
        np.add(ends[:-1], 1, out=starts[1:])
        ends -= starts
        return cls(text, starts, ends.astype(np.int32, copy=False))

    @classmethod
    def of(cls, words: Iterable[str] | Mapping[str, float]) -> "WordList":
        """Make a list of any words, normalised to NFC; its text has no other words.

        words       a list, a generator, a column of pandas or polars, an array; or a mapping of words to their weights,
                    such as a Counter, where weight 0 leaves a word out. A set has no order: its words are sorted

        Raises InputError for a word that is no text, is empty, contains a line break, or cannot be encoded in UTF-8,
        and for a table, of which a column must be chosen.
        """
        if isinstance(words, WordList):
            if len(words.text) == words.n_characters + len(words):
                return words
            copied = cls.of_text("".join(f"{word}\n" for word in words))
            copied.weights, copied.labels, copied.label_names = words.weights, words.labels, words.label_names
            copied.name = words.name
            return copied
        refuse_what_is_no_list(words)
        if isinstance(words, Mapping):
            for word, weight in words.items():
                if not isinstance(weight, Real):
                    raise InputError(f"the weight of {shown(word)} is {shown(weight)}: it must be a number")
            counted = {word: weight for word, weight in words.items() if weight != 0}
            return cls.of(list(counted)).with_weights(list(counted.values()))
        checked = []
        for number, word in enumerate(words, start=1):
            if not isinstance(word, str):  # type: ignore[redundant-expr]
                place = "a word of the set" if isinstance(words, set | frozenset) else f"word {number}"
                raise InputError(f"{place} is {shown(word)}: every word must be text; leave out or convert what is not")
            if not word or "\n" in word or not _encodable(word):
                raise InputError(
                    f"word {number} is {word!r}: a word needs at least one character, no line break, and no half of a "
                    "surrogate pair"
                )
            checked.append(unicodedata.normalize("NFC", word))
        if isinstance(words, set | frozenset):
            checked.sort()
        return cls.of_text("".join(f"{word}\n" for word in checked))

    @property
    def has_columns(self) -> bool:
        """True if the list has weights or labels."""
        return self.weights is not None or self.labels is not None

    def merged(self) -> "WordList":
        """Merge the lines of a list with weights that have the same word and label: add their weights.

        A list without weights stays as it is.
        """
        if self.weights is None:
            return self
        keys = self.first_places.astype(np.int64)
        if self.labels is not None:
            keys = keys * len(self.label_names) + self.labels
        _, first, of_line = np.unique(keys, return_index=True, return_inverse=True)
        if len(first) == len(self):
            return self
        order = np.argsort(first)
        return WordList.of(self[first[order]]).with_weights(np.bincount(of_line, self.weights)[order])

    def pieces(self) -> Iterator[bytes]:
        """Yield the text in UTF-8, in pieces."""
        for at in range(0, len(self.text), CHARACTERS_ENCODED):
            yield self.text[at : at + CHARACTERS_ENCODED].encode()

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the words in order, with line breaks between them; only if text has no other words."""
        return sha256_of(self.pieces())

    @property
    def n_characters(self) -> int:
        """Number of characters of all words together."""
        return int(self.lengths.sum(dtype=np.int64))

    def __len__(self) -> int:
        return len(self.starts)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice | np.ndarray) -> "WordList": ...

    def __getitem__(self, index):
        if isinstance(index, slice | np.ndarray):
            some = WordList(self.text, self.starts[index], self.lengths[index])
            some.weights = None if self.weights is None else self.weights[index]
            some.labels = None if self.labels is None else self.labels[index]
            some.label_names, some.name = self.label_names, self.name
            return some
        start = int(self.starts[index])
        return self.text[start : start + int(self.lengths[index])]

    def __iter__(self) -> Iterator[str]:
        text = self.text
        for at in range(0, len(self), WORDS_AT_A_TIME):
            starts, lengths = self.starts[at : at + WORDS_AT_A_TIME], self.lengths[at : at + WORDS_AT_A_TIME]
            for start, end in zip(starts.tolist(), (starts + lengths).tolist(), strict=True):
                yield text[start:end]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sequence) or isinstance(other, str):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"WordList([{', '.join(first(self, 5))}], {clean(self._title)})"

    @property
    def _title(self) -> str:
        """Name and number of words, as text."""
        return f"{self.name}, {len(self):,} words" if self.name else f"{len(self):,} words"

    def _table(self) -> Table:
        if not self.has_columns:
            some = self[:SHOWN]
            return Table(self._title, notes=[marked(some), *more(len(self))])
        columns: dict[str, Sequence[object]] = {"word": self[:SHOWN]}
        if self.weights is not None:
            columns[">weight"] = [f"{weight:g}" for weight in self.weights[:SHOWN].tolist()]
        if self.labels is not None:
            columns["label"] = [self.label_names[number] for number in self.labels[:SHOWN].tolist()]
        rows = list(zip(*columns.values(), strict=True))
        return Table(self._title, rows, list(columns), more(len(self)))

    def character_counts(self) -> dict[str, int]:
        """Count each character; the dictionary is in code point order."""
        counts = np.zeros(128, np.int64)
        for chunk in self.chunks():
            found = np.bincount(np.frombuffer(chunk.encode("utf-32-le"), np.uint32), minlength=len(counts))
            found[: len(counts)] += counts
            counts = found
        counts[ord("\n")] = 0
        return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}

    def chunks(self) -> Iterator[str]:
        """Yield the words in order, each followed by a line break, as texts of some thousands of words."""
        for at in range(0, len(self), WORDS_AT_A_TIME):
            some = self[at : at + WORDS_AT_A_TIME]
            if (np.diff(some.starts) == some.lengths[:-1] + 1).all():  # perhaps they stand so in the text
                piece = self.text[int(some.starts[0]) : int(some.starts[-1] + some.lengths[-1])] + "\n"
                if piece.count("\n") == len(some):
                    yield piece
                    continue
            yield "\n".join([*some, ""])

    @cached_property
    def _by_hash(self) -> tuple[np.ndarray, np.ndarray]:
        """The hashes of all words, sorted, and the place of the word of each; equal hashes are in list order."""
        hashes = np.fromiter(map(hash, self), np.int64, len(self))
        places = np.argsort(hashes, kind="stable").astype(self.starts.dtype)
        hashes.sort()
        return hashes, places

    def places(self, word: str) -> list[int]:
        """Return all places of a word, in order."""
        hashes, places = self._by_hash
        first, last = np.searchsorted(hashes, hash(word), "left"), np.searchsorted(hashes, hash(word), "right")
        return [place for place in places[first:last].tolist() if self[place] == word]

    @cached_property
    def first_places(self) -> np.ndarray:
        """For each word, the place of its first occurrence, int64 (n,)."""
        hashes, places = self._by_hash
        first = np.arange(len(self))
        again = np.flatnonzero(hashes[1:] == hashes[:-1]) + 1  # each hash that equals the one before it
        seen: dict[str, int] = {}
        for i, new_hash in zip(again.tolist(), (np.diff(again, prepend=-1) != 1).tolist(), strict=True):
            if new_hash:
                place = int(places[i - 1])
                seen = {self[place]: place}
            place = int(places[i])
            first[place] = seen.setdefault(self[place], place)
        return first

    def distinct(self) -> np.ndarray:
        """Return the places of all words that are not repeats of an earlier one."""
        return np.flatnonzero(self.first_places == np.arange(len(self)))


def sha256_of(blocks: Iterable[bytes]) -> str:
    """Return the SHA-256 of a text in blocks, without its last character, a line break."""
    digest, last = hashlib.sha256(), b""
    for block in blocks:
        digest.update(last)
        digest.update(memoryview(block)[:-1])
        last = block[-1:]
    return digest.hexdigest()


def _column(words: WordList, what: str, values: ArrayLike, dtype: type) -> np.ndarray:
    """Return a value for each word as an array. Raises InputError if one is not of the type, or some are missing."""
    try:
        column = np.array(values if hasattr(values, "__len__") else list(values), dtype)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"the {what}s are not all numbers") from None
    if column.shape != (len(words),):
        raise InputError(f"{column.size:,} {what}s for {len(words):,} words: give one for each word")
    return column


def without_cached(thing: object) -> dict[str, Any]:
    """Return the attributes of an object, except those that are computed on first use and kept."""
    kind = type(thing)
    return {k: v for k, v in vars(thing).items() if not isinstance(getattr(kind, k, None), cached_property)}


def refuse_what_is_no_list(words: object) -> None:
    """Raise InputError for one text, a table, an open file, and what cannot be iterated."""
    if isinstance(words, str | bytes):
        what = "string" if isinstance(words, str) else "bytes object"
        raise InputError(f"{shown(words)} is a single {what}: give a list of words, or the file to read_words")
    if hasattr(words, "columns"):  # a data frame, of any library
        names = list(map(str, words.columns))[:5]  # type: ignore[attr-defined]
        example = f'df["{names[0]}"]' if names else 'df["name"]'
        raise InputError(
            f"a table with the columns {', '.join(map(shown, names))}: give one of them, such as {example}"
        )
    if isinstance(words, IOBase) or not isinstance(words, Iterable):
        raise InputError(f"{shown(words)} is not a list of words: give a list of words, or the file to read_words")


def shown(value: object) -> str:
    """Return a value as Python writes it, in one line, shortened."""
    return shortened(" ".join(repr(value).split()), 40)


def no_words(name: str) -> InputError:
    """Return the error for a file without words."""
    return InputError(f"{name}: no words in it; give a text file, one word per line")


def _code_points(text: str) -> Iterator[tuple[int, np.ndarray]]:
    """Yield a text as code points, in blocks, each with its place."""
    for at in range(0, len(text), CHARACTERS_SCANNED):
        yield at, np.frombuffer(text[at : at + CHARACTERS_SCANNED].encode("utf-32-le"), np.uint32)


def _encodable(word: str) -> bool:
    """Return True if a word can be encoded in UTF-8; half of a surrogate pair cannot."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
