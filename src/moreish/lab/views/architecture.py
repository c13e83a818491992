"""The list of layers, with formulas, shapes and parameters; or the contexts of counts."""

import re
import sys
from typing import Any

import numpy as np

from ...layers import Layer
from ...layers.layout import outputs
from ...models import ReaderConfig
from ...models.model import Model
from ..snapshot import Snapshot


def architecture(snapshot: Snapshot) -> dict[str, Any]:
    """Describe the model of a training.

    layers      of a net: path and depth in residual branches, kind, what it does, formula, shape of the output for one
                example, parameters with shapes, and their number; a residual comes after its branch
    columns     tokens in a context of a net, with a label's column if it has labels
    rows        of another model: names and values that describe it
    contexts    of counts: the number of contexts of each length that have been seen, from 0 characters on
    parameters  their number in all
    """
    model = snapshot.run.model
    found: dict[str, Any] = {"kind": model.kind, "parameters": model.n_parameters, "layers": [], "rows": []}
    if isinstance(model.config, ReaderConfig):
        rows = [[name.replace("_", " "), str(value)] for name, value in model.config.rows(model.arrays)]
        return {**found, "rows": rows, "contexts": _contexts(model)}
    for path, layer, shape in outputs(model.layers, (model.columns,)):
        found["layers"].append({"path": path, "depth": path.count("."), "shape": shape, **_described(layer)})
    return {**found, "columns": model.columns}


def _described(layer: Layer) -> dict[str, Any]:
    kind = type(layer).__name__
    what, formula = _formula(kind, sys.modules[type(layer).__module__].__doc__ or "")
    parameters = [
        {"name": parameter.name, "shape": parameter.shape, "trained": parameter.trained}
        for parameter in layer.parameters()
    ]
    n = sum(parameter.size for parameter in layer.parameters() if parameter.trained)
    return {"kind": kind, "what": what, "formula": formula, "parameters": parameters, "n": n}


def _formula(kind: str, text: str) -> tuple[str, str]:
    """Take what a layer does and its formula from the docstring of its file: the first line and the first indented
    block, of that only the line of its kind if there is one.
    """
    what = text.partition("\n")[0].partition(": ")[2]
    block = re.search(r"(?:^ {4,}\S.*\n?)+", text, re.MULTILINE)
    lines = block.group().rstrip().splitlines() if block else []
    own = [line.strip()[len(kind) :].strip() for line in lines if re.match(rf" *{kind}\b", line)]
    return what, "\n".join(own or [line[4:] for line in lines])


def _contexts(model: Model) -> list[int]:
    """Number of contexts of each length in an automaton of counts; empty for other models."""
    if "parent" not in model.arrays:
        return []
    parent, at = model.arrays["parent"], np.arange(len(model.arrays["parent"]))
    length = np.zeros(len(at), np.int64)
    while at.any():
        length += at > 0
        at = parent[at]
    return np.bincount(length).tolist()
