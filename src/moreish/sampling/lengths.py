"""Drawing words whose lengths have a wished distribution.

The number of words of each length is drawn first. Then words of all lengths are drawn together, and each is kept if its
length is still wanted. The lengths that the model rarely generates, of which some words are still missing, are drawn
one by one. Both give the words of one length as often as the model generates them among those.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ..corpus import Corpus
from ..engine.rng import LENGTHS, bits
from ..errors import InputError
from .constraints import MAX_LENGTH
from .dfa import DFA
from .draw import WORDS_PER_DRAW, Drawing

ITEM = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?(?::(.+))?", re.ASCII)
MORE_WORDS = 400  # are drawn together, beyond two for each word wanted


def wished_lengths(lengths: str | Mapping[int, float], corpus: Corpus | None, label: object = None) -> dict[int, float]:
    """Return how often each length is wished, as numbers that need not add up to anything.

    lengths     "list" for the lengths of the train part of a corpus, those of one label if it is given; or text such as
                "4:1,5:2" or "4-8", or a mapping

    Raises InputError for a length or a number out of range, and for "list" without a corpus.
    """
    if lengths == "list":
        return _of_list(corpus, label)
    if isinstance(lengths, Mapping):
        lengths = ",".join(f"{length}:{number}" for length, number in lengths.items())
    elif not isinstance(lengths, str):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InputError(f"--lengths is {lengths!r}: it must be 'list', or lengths such as '4:1,5:2' or '4-8'")
    wished: dict[int, float] = {}
    for item in lengths.split(","):
        if not (parts := ITEM.fullmatch(item.strip())):
            raise InputError(f"--lengths {lengths}: {item!r} is no length: give 4, 4-8 or 4:2, or several with commas")
        low = int(parts[1])
        high = int(parts[2] or low)
        if not 1 <= low <= high <= MAX_LENGTH:
            raise InputError(f"--lengths {lengths}: {item!r} must be lengths from 1 to {MAX_LENGTH:,}, in this order")
        try:
            number = float(parts[3] or 1)
        except ValueError:
            number = 0.0
        if not 0 < number <= 1e9:
            raise InputError(f"--lengths {lengths}: after the colon of {item!r} must be a number above 0, up to 1e9")
        for length in range(low, high + 1):
            if length in wished:
                raise InputError(f"--lengths {lengths} has the length {length} twice: give it once")
            wished[length] = number
    return wished


def _of_list(corpus: Corpus | None, label: object) -> dict[int, float]:
    if corpus is None:
        raise InputError("this model knows no list: give lengths such as '4:1,5:2', or use the model of a run")
    lengths, weights = corpus.parts["train"].lengths, corpus.weights("train")
    weights = np.ones(len(lengths)) if weights is None else weights
    if label is not None:
        weights = weights * (corpus.labels("train") == corpus.label_names.index(str(label)))
    shares = np.bincount(lengths, weights)
    if not shares.sum():
        raise InputError(f"no word of the list's train part has the label {label}: give lengths such as '4:1,5:2'")
    return {int(length): float(shares[length]) for length in np.flatnonzero(shares)}


def lengths_of(words: DFA, most: int) -> set[int]:
    """Return the lengths of up to `most` characters that words of a set have."""
    found, here = set[int](), np.zeros(1, np.int64)
    for length in range(1, most + 1):
        here = np.unique(words.delta[here])
        here = here[here >= 0]
        if words.accept[here].any():
            found.add(length)
    return found


class DrawingByLength(Drawing):
    """A draw of words whose lengths have a wished distribution, restricted to the lengths that fit the constraints.

    lengths     how often each length is wished

    The other arguments are those of `Drawing`; tries is the limit for each length. method names all methods that were
    used, and share is that of all lengths from the shortest wished to the longest. effective is the mean over the
    words, where one that was drawn exactly counts as 1.

    Iterating raises InputError if no wished length fits, and if too few words of one length are found.
    """

    def __init__(self, lengths: Mapping[int, float], *arguments: Any, **options: Any):
        super().__init__(*arguments, **options)
        self.lengths = lengths
        self._methods = dict[str, None]()
        self._n_found, self._n_effective = 0, 0.0

    def __iter__(self) -> Iterator[list[str]]:
        words = self.constraints.words(self.models[0].vocab)
        fitting = lengths_of(words, max(self.lengths))
        wished = {length: number for length, number in sorted(self.lengths.items()) if length in fitting}
        if not wished:
            raise InputError(
                f"no word that fits the other constraints has {shown(self.lengths)} characters (--lengths)"
            )
        self.wishes = words.has_wishes
        p = np.array(list(wished.values()))
        key = int(bits(self.seed, LENGTHS)) >> 1
        generator = np.random.default_rng(key)
        for first in range(0, self.n, WORDS_PER_DRAW):
            counts = generator.multinomial(min(WORDS_PER_DRAW, self.n - first), p / p.sum())
            found = self._words_of(dict(zip(wished, counts.tolist(), strict=True)), int(bits(key, first)) >> 1)
            yield [found[i] for i in generator.permutation(len(found)).tolist()]

    def _words_of(self, missing: dict[int, int], seed: int) -> list[str]:
        """Draw words of each length, as many as are missing."""
        found: list[str] = []
        low, high, n, share = min(missing), max(missing), sum(missing.values()), None
        if low < high:
            many = n if self.exact else 2 * n + MORE_WORDS
            together = self._drawing(many if self.tries is None else min(many, self.tries), seed, low, high)
            try:
                for some in together:
                    for word in some:
                        if missing.get(len(word)):
                            missing[len(word)] -= 1
                            found.append(word)
                    if len(found) == n:
                        break
                share = together.share
            except InputError:  # there are too few words of all lengths, and maybe enough of those that are missing
                pass
            self._take(together, found)
        shares: list[float] = []
        for length, number in missing.items():
            if number:
                drawing = self._drawing(number, int(bits(seed, length)) >> 1, length, length)
                try:
                    words = drawing.samples()
                except InputError as error:
                    raise InputError(
                        f"words of {length:,} characters (--lengths), {number:,} of them: {error}"
                    ) from None
                self._take(drawing, words)
                shares.append(drawing.share)
                found += words
        self.share = sum(shares) if share is None else share
        return found

    def _drawing(self, n: int, seed: int, low: int, high: int) -> Drawing:
        """Return a draw of n words of low to high characters, without a wish for their lengths."""
        constraints, tried = replace(self.constraints, min_length=low, max_length=high), self.tried
        return Drawing(
            *(self.models, n, seed, self.options, constraints),
            avoid=self.avoided,
            distinct=self.distinct,
            exact=self.exact,
            tries=self.tries,
            on_progress=lambda _, drawn: self.on_progress(self._n_found, tried + drawn),
            on_cost=self.on_cost if low < high else lambda cost: self.on_cost(f"words of {low} characters: {cost}"),
        )

    def _take(self, drawing: Drawing, words: Sequence[str]) -> None:
        """Note the words that a draw gave, and how it did."""
        self.tried += drawing.tried
        if not words:
            return
        if not self._methods:
            self.head = drawing.head
        self._methods[drawing.method] = None
        *others, last = self._methods
        self.method = f"{', '.join(others)} and {last}" if others else last
        self._n_found += len(words)
        self._n_effective += len(words) * (1.0 if drawing.effective is None else drawing.effective)
        if "look-ahead" in self._methods:
            self.effective = self._n_effective / self._n_found
        if self.distinct:
            self.avoided.update(words)
        self.on_progress(self._n_found, self.tried)


def shown(lengths: Iterable[int]) -> str:
    """Return lengths as text, such as 2-4,7."""
    ends: list[list[int]] = []
    for length in sorted(lengths):
        if ends and ends[-1][1] == length - 1:
            ends[-1][1] = length
        else:
            ends.append([length, length])
    return ",".join(f"{low}" if low == high else f"{low}-{high}" for low, high in ends)
