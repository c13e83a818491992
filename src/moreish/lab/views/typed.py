"""Values that a person types: their bounds, and the word to show while nothing is typed."""

import unicodedata
from typing import Annotated

import numpy as np
from pydantic import Field

from ...errors import InputError
from ..snapshot import Snapshot

Word = Annotated[str, Field(max_length=100)]
Temperature = Annotated[float, Field(ge=0, le=1000)]
Share = Annotated[float, Field(gt=0, le=1)]


def typed_or_drawn(snapshot: Snapshot, word: str) -> str:
    """Return a word in NFC; instead of an empty one, a word that the model draws."""
    return unicodedata.normalize("NFC", word) or snapshot.run.model.sample(1, seed=42, max_length=30)[0]


def need_finite(values: np.ndarray) -> np.ndarray:
    """Return numbers as they are. Raises InputError if some are not finite, as after a training that has diverged."""
    if not np.isfinite(values).all():
        raise InputError("the model's numbers are no longer finite: the training has diverged")
    return values
