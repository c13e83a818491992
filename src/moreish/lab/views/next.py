"""Probabilities of what may follow a prefix, with the present weights."""

import unicodedata
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ..snapshot import Snapshot
from .typed import Share, Temperature, Word, need_finite


def next_characters(
    snapshot: Snapshot,
    *,
    prefix: Word = "",
    temperature: Temperature = 1.0,
    top_p: Share = 1.0,
    n: Annotated[int, Field(ge=1, le=100)] = 12,
) -> dict[str, Any]:
    """Probabilities of the n most likely characters after a prefix, and of all others together.

    Returns {"prefix", "bars": [{"char", "p", "drawn"}, ...], "rest": {"n", "p", "drawn"}}; "" is the end of the word.
    p is the probability at this temperature, and drawn the one with which a draw takes the character: that of others is
    0 under top-p, and that of the end is 0 where no word may end.

    Raises InputError for a character that the model does not know.
    """
    prefix = unicodedata.normalize("NFC", prefix)
    found = snapshot.run.model.next(prefix, temperature=temperature or 1.0)
    characters, p = list(found), need_finite(np.fromiter(found.values(), float))
    if temperature == 0:
        p = (np.arange(len(p)) == p.argmax()).astype(float)
    drawn, order = _drawn(p, prefix, top_p), np.argsort(-p, kind="stable")
    bars = [{"char": characters[i], "p": float(p[i]), "drawn": float(drawn[i])} for i in order[:n]]
    rest = order[n:]
    return {
        "prefix": prefix,
        "bars": bars,
        "rest": {"n": len(rest), "p": float(p[rest].sum()), "drawn": float(drawn[rest].sum())},
    }


def _drawn(p: np.ndarray, prefix: str, top_p: float) -> np.ndarray:
    """The probability with which each character is drawn (V,): none is the end of an empty word."""
    drawn = p.copy()
    if not prefix:
        drawn[0] = 0
    if not drawn.any():
        return drawn
    drawn /= drawn.sum()
    if top_p < 1:
        order = np.argsort(-drawn, kind="stable")
        drawn[order[np.searchsorted(np.cumsum(drawn[order]), top_p) + 1 :]] = 0
        drawn /= drawn.sum()
    return drawn
