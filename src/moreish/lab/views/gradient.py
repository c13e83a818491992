"""The gradient of one parameter: by hand, by autograd and by a difference, and the lines that compute it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from importlib.util import find_spec
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from ...analysis.derivation import derivation
from ...analysis.gradcase import Case
from ...engine.words import WordBatches
from ...errors import InputError, unknown
from ...layers import Layer, Linear, leaves
from ...layers.layout import Slot
from ..snapshot import Snapshot
from .typed import Word, need_finite

EXAMPLES = 32  # of the batch, at most
CELLS = 64  # rows and columns of the map

Index = Annotated[int, Field(ge=0, lt=1 << 31)] | None


@dataclass(frozen=True)
class Gradients:
    """All gradients of a batch at a snapshot.

    version     of the snapshot
    case        the batch, with the weights in float64
    """

    version: int
    case: Case

    @cached_property
    def by_hand(self) -> dict[str, np.ndarray]:
        """The gradients by hand in both float types, flat (n_trained,)."""
        types = {"float64": np.float64, "float32": np.float32}
        return {name: self.case.of_type(dtype).gradients(fuse=False) for name, dtype in types.items()}

    @cached_property
    def loss(self) -> float:
        """The mean loss of the batch in nats."""
        return self.case.loss_and_gradients(fuse=False)[0]

    @cached_property
    def by_autograd(self) -> np.ndarray:
        """The gradients by autograd in float64, flat (n_trained,)."""
        return self.case.gradients_by_autograd()


def gradient(
    snapshot: Snapshot,
    *,
    parameter: Word = "",
    row: Index = None,
    column: Index = None,
    map: Literal["weights", "gradients"] = "gradients",
    autograd: bool = False,
) -> dict[str, Any]:
    """Compare the gradients of one entry of a parameter, for the batch of the next step.

    parameter       its name, such as "2.linear.W"; by default the W of the first Linear
    row, column     of the entry; by default the one with the largest gradient
    map             the numbers to show around it
    autograd        compute the one by autograd, which imports PyTorch first

    Returns {"parameters", "parameter", "shape", "row", "column", "value", "loss", "examples", "of", "words", "hand":
    {"float64", "float32"}, "difference", "autograd", "torch", "largest", "map", "derivation"}. The loss is that of so
    many examples, or words, of the batch. autograd is None unless it was asked for and PyTorch is there, which torch
    says. largest is the largest gradient of the tensor by magnitude.

    Raises InputError for a model without layers, and for a parameter or an entry that it does not have.
    """
    snapshot.run.model.need_layers()
    if snapshot.task is None:
        raise InputError("BatchNorm was folded into the other layers of this run: open one that was not folded")
    found = _gradients(snapshot)
    case, by_hand = found.case, found.by_hand
    slots = {slot.name: (slot, layer) for slot, layer in _trained(case)}
    name = parameter or next((n for n, (_, of) in slots.items() if isinstance(of, Linear)), next(iter(slots)))
    if name not in slots:
        raise unknown("parameter", name, slots)
    slot, layer = slots[name]
    exact = need_finite(_matrix(slot, by_hand["float64"]))
    at = _entry(slot, exact, row, column)
    weights = _matrix(slot, case.params)
    torch = find_spec("torch") is not None
    place = slot.start + at[0] * exact.shape[1] + at[1]
    batches = snapshot.task.need_steps()
    return {
        "parameters": [{"name": n, "shape": list(s.shape)} for n, (s, _) in slots.items()],
        "parameter": name,
        "shape": list(slot.shape),
        "row": at[0],
        "column": at[1],
        "value": float(weights[at]),
        "loss": found.loss,
        "examples": min(EXAMPLES, batches.size),
        "of": batches.size,
        "words": isinstance(batches, WordBatches),
        "hand": {dtype: float(_matrix(slot, flat)[at]) for dtype, flat in by_hand.items()},
        "difference": case.slope(place),
        "autograd": float(_matrix(slot, found.by_autograd)[at]) if autograd and torch else None,
        "torch": torch,
        "largest": float(np.abs(exact).max()),
        "map": _map(weights if map == "weights" else exact, at),
        "derivation": asdict(derivation(layer, slot.parameter.name)),
    }


def _gradients(snapshot: Snapshot) -> Gradients:
    """The gradients at a snapshot, which are computed once."""
    kept = snapshot.bench.kept
    with snapshot.bench.lock:
        if "gradient" not in kept or kept["gradient"].version != snapshot.version:
            assert snapshot.task is not None
            case = Case.of_step(snapshot.run.model, snapshot.task.need_steps(), snapshot.step, EXAMPLES)
            kept["gradient"] = Gradients(snapshot.version, case)
        return kept["gradient"]


def _trained(case: Case) -> Sequence[tuple[Slot, Layer]]:
    """The places of all trained parameters, with their layers."""
    of_layers = zip(case.layout.slots, leaves(case.layers), strict=True)
    return [(slot, layer) for slots, (_, layer) in of_layers for slot in slots if slot.parameter.trained]


def _matrix(slot: Slot, flat: np.ndarray) -> np.ndarray:
    """A parameter as rows and columns; a vector is one row."""
    return slot.view(flat).reshape(-1, slot.shape[-1] if slot.shape else 1)


def _entry(slot: Slot, gradients: np.ndarray, row: int | None, column: int | None) -> tuple[int, int]:
    """The entry that was asked for, or the one with the largest gradient."""
    if row is None and column is None:
        at = np.unravel_index(int(np.abs(gradients).argmax()), gradients.shape)
        return int(at[0]), int(at[1])
    rows, columns = gradients.shape
    row, column = row or 0, column or 0
    if row >= rows or column >= columns:
        raise InputError(
            f"{slot.name} has {rows:,} rows and {columns:,} columns, numbered from 0: there is no [{row}, {column}]"
        )
    return row, column


def _map(values: np.ndarray, at: tuple[int, int]) -> dict[str, Any]:
    """The block of up to CELLS rows and columns around an entry: where it begins, and its numbers."""
    first = [max(0, min(i - i % CELLS, n - CELLS)) for i, n in zip(at, values.shape, strict=True)]
    block = values[first[0] : first[0] + CELLS, first[1] : first[1] + CELLS]
    return {"row": first[0], "column": first[1], "values": [[float(f"{v:.4g}") for v in line] for line in block]}
