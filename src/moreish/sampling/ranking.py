"""The most likely words of a set."""

import math
import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..display.shown import SHOWN, Shown, Table, more
from ..errors import InputError
from .beam import likeliest
from .dfa import DFA
from .model import SamplingModel
from .options import SamplingOptions
from .sources import enumerated

MAX_ENUMERATED = 20_000  # words; computing all their shares takes longer than searching for some, but no second
BEAM_WIDTH = 10_000  # prefixes of each length to keep, if there are more words: see `likeliest`
LABEL_DEPTH = 4  # words that are searched with each label for each word wanted


@dataclass(frozen=True)
class Candidate:
    """A word that satisfies the constraints.

    probability     among all words of the model
    share           among the words that satisfy the constraints, as often as wishes have them drawn; None if these are
                    too many to enumerate
    """

    word: str
    probability: float
    share: float | None


class Candidates(Shown, list[Candidate]):
    """Words that satisfy the constraints, the most likely first: with wishes, those that are drawn most often.

    proven  True if the search cannot have missed a more likely word
    """

    def __init__(self, candidates: Iterable[Candidate], proven: bool):
        super().__init__(candidates)
        self.proven = proven

    def _table(self) -> Table:
        shares = [""] if all(found.share is None for found in self) else [">share of matches"]
        rows = [
            [found.word, f"{found.probability:#.3g}", *([] if found.share is None else [f"{found.share:.2%}"])]
            for found in self[:SHOWN]
        ]
        return Table(
            f"{len(self):,} words, the most likely first",
            rows,
            ["word", ">probability", *filter(None, shares)],
            [*more(len(self)), *([] if self.proven else ["A more likely word may have been missed."])],
        )


def most_likely(models: Sequence[SamplingModel], n: int, words: DFA, avoid: Collection[str] = ()) -> Candidates:
    """Find the n most likely words of a set that are not in `avoid`, or all if it has fewer.

    models  the model, or the models of all labels
    """
    if n < 0:
        raise InputError(f"the number of words is {n}: it must be at least 0")
    avoided = {unicodedata.normalize("NFC", word) for word in avoid}
    enumerable = words.n_words <= MAX_ENUMERATED
    most = max(n, 1)  # words to search for
    while True:
        found, log_p, proven = _found(models, words, None if enumerable else most)
        wanted = [(i, word) for i, word in enumerate(models[0].spell(found)) if word not in avoided][:n]
        if enumerable or len(wanted) == n or len(found) < most:
            break
        most *= 4
    shares: list[float | None] = [None] * len(found)
    if enumerable and found:
        p = np.exp(log_p - log_p[0])
        shares = (p / p.sum()).tolist()
    log_p = _log_p(models, [found[i] for i, _ in wanted])
    candidates = [
        Candidate(word, math.exp(log), shares[i]) for (i, word), log in zip(wanted, log_p.tolist(), strict=True)
    ]
    return Candidates(candidates, proven)


def _found(models: Sequence[SamplingModel], words: DFA, most: int | None) -> tuple[list[list[int]], np.ndarray, bool]:
    """Return the most likely words of a set, or all if `most` is None; the logarithms of their probabilities times
    weights; and if the search cannot have missed a more likely word.
    """
    if most is None:
        return *enumerated(models, SamplingOptions(), words), True
    if len(models) == 1:
        found = likeliest(models[0], words, most, BEAM_WIDTH)
        return found.words, found.log_p, found.proven
    # A word that no label's search finds is at most as likely, given each label, as the last word that it finds.
    searches = [likeliest(model, words, LABEL_DEPTH * most, BEAM_WIDTH) for model in models]
    different = list({tuple(word): word for search in searches for word in search.words}.values())
    log_p = _log_p(models, different) + words.log_weights(different)
    ranked = np.argsort(-log_p, kind="stable")[:most]
    last = [
        model.share * np.exp((model.log_p(search.words[-1:]) + words.log_weights(search.words[-1:])).sum())
        for model, search in zip(models, searches, strict=True)
        if len(search.words) == LABEL_DEPTH * most
    ]
    proven = all(search.proven for search in searches) and (not last or np.exp(log_p[ranked[-1]]) >= sum(last))
    return [different[i] for i in ranked], log_p[ranked], bool(proven)


def _log_p(models: Sequence[SamplingModel], words: Sequence[Sequence[int]]) -> np.ndarray:
    """Return the logarithm of each word's probability among all words that the model can draw, (n,)."""
    return np.logaddexp.reduce([np.log(model.share) + model.log_p(words) for model in models])
