"""Words kept as one text: ten million of them take little more memory than their file."""

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from itertools import islice
from typing import overload

import numpy as np

from ..errors import InputError

CHUNK = 1 << 16  # characters, or words, at a time
PIECE = 1 << 20  # characters that are written at a time


class WordList(Sequence[str]):
    """A sequence of words, in order, repeats kept.

    text        every word followed by a line break; other words may lie between
    starts      where each word begins in it (n,)
    lengths     its characters (n,)
    """

    def __init__(self, text: str, starts: np.ndarray, lengths: np.ndarray):
        self.text, self.starts, self.lengths = text, starts, lengths

    @classmethod
    def of_text(cls, text: str) -> "WordList":
        """The lines of a text, each ended by a line break, exactly as they are."""
        breaks = [at + np.flatnonzero(codes == ord("\n")) for at, codes in _code_points(text)]
        ends = np.concatenate([np.zeros(0, np.int64), *breaks])
        starts = np.concatenate([[0], ends[:-1] + 1]) if ends.size else ends
        small = np.int32 if len(text) < 1 << 31 else np.int64
        return cls(text, starts.astype(small), (ends - starts).astype(np.int32))

    @classmethod
    def of(cls, words: Iterable[str]) -> "WordList":
        """Any words as a word list of their own, in NFC.

        Raises InputError for a word that is empty, holds a line break, or cannot be written to a file.
        """
        if isinstance(words, WordList):
            if len(words.text) == words.n_characters + len(words):
                return words
            return cls.of_text("".join(f"{word}\n" for word in words))
        checked = []
        for number, word in enumerate(words, start=1):
            if not word or "\n" in word or not _encodable(word):
                raise InputError(
                    f"word {number} is {word!r}: a word needs a character, and no line break or half of one"
                )
            checked.append(unicodedata.normalize("NFC", word))
        return cls.of_text("".join(f"{word}\n" for word in checked))

    def pieces(self) -> Iterator[bytes]:
        """The text in UTF-8, in pieces."""
        for at in range(0, len(self.text), PIECE):
            yield self.text[at : at + PIECE].encode()

    @cached_property
    def sha256(self) -> str:
        """The SHA-256 of the words in order, with line breaks between them. For a list without other words between."""
        return sha256_of(self.pieces())

    @property
    def n_characters(self) -> int:
        """The characters of all words together."""
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
        for at in range(0, len(self), CHUNK):
            starts, lengths = self.starts[at : at + CHUNK], self.lengths[at : at + CHUNK]
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
        """How often each character occurs, in code point order."""
        counts = np.zeros(128, np.int64)
        for chunk in self.chunks():
            found = np.bincount(np.frombuffer(chunk.encode("utf-32-le"), np.uint32), minlength=len(counts))
            found[: len(counts)] += counts
            counts = found
        counts[ord("\n")] = 0
        return {chr(code): int(counts[code]) for code in np.flatnonzero(counts)}

    def chunks(self) -> Iterator[str]:
        """The words in order, each followed by a line break, as texts of some thousands of words."""
        words = iter(self)
        while some := list(islice(words, CHUNK)):
            yield "\n".join([*some, ""])

    @cached_property
    def _by_hash(self) -> tuple[np.ndarray, np.ndarray]:
        """The hashes of all words in order of size, and the place of each one's word; equal ones in list order."""
        hashes = np.fromiter(map(hash, self), np.int64, len(self))
        places = np.argsort(hashes, kind="stable").astype(self.starts.dtype)
        hashes.sort()
        return hashes, places

    def places(self, word: str) -> list[int]:
        """Where a word stands: every place, in order."""
        hashes, places = self._by_hash
        first, last = np.searchsorted(hashes, hash(word), "left"), np.searchsorted(hashes, hash(word), "right")
        return [place for place in places[first:last].tolist() if self[place] == word]

    @cached_property
    def first_places(self) -> np.ndarray:
        """For each word the place of the first one like it, int64 (n,)."""
        hashes, places = self._by_hash
        first = np.arange(len(self))
        again = np.flatnonzero(hashes[1:] == hashes[:-1]) + 1  # the hash of the one before
        seen: dict[str, int] = {}
        for i, starts_here in zip(again.tolist(), (np.diff(again, prepend=-1) != 1).tolist(), strict=True):
            if starts_here:  # another hash than the last one's
                place = int(places[i - 1])
                seen = {self[place]: place}
            place = int(places[i])
            first[place] = seen.setdefault(self[place], place)
        return first

    def distinct(self) -> np.ndarray:
        """The places of words that do not stand earlier in the list."""
        return np.flatnonzero(self.first_places == np.arange(len(self)))


def sha256_of(pieces: Iterable[bytes]) -> str:
    """The SHA-256 of a text in pieces, its very last character, a line break, left out."""
    digest, last = hashlib.sha256(), b""
    for piece in pieces:
        digest.update(last)
        digest.update(memoryview(piece)[:-1])
        last = piece[-1:]
    return digest.hexdigest()


def no_words(name: str) -> InputError:
    """The error for a file without a word."""
    return InputError(f"{name}: no words in it; give a text file, one word a line")


def _code_points(text: str) -> Iterator[tuple[int, np.ndarray]]:
    """Pieces of a text as code points, each with its place."""
    for at in range(0, len(text), CHUNK):
        yield at, np.frombuffer(text[at : at + CHUNK].encode("utf-32-le"), np.uint32)


def _encodable(word: str) -> bool:
    """Whether a word can be written to a file: half of a surrogate pair cannot."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
