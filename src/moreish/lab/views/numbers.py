"""Numbers as a page takes them: few digits, and None for one that is not finite, which JSON does not have."""

import math
from typing import Any

import numpy as np


def table(array: np.ndarray, decimals: int = 4) -> list[Any]:
    """Return an array as nested lists of numbers with a few decimals."""
    rounded = np.round(array.astype(np.float64), decimals).astype(object)
    rounded[~np.isfinite(array)] = None
    return rounded.tolist()


def finite(value: Any) -> Any:
    """Return nested dictionaries and lists with None for every number that is not finite."""
    if isinstance(value, dict):
        return {name: finite(part) for name, part in value.items()}
    if isinstance(value, list):
        return [finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
