"""A cleaned list of words, its vocabulary, its split, and the flat stream of tokens of each part."""

import hashlib
from collections.abc import Iterable
from functools import cached_property

import numpy as np

from ..errors import InputError
from .split import split_words
from .vocab import Vocab


class Corpus:
    """Words shared out into train, val and test.

    words       in file order, repeats kept
    vocab       the characters of all of them
    parts       {"train": [...], "val": [...], "test": [...]}

    Raises InputError for a word that is empty or holds a line break, and for fewer words than a split needs.
    """

    def __init__(self, words: Iterable[str], split: str = "lecture", split_seed: int = 42):
        if isinstance(words, str):
            raise InputError(f"{words[:40]!r} is one text: give a list of words, or the file to read_words")
        self.words = list(words)
        for number, word in enumerate(self.words, start=1):
            if not word or "\n" in word or not _encodable(word):
                raise InputError(
                    f"word {number} is {word!r}: a word needs a character, and no line break or half of one"
                )
        self.split, self.split_seed = split, split_seed
        self.parts = split_words(self.words, split, split_seed)
        self.vocab = Vocab(set().union(*self.words))
        self._streams: dict[str, np.ndarray] = {}

    @property
    def data_hash(self) -> str:
        """A SHA-256 of the words in order, which names the data of a run."""
        return hashlib.sha256("\n".join(self.words).encode()).hexdigest()

    def stream(self, part: str) -> np.ndarray:
        """One part as flat tokens, int32 (1 + tokens,): 0, then each word followed by 0."""
        if part not in self._streams:
            self._streams[part] = self.vocab.stream(self.parts[part])
        return self._streams[part]

    def windows(self, part: str, block_size: int) -> tuple[np.ndarray, np.ndarray]:
        """All contexts and targets of a part, as int64 arrays X (N, T) and Y (N,), in order.

        A context holds the `block_size` tokens before its target, 0 where the word has not begun.
        """
        tokens = self.stream(part).astype(np.int64)
        starts = np.maximum.accumulate(np.where(tokens == 0, np.arange(tokens.size), 0))[:-1]  # of each target's word
        places = np.arange(tokens.size - 1)[:, None] - np.arange(block_size - 1, -1, -1)
        return np.where(places >= starts[:, None], tokens[np.maximum(places, 0)], 0), tokens[1:]

    @cached_property
    def _seen(self) -> dict[str, str]:
        """Each word of the list, with the first of train, val and test that it stands in."""
        return {word: part for part in reversed(self.parts) for word in self.parts[part]}

    def mark(self, word: str) -> str:
        """Where a word stands: "train", "val", "test", or "new"."""
        return self._seen.get(word, "new")


def _encodable(word: str) -> bool:
    """Whether a word can be written to a file: half of a surrogate pair cannot."""
    try:
        word.encode()
    except UnicodeEncodeError:
        return False
    return True
