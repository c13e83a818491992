"""Views of a snapshot, which a page asks for: functions of the snapshot and of the question's values, to plain JSON.

A new view is one function here and its row in VIEWS. Its keyword arguments are checked against their annotations. It
raises InputError, with a message of one line, where the model has nothing to show.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from pydantic import ConfigDict, ValidationError, validate_call

from ...errors import InputError, unknown
from ..snapshot import Snapshot
from .along import along
from .architecture import architecture
from .embedding import embedding
from .gradient import gradient
from .layers import layers
from .next import next_characters
from .pairs import pair, pairs
from .score import score
from .steer import likeliest, steer
from .words import words

View = Callable[..., dict[str, Any]]
CHECKED = ConfigDict(arbitrary_types_allowed=True, strict=True, allow_inf_nan=False)

ALL: dict[str, View] = {
    "words": words,
    "pairs": pairs,
    "pair": pair,
    "embedding": embedding,
    "layers": layers,
    "architecture": architecture,
    "next": next_characters,
    "score": score,
    "steer": steer,
    "likeliest": likeliest,
    "along": along,
    "gradient": gradient,
}
LARGEST = 1e15  # weight; products of larger ones are beyond float32
OF_ANY_WEIGHTS = ("architecture", "layers")  # views that show even larger ones
LONG = frozenset({"steer", "likeliest", "gradient"})  # they may take seconds: no other question waits for them
VIEWS: dict[str, View] = {name: validate_call(config=CHECKED)(view) for name, view in ALL.items()}


def answer(snapshot: Snapshot, view: str, values: dict[str, Any]) -> dict[str, Any]:
    """Answer a question.

    Raises InputError for an unknown view, for values that do not fit, for weights that are too large, and as the view
    does.
    """
    if view not in VIEWS:
        raise unknown("view", view[:100], VIEWS)
    if view not in OF_ANY_WEIGHTS and not np.abs(snapshot.run.model.params).max(initial=0) < LARGEST:
        raise InputError("the weights are too large to compute with: start anew with a lower --lr")
    try:
        return VIEWS[view](snapshot, **values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part)[:100] for part in first["loc"])
        raise InputError(f"{place}: {first['msg'].replace('Input should', 'it should')}") from None
