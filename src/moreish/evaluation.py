"""Losses on the parts of a split, in the units that people quote."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from .corpus import PARTS, Corpus
from .errors import InputError
from .model import Model


@dataclass(frozen=True)
class Evaluation:
    """Losses of a model by part of the split.

    loss        mean nll in nats per predicted token: every character of a word, and its end token
    tokens      how many were predicted
    """

    loss: dict[str, float]
    tokens: dict[str, int]

    @property
    def bits(self) -> dict[str, float]:
        """Bits per predicted token: loss / ln 2."""
        return {part: loss / math.log(2) for part, loss in self.loss.items()}

    @property
    def perplexity(self) -> dict[str, float]:
        """e**loss: among how many equally likely tokens the model could as well be choosing."""
        return {part: math.exp(loss) if loss < 700 else math.inf for part, loss in self.loss.items()}

    def as_json(self) -> dict:
        """Everything as plain dictionaries."""
        return {"loss": self.loss, "bits": self.bits, "perplexity": self.perplexity, "tokens": self.tokens}


def evaluate(model: Model, corpus: Corpus, parts: Iterable[str] = PARTS) -> Evaluation:
    """Evaluate a model on every token of parts of a corpus. Raises InputError if their vocabularies differ."""
    if corpus.vocab != model.vocab:
        raise InputError(f"the corpus has the characters {corpus.vocab.characters}, the model {model.vocab.characters}")
    nll = {part: model.nll(corpus.stream(part)) for part in parts}
    return Evaluation({part: float(x.mean()) for part, x in nll.items()}, {part: x.size for part, x in nll.items()})
