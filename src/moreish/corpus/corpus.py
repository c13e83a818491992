"""A corpus: a list of words, its vocabulary, its split, and the flat stream of tokens of each part."""

import hashlib
import math
from collections.abc import Iterable
from copy import copy
from functools import cached_property
from typing import Any

import numpy as np

from ..display.shown import Shown, Table, clean
from ..errors import InputError, unknown
from .mapped import TOKENS_PER_COPY, MappedWords, Marks
from .split import PARTS, SPLITS, check_number, split_words
from .stream import Words, whole_words
from .vocab import Vocab
from .wordlist import WordList, without_cached

EXAMPLES = 5  # words of each part
MOST_DIGITS = 250  # of a weight to its power: sums of 10^50 are then below the largest float64


class Corpus(Shown):
    """Words split into train, val and test.

    words       in file order, with repeats, in NFC
    vocab       the characters of all words, and those of `extra`
    extra       characters that no word has: see `widened`
    parts       {"train": ..., "val": ..., "test": ...}, the words of each in shuffled order
    split       "lecture", "distinct" or "hash"; see `split_words`
    weight_power    exponent of the weights: 1 counts a word as often as its weight says, 0 counts every word once

    In a list with weights, the lines of a word with the same label are merged, and their weights are added.

    Raises InputError for a word that is empty or contains a line break, and for fewer words than a split needs.
    """

    extra: str = ""

    def __init__(self, words: Iterable[str], split: str = "lecture", split_seed: int = 42, weight_power: float = 1.0):
        if isinstance(words, str):
            raise InputError(f"{words[:40]!r} is a single string: give a list of words, or the file to read_words")
        self.words = WordList.of(words).merged()
        self.split = "distinct" if self.words.has_columns and split != "hash" else split
        self.split_seed, self.weight_power = split_seed, weight_power
        if split not in SPLITS:
            raise unknown("split", split, SPLITS)
        if (weights := self.words.weights) is not None and len(weights):
            ratio = float(weights.max() / min(1.0, weights.min()))
            if math.log10(ratio) * weight_power > MOST_DIGITS:
                reason = (
                    f"weights of {weights.min():g} to {weights.max():g} to the power of {weight_power:g} are too large"
                )
                raise InputError(reason, "choose a smaller --weight-power")
        if not isinstance(self.words, MappedWords):
            if self.split == "lecture":
                check_number(len(self.words))  # and shuffles a long list only when its parts are needed
            else:
                _ = self.parts  # raises if there are too few different words
        self.vocab = Vocab(self.words.character_counts())
        self._streams: dict[tuple[str, int | None], np.ndarray] = {}

    def __repr__(self) -> str:
        sizes = {} if isinstance(self.words, MappedWords) else self.parts
        parts = "".join(f", {part} {len(words):,}" for part, words in sizes.items())
        return clean(f"Corpus({self.summary}, {self.split} split{parts})")

    @property
    def summary(self) -> str:
        """Name and numbers of words, characters and labels, as text."""
        name = f"{self.name}, " if self.name else ""
        labels = f", {len(self.label_names):,} labels" if self.label_names else ""
        return f"{name}{len(self.words):,} words, {len(self.vocab) - 1:,} characters{labels}"

    def _table(self) -> Table:
        sizes = {} if isinstance(self.words, MappedWords) else self.parts
        rows = [(part, f"{len(words):,}", ", ".join(words[:EXAMPLES])) for part, words in sizes.items()]
        heading = ["part", ">words", "examples"] if rows else []
        return Table(f"Corpus of {self.summary}, {self.split} split", rows, heading)

    def __getstate__(self) -> dict[str, Any]:
        """State without the split and the tokens, which are made again from the words."""
        return without_cached(self) | {"_streams": {}}

    def widened(self, characters: str) -> "Corpus":
        """Return the same corpus with further characters in its vocabulary."""
        wider = copy(self)
        wider.vocab = Vocab(self.vocab.characters + characters)
        wider._streams = {}
        wider.extra = "".join(c for c in wider.vocab.characters if c in self.extra or c not in self.vocab.characters)
        return wider

    @cached_property
    def _places(self) -> dict[str, np.ndarray]:
        return split_words(self.words, self.split, self.split_seed)

    @cached_property
    def parts(self) -> dict[str, WordList]:
        """Words of train, val and test, each in shuffled order."""
        return {part: self.words[places] for part, places in self._places.items()}

    @property
    def name(self) -> str:
        """Name of the list: that of its file, without the ending; empty for words from Python."""
        return self.words.name

    @property
    def label_names(self) -> tuple[str, ...]:
        """The different labels, sorted; empty for a list without labels."""
        return self.words.label_names

    @cached_property
    def label_shares(self) -> np.ndarray:
        """Share of each label in train, weighted, float64 (labels,). One without train words counts as half a word."""
        weights = self.weights("train")
        counts = np.bincount(self.labels("train"), weights, minlength=len(self.label_names))
        counts = np.maximum(counts, 0.5)
        return counts / counts.sum()

    def labels(self, part: str) -> np.ndarray:
        """Return the number of each word's label in `label_names`, int32 (words,). The list must have labels."""
        labels = self.parts[part].labels
        assert labels is not None
        return labels

    def weights(self, part: str) -> np.ndarray | None:
        """Return how often each word of a part counts, float64 (words,); None for a list without weights.

        A weight is taken to the power of `weight_power`. If the smallest weight of the list is below 1, all are scaled
        so that it becomes 1.
        """
        if self.words.weights is None:
            return None
        weights = self.parts[part].weights
        assert weights is not None
        return (weights / min(1.0, self.words.weights.min())) ** self.weight_power

    @cached_property
    def data_hash(self) -> str:
        """SHA-256 of the words in order, with line breaks between them, and of their weights and labels if they have
        any; it identifies the data of a run.
        """
        words = self.words
        if not words.has_columns:
            return words.sha256
        digest = hashlib.sha256(words.sha256.encode())
        for column in (words.weights, words.labels):
            digest.update(b"" if column is None else column.tobytes())
        digest.update("\n".join(words.label_names).encode())
        return digest.hexdigest()

    @property
    def identity(self) -> tuple[str, str, int, float]:
        """Identity of the words and of their split: losses on equal ones can be compared."""
        return self.data_hash, self.split, self.split_seed, self.weight_power

    def stream(self, part: str, label: int | None = None) -> np.ndarray:
        """Return a part as a flat stream of tokens, int32 (1 + tokens,): 0, then each word followed by 0.

        label   the number of a label, to have only the words with this label
        """
        key = part, label
        if key not in self._streams:
            if label is not None:
                self._streams[key] = self.vocab.stream(self.parts[part][self.labels(part) == label])
            elif isinstance(self.words, MappedWords):
                name = f"{part}-{self._split_name}.i4"
                self._streams[key] = self.words.stream(name, lambda: self._places[part], self.vocab.table)
            else:
                self._streams[key] = self.vocab.stream(self.parts[part])
        return self._streams[key]

    def by_label(self, part: str) -> list[Words]:
        """Return the words of each label in a part, in the order of `label_names`."""
        labels, weights = self.labels(part), self.weights(part)
        return [
            Words(self.stream(part, label), None if weights is None else weights[labels == label])
            for label in range(len(self.label_names))
        ]

    def windows(self, part: str, block_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Return all contexts and targets of a part, in order, as int64 arrays X (N, T) and Y (N,).

        A context is the `block_size` tokens before its target, with 0 before the word.
        """
        tokens = self.stream(part).astype(np.int64)
        starts = np.maximum.accumulate(np.where(tokens == 0, np.arange(tokens.size), 0))[:-1]  # of each target's word
        places = np.arange(tokens.size - 1)[:, None] - np.arange(block_size - 1, -1, -1)
        return np.where(places >= starts[:, None], tokens[np.maximum(places, 0)], 0), tokens[1:]

    @property
    def _split_name(self) -> str:
        """Name of the split, and of the vocabulary if it is not that of the words, for files of a `MappedWords`."""
        wider = f"-{hashlib.sha256(self.extra.encode()).hexdigest()[:16]}" if self.extra else ""
        return f"{'lines' if self.words.has_columns and self.split != 'hash' else self.split}-{self.split_seed}{wider}"

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
        return Marks(self.words, [self.stream(part) for part in PARTS], f"marks-{self._split_name}.u8")

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
