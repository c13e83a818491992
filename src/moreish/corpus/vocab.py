"""The vocabulary of a list: its characters as tokens."""

import unicodedata
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np

from ..errors import InputError
from .stream import END
from .wordlist import WordList

LISTED = 60  # characters of a long vocabulary


class Vocab:
    """The characters of a list in code point order, as tokens 1, 2, ...; token 0 is the end of a word.

    len(vocab) includes the end token: it is the V in the shapes of arrays.
    """

    def __init__(self, characters: Iterable[str]):
        self.characters = "".join(sorted(set(characters)))
        self._number = {c: i + 1 for i, c in enumerate(self.characters)}
        self._codes = np.array([0, *map(ord, self.characters)], np.uint32)

    def __len__(self) -> int:
        return len(self.characters) + 1

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocab) and self.characters == other.characters

    def __hash__(self) -> int:
        return hash(self.characters)

    def __repr__(self) -> str:
        if len(self.characters) <= LISTED:
            return f"Vocab({self.characters!r})"
        return f"Vocab({self.characters[:LISTED]!r}..., {len(self.characters):,} characters)"

    def __reduce__(self) -> tuple[type["Vocab"], tuple[str]]:
        return Vocab, (self.characters,)

    def encode(self, word: str) -> list[int]:
        """Return the tokens of a word in NFC, without an end token. Raises InputError for an unknown character."""
        try:
            return [self._number[c] for c in unicodedata.normalize("NFC", word)]
        except KeyError as error:
            first = self.characters if len(self) < 100 else self.characters[:60]
            known = "".join(c if c.isprintable() else repr(c)[1:-1] for c in first)
            known += "" if len(self) < 100 else f"... and {len(self) - 61:,} more"
            raise InputError(
                f"{word!r}: the character {error.args[0]!r} is not in the word list (it has {known})"
            ) from None

    def stream(self, words: Iterable[str]) -> np.ndarray:
        """Return words as one flat stream of tokens, int32 (1 + tokens,): 0, then each word followed by 0.

        All characters must be in the vocabulary. Raises InputError for a word that is empty or has a line break.
        """
        words = WordList.of(words) if not isinstance(words, WordList) else words
        stream, end = np.zeros(1 + words.n_characters + len(words), np.int32), 1
        for chunk in words.chunks():
            codes = np.frombuffer(chunk.encode("utf-32-le"), np.uint32)
            stream[end : end + len(codes)] = self.table[codes]
            end += len(codes)
        return stream

    def stream_of_any(self, words: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Return words, which may be empty and contain any characters, as a flat stream (see `stream`), int32 (1 + N,).

        A character outside the vocabulary becomes a 0. The second array, bool (N,), is True for such a token.
        """
        text = "\n".join([*words, ""])
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        stream = np.zeros(1 + len(codes), np.int32)
        np.take(self.table, codes, out=stream[1:], mode="clip")
        unknown = stream[1:] == END
        unknown[np.cumsum(np.fromiter(map(len, words), np.int64, len(words)) + 1) - 1] = False
        return stream, unknown

    def stream_of_lines(self, lines: bytes) -> tuple[np.ndarray, np.ndarray]:
        """Return lines of ASCII, each with a line feed at its end, as a flat stream: see `stream_of_any`."""
        codes = np.frombuffer(lines, np.uint8)
        stream = np.zeros(1 + len(codes), np.int32)
        np.take(self.table, codes, out=stream[1:], mode="clip")
        return stream, (stream[1:] == END) & (codes != ord("\n"))

    @cached_property
    def table(self) -> np.ndarray:
        """The token of every code point up to one above the highest in the vocabulary; 0 for unknown characters."""
        table = np.zeros(max(int(self._codes[-1]), ord("\n")) + 2, np.int32)
        table[self._codes] = np.arange(len(self))
        return table

    def split(self, tokens: np.ndarray) -> list[str]:
        """Return the words of a flat array of tokens, each ended by 0: the reverse of `stream`, without its first 0."""
        codes = self._codes[tokens]
        codes[tokens == END] = ord("\n")
        return codes.astype("<u4").tobytes().decode("utf-32-le").split("\n")[:-1]
