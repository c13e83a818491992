"""Diagnosis of a run: statistics of its layers at the start and now, and verdicts that say what to change.

The start needs no record: weights and batches are functions of the seed, unless the run began from another, whose
weights it keeps. Diagnostics of the steps are read from the history if the run was trained with --diagnostics;
otherwise the first steps are trained again.
"""

import dataclasses
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from ..display.shown import Shown, Table, more
from ..engine.statistics import record
from ..engine.trace import Trace, Tracer
from ..errors import InputError
from ..models.model import Model
from ..training.fit import first_state
from ..training.loop import Diverged, Loop, stride
from ..training.options import resolved
from ..training.prepare import engine_of, of_run
from ..training.run import Run
from .verdicts import Verdict, verdicts_of

TRACED_EXAMPLES = 1024  # train examples in a trace
REPLAYED_STEPS = 500  # steps that are trained again if the history has no diagnostics
COMPARED_STEPS = 300  # steps over which two starts are compared
MOST_LAYERS = 6  # shown


@dataclass(frozen=True)
class Beginning:
    """The first steps of training: a trace before step 1, and batch losses (N,) in nats at `steps` (N,)."""

    trace: Trace
    steps: np.ndarray = field(repr=False)
    losses: np.ndarray = field(repr=False)


@dataclass(frozen=True, eq=False, repr=False)
class Diagnosis(Shown):
    """The layers of a run before its first step and now, and the problems of its training.

    run                     the run, with its history at the time of the diagnosis
    start_trace, end_trace  train examples traced through the initial and the current weights

    Everything else is computed from these when it is first used, and kept.
    """

    run: Run
    start_trace: Trace
    end_trace: Trace

    @cached_property
    def start(self) -> dict[str, Any]:
        """Statistics of `start_trace`, as `statistics.record` returns them."""
        return record(self.start_trace)

    @cached_property
    def end(self) -> dict[str, Any]:
        """Statistics of `end_trace`, as `statistics.record` returns them."""
        return record(self.end_trace)

    @cached_property
    def replayed(self) -> bool:
        """True if the history has no diagnostics, so that `steps` are from a replay."""
        return not any("tensors" in line for line in self.run.history)

    @cached_property
    def steps(self) -> list[dict[str, Any]]:
        """Points of the log with their diagnostics: those of the history, or those of a replay of the first steps."""
        return replay(self.run) if self.replayed else [line for line in self.run.history if "tensors" in line]

    @cached_property
    def verdicts(self) -> list[Verdict]:
        """The problems that were found, in the order in which they arise."""
        return verdicts_of(self.run, self.start_trace.loss, self.start, self.end, self.steps)

    @cached_property
    def beginnings(self) -> dict[str, Beginning]:
        """The run's own start and another one for comparison, by the value of --init.

        The other start is kaiming or, for a run that started with kaiming, naive. A start from a run has the name of
        that run. Raises InputError for a model without
        hidden layers.
        """
        own, o = getattr(self.run.model.config, "init", None), self.run.options
        if own is None:
            raise InputError(f"{self.run.model.kind} has no hidden layers", "train a net that has, with --model mlp")
        if self.run.start is not None:
            own = f"from {self.run.start.name}"
        other = "naive" if own == "kaiming" else "kaiming"
        every = stride(resolved(o.steps))
        # The log of a run that diverged, or has not come that far, may have too few points.
        enough = any(line["step"] >= min(COMPARED_STEPS, resolved(o.steps)) for line in self.steps)
        lines = self.steps if enough else beginning(self.run, COMPARED_STEPS).history
        begun = beginning(self.run, COMPARED_STEPS, other)

        def begins(trace: Trace, history: list[dict[str, Any]]) -> Beginning:
            losses = np.array([x for line in history for x in line["losses"]][: COMPARED_STEPS // every])
            return Beginning(trace, every * (1 + np.arange(len(losses))), losses)

        return {
            own: begins(self.start_trace, lines),
            other: begins(trace_run(begun, at_start=True), begun.history),
        }

    def _table(self) -> Table:
        layers = list(zip(self.start["layers"], self.end["layers"], strict=True))
        rows = []
        for then, now in layers[:MOST_LAYERS]:
            (name, *before), (_, *after) = layer_row(then), layer_row(now)
            rows += [[name, "at step 0", *before], ["", "now", *after]]
        heading = ["layer", "", ">mean", ">std", ">saturated", ">dead", ">gradient std"]
        notes = more(len(layers), MOST_LAYERS)
        if "verdicts" in vars(self):  # they may take a replay
            notes += [f"{verdict.trouble}: {verdict}" for verdict in self.verdicts] or ["No problems found."]
        return Table(f"Diagnosis of {self.run.model.summary}", rows, heading, notes)

    def _repr_html_(self) -> str:
        """Return the layers and the problems as HTML."""
        _ = self.verdicts
        return super()._repr_html_()

    def tensors(self) -> list[dict[str, Any]]:
        """Medians over the recorded steps for each trained tensor: std of its values, gradient and update."""
        rows = zip(*(line["tensors"] for line in self.steps), strict=True)
        return [
            {"name": of_tensor[0]["name"]}
            | {what: float(np.median([row[what] for row in of_tensor])) for what in ("data", "gradient", "update")}
            for of_tensor in rows
        ]

    def as_json(self) -> dict[str, Any]:
        """Return everything but the traces as plain dictionaries."""
        return {
            "start": self.start,
            "end": self.end,
            "steps": self.steps,
            "replayed": self.replayed,
            "verdicts": [dataclasses.asdict(verdict) for verdict in self.verdicts],
        }


def diagnose(run: Run) -> Diagnosis:
    """Trace train examples through a run's layers, at its start and now, and find the problems of its training.

    Raises InputError for a model that has no layers.
    """
    run.model.need_layers()
    now = dataclasses.replace(run, history=list(run.history))  # a run in training goes on
    return Diagnosis(now, trace_run(run, at_start=True), trace_run(run))


def as_diagnosis(run: Run | Diagnosis) -> Diagnosis:
    """Return a diagnosis as it is; diagnose a run.

    Raises InputError for a run that was folded, whose net had other layers in training.
    """
    if isinstance(run, Diagnosis):
        return run
    if run.folded:
        raise InputError("the net was folded after its training", "choose the run that it was made from")
    return diagnose(run)


def layer_row(row: dict[str, Any]) -> list[str]:
    """Cells of a layer's statistics."""
    has = "saturated" in row
    return [
        row["name"],
        f"{row['mean']:+.3f}",
        f"{row['std']:.3f}",
        f"{row['saturated']:.0%}" if has else "",
        f"{row['dead']} of {row['units']}" if has else "",
        f"{row['gradient']:.1e}",
    ]


def trace_run(run: Run, *, at_start: bool = False) -> Trace:
    """Trace train examples through a run's weights, or through its initial ones."""
    model = run.model
    params = run.first_params if at_start else model.params
    batches = of_run(run).need_steps()
    if not run.options.full_batch:
        batches = batches.of_size(min(TRACED_EXAMPLES, batches.n_examples))
    return Tracer(model.layers, model.columns, len(model.vocab), batches, TRACED_EXAMPLES)(params, 0)


def replay(run: Run) -> list[dict[str, Any]]:
    """Train the first steps of a run again with --diagnostics; return the points of their log."""
    return beginning(run, REPLAYED_STEPS, diagnostics=True).history


def beginning(run: Run, steps: int, init: str | None = None, diagnostics: bool = False) -> Run:
    """Train the first steps of a run again, with its own init or another; fewer steps if the loss diverges."""
    o, config = run.options, run.model.config
    if init is not None:
        config = dataclasses.replace(config, init=init)
    options = dataclasses.replace(o, diagnostics=diagnostics, engine="tape", log_every=max(1, steps // 100))
    params = run.first_params if init is None else None
    model = Model(config, run.model.vocab, params, o.seed, labels=run.model.labels)
    again = Run(model, run.corpus, options)
    loop = Loop(again, first_state(again), of_run(again).need_steps(), engine_of(again), evaluate=False)
    with suppress(Diverged):
        for at in loop:
            if at.step >= steps:
                break
    again.history = [line for line in again.history if line["step"] <= steps]
    return again
