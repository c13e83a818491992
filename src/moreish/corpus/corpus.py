"""A corpus: a list of words, its vocabulary, its split, and the flat stream of tokens of each part."""

from collections.abc import Iterable
from copy import copy
from functools import cached_property
from hashlib import sha256
from typing import Any

import numpy as np

from ..errors import InputError, unknown
from .mapped import TOKENS_PER_COPY, MappedWords, Marks
from .split import PARTS, SPLITS, split_words
from .stream import whole_words
from .vocab import Vocab
from .wordlist import WordList, without_cached


class Corpus:
    """Words split into train, val and test.

    words       in file order, with repeats, in NFC
    vocab       the characters of all words, and those of `extra`
    extra       characters that no word has: see `widened`
    parts       {"train": ..., "val": ..., "test": ...}, the words of each in shuffled order
    split       "lecture" or "distinct"; see `split_words`

    Raises InputError for a word that is empty or contains a line break, and for fewer words than a split needs.
    """

    extra: str = ""

    def __init__(self, words: Iterable[str], split: str = "lecture", split_seed: int = 42):
        if isinstance(words, str):
            raise InputError(f"{words[:40]!r} is one string: give a list of words, or the file to read_words")
        self.words = WordList.of(words)
        self.split, self.split_seed = split, split_seed
        if isinstance(self.words, MappedWords):
            if split not in SPLITS:
                raise unknown("split", split, SPLITS)
        else:
            _ = self.parts  # raises if the words cannot be split
        self.vocab = Vocab(self.words.character_counts())
        self._streams: dict[str, np.ndarray] = {}

    def __repr__(self) -> str:
        sizes = {} if isinstance(self.words, MappedWords) else self.parts
        parts = "".join(f", {part} {len(words):,}" for part, words in sizes.items())
        return f"Corpus({len(self.words):,} words, {len(self.vocab) - 1:,} characters, {self.split} split{parts})"

    def __getstate__(self) -> dict[str, Any]:
        """State without the split and the tokens, which are made again from the words."""
        return without_cached(self) | {"_streams": {}}

    def widened(self, characters: str) -> "Corpus":
        """Return the same corpus with further characters in its vocabulary."""
        wider = copy(self)
        wider.vocab = Vocab(self.vocab.characters + characters)
        wider.extra = "".join(c for c in wider.vocab.characters if c in self.extra or c not in self.vocab.characters)
        return wider

    def _file(self, name: str) -> str:
        """Name of a file of this split, and of this vocabulary if it is not that of the words."""
        wider = f"-{sha256(self.extra.encode()).hexdigest()[:16]}" if self.extra else ""
        return f"{name}-{self.split}-{self.split_seed}{wider}"

    @cached_property
    def _places(self) -> dict[str, np.ndarray]:
        return split_words(self.words, self.split, self.split_seed)

    @cached_property
    def parts(self) -> dict[str, WordList]:
        """Words of train, val and test, each in shuffled order."""
        return {part: self.words[places] for part, places in self._places.items()}

    @property
    def data_hash(self) -> str:
        """SHA-256 of the words in order, with line breaks between them; it identifies the data of a run."""
        return self.words.sha256

    def stream(self, part: str) -> np.ndarray:
        """Return a part as a flat stream of tokens, int32 (1 + tokens,): 0, then each word followed by 0."""
        if part not in self._streams:
            if isinstance(self.words, MappedWords):
                self._streams[part] = self.words.stream(
                    f"{self._file(part)}.i4", lambda: self._places[part], self.vocab.table
                )
            else:
                self._streams[part] = self.vocab.stream(self.parts[part])
        return self._streams[part]

    def windows(self, part: str, block_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return all contexts and targets of a part, in order, as int64 arrays X (N, T) and Y (N,).

        A context is the `block_size` tokens before its target, with 0 before the word.
        """
        tokens = self.stream(part).astype(np.int64)
        starts = np.maximum.accumulate(np.where(tokens == 0, np.arange(tokens.size), 0))[:-1]  # of each target's word
        places = np.arange(tokens.size - 1)[:, None] - np.arange(block_size - 1, -1, -1)
        return np.where(places >= starts[:, None], tokens[np.maximum(places, 0)], 0), tokens[1:]

    @cached_property
    def _part_numbers(self) -> np.ndarray:
        """Number of each word's part in PARTS; len(PARTS) for a repeat that the split has dropped."""
        numbers = np.full(len(self.words), len(PARTS), np.int8)
        for number, part in enumerate(PARTS):
            numbers[self._places[part]] = number
        return numbers

    @cached_property
    def _marks(self) -> Marks | None:
        if not isinstance(self.words, MappedWords):
            return None
        return Marks(self.words, [self.stream(part) for part in PARTS], f"{self._file('marks')}.u8")

    def mark(self, word: str) -> str:
        """Return the first of "train", "val" and "test" that contains a word, or "new"."""
        if self._marks is not None:
            stream, unknown = self.vocab.stream_of_any([word])
            return "new" if not word or unknown.any() else (*PARTS, "new")[self._marks.first(stream)[0]]
        return (*PARTS, "new")[
            min((self._part_numbers[place] for place in self.words.places(word)), default=len(PARTS))
        ]

    def stand_in_train(self, part: str) -> np.ndarray:
        """Test for each word of a part if it is in train too: bool (words,)."""
        if self._marks is not None:
            runs = whole_words(self.stream(part), TOKENS_PER_COPY)
            return np.concatenate([self._marks.first(run) == PARTS.index("train") for run in runs])
        first = self.words.first_places
        return np.isin(first[self._places[part]], first[self._places["train"]])

    def stand_once(self, part: str) -> np.ndarray:
        """Test for each word of a part if it occurs only once in all parts: bool (words,)."""
        first = self.words.first_places
        times = np.bincount(first[np.concatenate(list(self._places.values()))], minlength=len(first))
        return times[first[self._places[part]]] == 1
