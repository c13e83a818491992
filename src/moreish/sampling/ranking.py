"""The most likely words of a set."""

import math
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np

from ..errors import InputError
from .beam import beam_search
from .dfa import DFA
from .draw import MAX_ENUMERATED
from .dynamic_programming import SamplingOptions
from .model import SamplingModel

BEAM_WIDTH = 20_000  # prefixes of each length to keep, if there are too many words to enumerate


@dataclass(frozen=True)
class Candidate:
    """A word that satisfies the constraints.

    probability     among all words of the model
    share           among the words that satisfy the constraints; None if these are too many to enumerate
    """

    word: str
    probability: float
    share: float | None


class Candidates(list[Candidate]):
    """Words that satisfy the constraints, the most likely first.

    proven  True if the search cannot have missed a more likely word
    """

    def __init__(self, candidates: Iterable[Candidate], proven: bool):
        super().__init__(candidates)
        self.proven = proven


def most_likely(model: SamplingModel, n: int, words: DFA, avoid: Collection[str] = ()) -> Candidates:
    """Find the n most likely words of a set that are not in `avoid`, or all if it has fewer."""
    if n < 0:
        raise InputError(f"the number of words is {n}: it must be at least 0")
    avoided = {unicodedata.normalize("NFC", word) for word in avoid}
    enumerable = words.n_words <= MAX_ENUMERATED
    most = max(n, 1)  # words to search for
    while True:
        found = beam_search(
            *(model.contexts, SamplingOptions(), words, None if enumerable else most),
            width=None if enumerable else BEAM_WIDTH,
        )
        wanted = [(i, word) for i, word in enumerate(model.spell(found.words)) if word not in avoided][:n]
        if enumerable or len(wanted) == n or len(found.words) < most:
            break
        most *= 4
    shares: list[float | None] = [None] * len(found.words)
    if enumerable and found.words:
        p = np.exp(found.log_p - found.log_p[0])
        shares = (p / p.sum()).tolist()
    log_p = model.log_p([found.words[i] for i, _ in wanted])
    candidates = [
        Candidate(word, math.exp(log), shares[i]) for (i, word), log in zip(wanted, log_p.tolist(), strict=True)
    ]
    return Candidates(candidates, found.proven)
