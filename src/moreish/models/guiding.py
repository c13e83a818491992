"""The n-grams that look ahead when words are drawn from a model under constraints: see `sampling.lookahead`.

They are counted from the list that the model was trained on, one for each label, or for a model without a list from
words that it draws. Of a large list some words are enough.
"""

from typing import TYPE_CHECKING

import numpy as np

from ..corpus import Corpus, whole_words
from ..engine.protocol import Draw
from ..ngram import Automaton, count_tables, smoothed
from ..sampling.lookahead import Guide
from .ngram import NGram

if TYPE_CHECKING:
    from .model import Model

ORDER = 5
MOST_TOKENS = 1 << 21  # of the train part
DRAWN, LONGEST = 1 << 14, 50  # words of a model without a list, and characters of these


def guides_of(model: "Model") -> list[Guide]:
    """Make the guide of a model, or one for each of its labels."""
    corpus = model.corpus
    if corpus is not None and corpus.vocab == model.vocab:
        return _counted(corpus, len(model.labels or ()))
    if model.labels is None:
        return [_drawn(model)]
    return [_drawn(model.of_label(label)) for label in range(len(model.labels))]


def _counted(corpus: Corpus, n_labels: int) -> list[Guide]:
    train, config, V = corpus.stream("train"), NGram(order=ORDER), len(corpus.vocab)
    if len(train) > MOST_TOKENS or len(corpus.label_names) != n_labels:
        some = next(whole_words(train, MOST_TOKENS))
        return [_guide(some, corpus.stream("val"), V)] * max(1, n_labels)
    arrays = config.fit(corpus)
    if not n_labels:
        return [Guide(config.reader(arrays, V), train)]
    of_labels = enumerate(corpus.by_label("train"))
    return [Guide(config.reader(config.given(arrays, label), V), words.stream) for label, words in of_labels]


def _drawn(model: "Model") -> Guide:
    drawn = [model.engine.generate(model.params, n, Draw(max_length=LONGEST, seed=n)) for n in (DRAWN, DRAWN // 8)]
    train, val = (np.concatenate([[0], words]).astype(np.int32) for words in drawn)
    return _guide(train, val, len(model.vocab))


def _guide(train: np.ndarray, val: np.ndarray, n_vocab: int) -> Guide:
    arrays = smoothed(count_tables(train, ORDER, n_vocab), "fitted", 1.0, val)
    return Guide(Automaton(ORDER, n_vocab, arrays), train)
