"""Words stored as one text: ten million take little more memory than their file."""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, overload

import numpy as np

from ..errors import InputError

WORDS_AT_A_TIME = 1 << 16
CHARACTERS_SCANNED = 1 << 16  # at a time, for line breaks
CHARACTERS_ENCODED = 1 << 20  # at a time


class WordList(Sequence[str]):
    """A sequence of words, in order, with repeats.

    text        every word followed by a line break; it may have other words between them
    starts      place of each word in text (n,)
    lengths     characters of each word (n,)
    """

    def __init__(self, text: str, starts: np.ndarray, lengths: np.ndarray):
        self.text, self.starts, self.lengths = text, starts, lengths

    def __reduce__(self) -> tuple[Any, ...]:
        """Leave out what is computed on first use: the hash of a word differs from process to process."""
        return WordList, (self.text, self.starts, self.lengths)

    @classmethod
    def of_text(cls, text: str) -> "WordList":
        """Make a list of the lines of a text, each ended by a line break, unchanged."""
        breaks = [at + np.flatnonzero(codes == ord("\n")) for at, codes in _code_points(text)]
        ends = np.concatenate([np.zeros(0, np.int64), *breaks])
        starts = np.concatenate([[0], ends[:-1] + 1]) if ends.size else ends
        small = np.int32 if len(text) < 1 << 31 else np.int64
        return cls(text, starts.astype(small), (ends - starts).astype(np.int32))

    @classmethod
    def of(cls, words: Iterable[str]) -> "WordList":
        """Make a list of any words, normalised to NFC; its text has no other words.

        Raises InputError for a word that is empty, contains a line break, or cannot be encoded in UTF-8.
        """
        if isinstance(words, WordList):
            if len(words.text) == words.n_characters + len(words):
                return words
            return cls.of_text("".join(f"{word}\n" for word in words))
        checked = []
        for number, word in enumerate(words, start=1):
            if not word or "\n" in word or not _encodable(word):
                raise InputError(
                    f"word {number} is {word!r}: a word needs at least one character, no line break, and no half of a "
                    "surrogate pair"
                )
            checked.append(unicodedata.normalize("NFC", word))
        return cls.of_text("".join(f"{word}\n" for word in checked))

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
            return WordList(self.text, self.starts[index], self.lengths[index])
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
        shown = ", ".join(map(repr, islice(self, 5)))
        return f"WordList([{shown}{', ...' if len(self) > 5 else ''}], {len(self):,} words)"

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
        words = iter(self)
        while some := list(islice(words, WORDS_AT_A_TIME)):
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
