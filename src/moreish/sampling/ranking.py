"""The likeliest words of a set."""

import math
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .beam import likeliest
from .dfa import DFA
from .draw import ENUMERABLE
from .dynamic_programming import SamplingOptions
from .writer import Writer

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


def most_likely(writer: Writer, n: int, words: DFA, avoid: Collection[str] = ()) -> Candidates:
    """The n likeliest words of a set that are not to be avoided, or all where it has fewer."""
    if n < 0:
        raise InputError(f"the number of words is {n}: it must be at least 0")
    avoided = {unicodedata.normalize("NFC", word) for word in avoid}
    every = words.n_words <= ENUMERABLE
    most = max(n, 1)  # words that are searched for
    while True:
        found = likeliest(
            writer.contexts, SamplingOptions(), words, None if every else most, width=None if every else WIDTH
        )
        wanted = [(i, word) for i, word in enumerate(writer.spell(found.words)) if word not in avoided][:n]
        if every or len(wanted) == n or len(found.words) < most:
            break
        most *= 4
    shares: list[float | None] = [None] * len(found.words)
    if every and found.words:
        p = np.exp(found.log_p - found.log_p[0])
        shares = (p / p.sum()).tolist()
    log_p = writer.log_p([found.words[i] for i, _ in wanted])
    candidates = [
        Candidate(word, math.exp(log), shares[i]) for (i, word), log in zip(wanted, log_p.tolist(), strict=True)
    ]
    return Candidates(candidates, found.proven)
