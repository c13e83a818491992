"""The n-gram that looks ahead when words are drawn from a model under constraints.

It is counted from the list that the model was trained on, or, for a model without a list, from words that the model
draws. Of a large list some words are enough.
"""

from typing import TYPE_CHECKING

import numpy as np

from ..corpus import Corpus, whole_words
from ..ngram import Automaton, count_tables, smoothed
from ..sampling.lookahead import Guide
from .ngram import NGram

if TYPE_CHECKING:
    from .model import Model

ORDER = 5
MOST_TOKENS = 1 << 21  # of the train part
DRAWN = 1 << 14  # words of a model without a list
LONGEST = 50  # characters of these


def guide_of(model: "Model") -> Guide:
    """Make the guide of a model without labels, from its list or from words that it draws."""
    corpus, V = model.corpus, len(model.vocab)
    if corpus is not None and corpus.vocab == model.vocab:
        stream = next(whole_words(corpus.stream("train"), MOST_TOKENS))
        return Guide(Automaton(ORDER, V, _arrays(stream, corpus.stream("val"), V)), stream)
    ...
