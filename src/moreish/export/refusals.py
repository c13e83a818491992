"""Errors for models that a format cannot hold."""

from ..errors import InputError
from ..models.ngram import AutomatonConfig
from ..training.run import Run


def need_layers(run: Run, to: str) -> None:
    """Raise InputError if the model of a run has no layers, as a format needs."""
    if not run.model.layers:
        raise InputError(f"--to {to} takes a net, and {run.path} is {run.model.kind}", f"use --to {fitting(run)}")


def need_counts(run: Run, to: str) -> None:
    """Raise InputError if the model of a run is not an n-gram model, as a format needs."""
    if not isinstance(run.model.config, AutomatonConfig):
        reason = f"--to {to} takes an n-gram model, and {run.path} is {run.model.kind}"
        raise InputError(reason, f"use --to {fitting(run)}")


def fitting(run: Run) -> str:
    """Return a format that takes the model of a run."""
    return "arpa" if isinstance(run.model.config, AutomatonConfig) else "onnx" if run.model.layers else "html"


def need_no_labels(run: Run, to: str) -> None:
    """Raise InputError if the model of a run has labels."""
    if run.model.labels is not None:
        first = run.model.labels.names[0]
        raise InputError(f"--to {to} takes a model without labels", f"choose one of {run.path}, as in --label {first}")
