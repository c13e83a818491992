"""The likeliest words of a set."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .dfa import DFA
from .product import Chances
from .sampling import ENUMERABLE, Writer, spell
from .search import likeliest

WIDTH = 20_000  # prefixes of a length that a search keeps, where there are more words than can be enumerated


@dataclass(frozen=True)
class Candidate:
    """A word that fits.

    probability     of all words that the model makes
    share           of its words that fit; None where these are too many to be summed up
    """

    word: str
    probability: float
    share: float | None


class Candidates(list[Candidate]):
    """Words that fit, from the likeliest on.

    proven  whether no likelier one can have been missed: the search dropped nothing that could have become one
    """

    def __init__(self, candidates: Iterable[Candidate], proven: bool):
        super().__init__(candidates)
        self.proven = proven


def most_likely(writer: Writer, n: int, words: DFA) -> Candidates:
    """The n likeliest words of a set, or all where it has fewer."""
    if n < 0:
        raise InputError(f"the number of words is {n}: it must be at least 0")
    enumerable = words.n_words <= ENUMERABLE
    found = likeliest(writer.contexts, Chances(), words, None if enumerable else n, width=None if enumerable else WIDTH)
    chosen = found.words[:n]
    shares: list[float | None] = [None] * len(chosen)
    if enumerable:
        shares = (np.exp(found.log_p) / np.exp(found.log_p).sum()).tolist()[:n]
    stream = np.array([0, *(token for word in chosen for token in (*word, 0))], np.int32)
    ends = np.flatnonzero(stream[1:] == 0)
    nll = np.add.reduceat(writer.reader.nll(writer.params, stream), [0, *ends[:-1] + 1]) if chosen else []
    return Candidates(
        (
            Candidate(word, float(np.exp(-cost)), share)
            for word, cost, share in zip(spell(writer.vocab, chosen), nll, shares, strict=True)
        ),
        found.proven,
    )


def gap_pattern(text: str) -> str:
    """A word with gaps, jo__than, as a pattern: _ is any one character, unless a backslash stands before it."""
    pattern, escaped = "", False
    for char in text:
        pattern += "?" if char == "_" and not escaped else char
        escaped = char == "\\" and not escaped
    return pattern
