"""Statistics of a trace, which --diagnostics keeps at each point of the log."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .trace import Trace

RECORDED_EXAMPLES = 128  # of the step's batch, at most


def record(trace: "Trace") -> dict[str, Any]:
    """Return the statistics of a trace: {"layers": [...], "tensors": [...]}.

    layers      name, mean and std of the output, std of its gradient (gradient) and, for an activation, the share of
                saturated outputs (saturated) and the numbers of dead units (dead) and of all units (units)
    tensors     name, std of the values (data) and of the gradient (gradient); `add_updates` adds that of the update
    """
    layers, tensors = [], []
    # A diverging training has infinite values, whose mean and std are nan: that is what is recorded.
    with np.errstate(invalid="ignore", over="ignore"):
        _fill(trace, layers, tensors)
    return {"layers": layers, "tensors": tensors}


def _fill(trace: "Trace", layers: list[dict[str, Any]], tensors: list[dict[str, Any]]) -> None:
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


def add_updates(recorded: dict[str, Any], updates: dict[str, np.ndarray]) -> None:
    """Add the std of the step's update to each tensor of a record."""
    with np.errstate(invalid="ignore", over="ignore"):
        for row in recorded["tensors"]:
            row.update(_rounded({"update": _std(updates[row["name"]])}))


def _std(x: np.ndarray) -> float:
    return float(x.std(dtype=np.float64))  # squares of large float32 values overflow


def _rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {k: v if isinstance(v, str | int) else float(f"{v:.5g}") for k, v in row.items()}
