"""The score of a word: the nats of each character and of the end."""

import math
from dataclasses import dataclass, field

from ..display.shown import Shown, Table, first, more

UNKNOWN_NLL = math.log(0x110000)  # nats of an unknown character: uniform over the code points of Unicode
MOST_CHARACTERS = 30  # in a notebook


@dataclass(frozen=True, repr=False)
class Score(Shown):
    """Score of a word under a model.

    per_char    nll in nats of each character in order, then of the end of the word
    unknown     positions of the characters that the model does not know
    nll         mean of per_char, in nats per token
    bits        the same in bits per token
    percentile  from a `Scorer`: percentage of the val words of similar length that are at most as likely
    likely      from a `Scorer`: True if the word could belong to the list
    """

    word: str
    per_char: list[float]
    unknown: list[int] = field(default_factory=list)
    percentile: float | None = None
    likely: bool | None = None

    def __repr__(self) -> str:
        place = "" if self.percentile is None else f", percentile {self.percentile:.1f}"
        verdict = "" if self.likely is None else ", likely" if self.likely else ", unlikely"
        return f"Score({', '.join(first([self.word]))}, {self.nll:.4f} nats per token{place}{verdict})"

    def _table(self) -> Table:
        nats = list(zip([*self.word, "end"], self.per_char, strict=True))[:MOST_CHARACTERS]
        rows, heading = [[f"{x:.2f}" for _, x in nats]], [f">{c}" for c, _ in nats]
        return Table(repr(self), rows, heading, more(len(self.per_char), MOST_CHARACTERS))

    @property
    def nll(self) -> float:
        return sum(self.per_char) / len(self.per_char)

    @property
    def bits(self) -> float:
        return self.nll / math.log(2)
