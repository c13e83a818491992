"""Errors for models that a format cannot hold."""

from ..errors import InputError
from ..models import CountConfig
from ..training.run import Run


def need_layers(run: Run, to: str) -> None:
    """Raise InputError if the model of a run has no layers, as a format needs."""
    if not run.model.layers:
        way_out = "use --to arpa" if isinstance(run.model.config, CountConfig) else "export a net"
        raise InputError(f"--to {to} takes a net, and {run.path} is {run.model.kind}", way_out)


def need_no_labels(run: Run, to: str) -> None:
    """Raise InputError if the model of a run has labels."""
    if run.model.labels is not None:
        first = run.model.labels.names[0]
        raise InputError(f"--to {to} takes a model without labels", f"choose one of {run.path}, as in --label {first}")
