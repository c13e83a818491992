"""The few numbers of a trace that a training keeps at each point of its log."""

from typing import Any

import numpy as np

from .trace import Trace

EXAMPLES = 128  # of the step's batch that are traced, at most


def record(trace: Trace) -> dict[str, Any]:
    """A trace in numbers: {"layers": [...], "tensors": [...]}.

    A layer has its name, mean and std of its output, std of the output's gradient and, for an activation, the share of
    saturated outputs and the number of dead units. A tensor has its name and the std of its values (data) and of its
    gradient; `add_updates` adds that of its update.
    """
    layers, tensors = [], []
    # Before a training breaks down there are infinities, whose means are no numbers: that is what they then say.
    with np.errstate(invalid="ignore", over="ignore"):
        _fill(trace, layers, tensors)
    return {"layers": layers, "tensors": tensors}


def _fill(trace: Trace, layers: list[dict[str, Any]], tensors: list[dict[str, Any]]) -> None:
    for traced in trace.layers:
        row: dict[str, Any] = {
            "name": traced.name,
            "mean": traced.output.mean(dtype=np.float64),
            "std": _std(traced.output),
            "gradient": _std(traced.gradient),
        }
        saturated = traced.saturated
        if saturated is not None:
            row["saturated"] = saturated.mean()
            row["dead"] = int(saturated.reshape(-1, saturated.shape[-1]).all(0).sum())
            row["units"] = saturated.shape[-1]
        layers.append(_rounded(row))
        for name, weight in traced.weights.items():
            tensors.append(_rounded({"name": name, "data": _std(weight), "gradient": _std(traced.grads[name])}))


def add_updates(found: dict[str, Any], updates: dict[str, np.ndarray]) -> None:
    """Add to each tensor of a record the std of the update that the step made to it."""
    with np.errstate(invalid="ignore", over="ignore"):
        for row in found["tensors"]:
            row.update(_rounded({"update": _std(updates[row["name"]])}))


def _std(x: np.ndarray) -> float:
    return float(x.std(dtype=np.float64))  # float32 would overflow where a training is about to


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v if isinstance(v, str | int) else float(f"{v:.5g}") for k, v in row.items()}
