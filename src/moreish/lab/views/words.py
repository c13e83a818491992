"""Words drawn with the present weights."""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ...engine.protocol import Draw
from ...models.model import Model
from ..snapshot import Snapshot

LONGEST = 50  # characters; a net that has learnt nothing yet draws longer words, which are cut off

Seed = Annotated[int, Field(ge=0, lt=1 << 63)]


def words(snapshot: Snapshot, *, n: Annotated[int, Field(ge=1, le=100)] = 10, seed: Seed = 42) -> dict[str, Any]:
    """Draw n words: {"words": [{"word", "mark"}, ...]}.

    A mark is "new", the part of the list that has the word, or "cut" for a word that was cut off. With labels each word
    has the "label" that it was drawn for.
    """
    run = snapshot.run
    drawn = [
        {"word": word, "mark": "cut" if len(word) == LONGEST else run.corpus.mark(word)} | label
        for word, label in drawn_words(run.model, n, seed)
    ]
    return {"words": drawn}


def drawn_words(model: Model, n: int, seed: int) -> list[tuple[str, dict[str, str]]]:
    """Draw n words of any kind and at most LONGEST characters. Each comes with {"label": ...} if the model has labels:
    these are drawn by their shares in the list, and words of one label come together.
    """
    if model.labels is None:
        return [(word, {}) for word in _drawn(model, n, seed, 0)]
    numbers = np.random.default_rng(seed).choice(len(model.labels), n, p=model.labels.shares)
    found: list[tuple[str, dict[str, str]]] = []
    for number, times in zip(*np.unique(numbers, return_counts=True), strict=True):
        label = {"label": model.labels.names[number]}
        found += [(word, label) for word in _drawn(model.of_label(int(number)), int(times), seed, len(found))]
    return found


def _drawn(model: Model, n: int, seed: int, first: int) -> list[str]:
    tokens = model.engine.generate(model.params, n, Draw(seed=seed, max_length=LONGEST, first=first))
    return model.vocab.split(tokens)
