"""Views of a model along a word: its attention, its state, or its window."""

from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ...analysis.attention import attention
from ...analysis.states import has_states, states
from ...errors import InputError
from ...layers import CausalAverage, CausalSelfAttention, leaves
from ..snapshot import Snapshot
from .typed import Word, need_finite, typed_or_drawn

Number = Annotated[int, Field(ge=0, lt=10_000)]
LONGEST = 40  # characters of a word that are shown
MOST_UNITS = 256  # of a state


def along(snapshot: Snapshot, *, word: Word = "", layer: Number = 0, head: Number = 0) -> dict[str, Any]:
    """Show what a model sees along a word, or along one that it draws if the word is empty.

    Returns {"word", "drawn", "cut", "characters", "kind", ...}. characters are those at the T positions: "" at the word
    boundary, then the first characters of the word; cut is True if it has more. kind is

    attention   {"layers", "heads", "layer", "head", "weights"}: in row t of weights (T, T) are the weights of the
                positions that the prediction after position t looks at
    state       {"layers", "layer", "units", "values"}: names of the states of all layers, and in values (T, units) that
                of one of them after each position
    window      {"sees", "windows"}: the number of characters that the model sees, None for all before; and the
                characters that it sees after each position, "" before the word

    Raises InputError for a layer or head that the model does not have, and for models that are none of these.
    """
    model, shown = snapshot.run.model, typed_or_drawn(snapshot, word)
    cut = shown[:LONGEST]
    found = {"word": shown, "drawn": not word, "cut": len(cut) < len(shown), "characters": ["", *cut]}
    kinds = {type(inner) for _, inner in leaves(model.layers)}
    if CausalSelfAttention in kinds:
        maps = attention(model, cut)
        heads = maps[_known(layer, len(maps), "layers of attention")]
        weights = heads[_known(head, len(heads), "heads")]
        about = {"layers": len(maps), "heads": len(heads), "layer": layer, "head": head}
        return {**found, "kind": "attention", **about, "weights": _rounded(weights)}
    if has_states(model):
        by_name = states(model, cut)
        name = list(by_name)[_known(layer, len(by_name), "states")]
        values = by_name[name]
        about = {"layers": list(by_name), "layer": layer, "units": values.shape[1]}
        return {**found, "kind": "state", **about, "values": _rounded(values[:, :MOST_UNITS])}
    sees = getattr(model.config, "context", 0)
    if sees == 0 or (sees is None and CausalAverage not in kinds):
        raise InputError(f"{model.kind} has neither attention, a state nor a window to show")
    model.vocab.encode(cut)
    if sees is None:
        windows = [["", *cut[:t]] for t in range(len(cut) + 1)]
    else:
        before = [*[""] * sees, *cut]
        windows = [before[t : t + sees] for t in range(len(cut) + 1)]
    return {**found, "kind": "window", "model": model.kind, "sees": sees, "windows": windows}


def _known(number: int, n: int, what: str) -> int:
    if number >= n:
        raise InputError(f"the model has {n} {what}, numbered from 0: there is no {number}")
    return number


def _rounded(values: np.ndarray) -> list[list[float]]:
    """Rows of numbers with the digits that a picture needs."""
    return need_finite(values).astype(np.float64).round(4).tolist()
