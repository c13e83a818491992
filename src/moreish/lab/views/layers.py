"""The layers at work: statistics of their outputs and gradients, the size of the updates, and what is wrong."""

from dataclasses import asdict, dataclass, field, replace
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ...analysis.verdicts import verdicts_of
from ...engine.statistics import add_updates, record
from ...engine.trace import LayerTrace, Trace
from ...errors import InputError
from ..snapshot import Snapshot
from .numbers import finite, table

BINS = 31
MOST_POINTS = 120  # of the training so far that are kept
FEWEST_POINTS = 3  # for a verdict on the learning rate
IMAGE = (64, 128)  # examples and units, at most


@dataclass
class Watched:
    """A training as the panel remembers it: its start, points of its way, and the last answer by snapshot and image.

    start   trace statistics before the first step, with the loss there
    points  {"step", "train", "layers", "tensors"} as in the history of a run trained with --diagnostics
    """

    start: dict[str, Any]
    first_loss: float
    points: list[dict[str, Any]] = field(default_factory=list)
    answers: dict[tuple[int, str], dict[str, Any]] = field(default_factory=dict)

    def add(self, point: dict[str, Any]) -> None:
        """Add a point, unless one as late is there; drop every second one if there are too many."""
        if not self.points or point["step"] > self.points[-1]["step"]:
            self.points.append(point)
        if len(self.points) > MOST_POINTS:
            self.points = self.points[:1] + self.points[2::2]


def layers(snapshot: Snapshot, *, image: Annotated[str, Field(max_length=100)] = "") -> dict[str, Any]:
    """Trace some train examples through the layers, always the same ones, and make the next step on a copy.

    loss        nats on these examples
    layers      rows of `engine.statistics.record`, with the histograms of the output and of the gradient:
                {"limit", "shares"}, shares of the values between -limit and limit; the outer bins have those beyond
    weights     of each weight matrix: name, ratio of the stds of the next step's update and of the values (None if no
                step is left), and the ratios before, at `steps`
    verdicts    what `diagnose` finds: trouble, seen, remedy
    judged      True once there are enough points for a verdict on the learning rate; left is True if there may be more
    image       with a layer's name: examples x units, 1 where its output is saturated

    Raises InputError for a model without layers, and for a net that was folded.
    """
    run, bench = snapshot.run, snapshot.bench
    run.model.need_layers()
    if bench.task is None:
        raise InputError("the net was folded after its training", "choose the run that it was made from")
    # A diverging training has infinite values.
    with bench.lock, np.errstate(invalid="ignore", over="ignore"):
        watched: Watched = bench.kept.get("layers") or _begun(snapshot)
        bench.kept["layers"] = watched
        key = snapshot.version, image
        if key not in watched.answers:
            trace = bench.tracer(run.model.params, 0)
            recorded = record(trace)
            if _add_next_update(snapshot, recorded):
                watched.add({"step": snapshot.step + 1, "train": trace.loss, **recorded})
            answer = _answer(snapshot, watched, trace, recorded)
            if image:
                answer["image"] = _image(trace, image)
            watched.answers = {key: finite(answer)}
        return watched.answers[key]


def _begun(snapshot: Snapshot) -> Watched:
    """Trace the start of a training, which is known at any later step; a run has its own points if it kept them."""
    trace = snapshot.bench.tracer(snapshot.run.first_params, 0)
    lines = [line for line in snapshot.run.history if "tensors" in line]
    return Watched(record(trace), trace.loss, lines[:: 1 + len(lines) // MOST_POINTS])


def _add_next_update(snapshot: Snapshot, recorded: dict[str, Any]) -> bool:
    """Make the next step on copies and add its updates to a record; False without one or if its loss is not finite."""
    model, o = snapshot.run.model, snapshot.run.options
    if snapshot.moments is None:
        return False
    params, moments, step = model.params.copy(), snapshot.moments.copy(), snapshot.step
    rates = o.learning_rates().rates(step, step + 1)
    assert snapshot.task is not None
    losses = snapshot.bench.engine.train(params, moments, snapshot.task.need_steps(), o.steps_from(step, rates))
    if not np.isfinite(losses).all():
        return False
    add_updates(recorded, model.layout.views(params - model.params))
    return True


def _answer(snapshot: Snapshot, watched: Watched, trace: Trace, recorded: dict[str, Any]) -> dict[str, Any]:
    run, points = snapshot.run, watched.points
    rows = [
        {**row, "output": _histogram(layer.output), "grad": _histogram(layer.gradient)}
        for row, layer in zip(recorded["layers"], trace.layers, strict=True)
    ]
    names = [slot.name for slot in run.model.layout if slot.parameter.trained and len(slot.shape) > 1]
    before = [{row["name"]: _ratio(row) for row in point["tensors"]} for point in points]
    now = {row["name"]: _ratio(row) for row in recorded["tensors"]}
    judged = len(points) >= FEWEST_POINTS
    seen = replace(run, history=[line for line in run.history if "train" in line])
    verdicts = verdicts_of(seen, watched.first_loss, watched.start, recorded, points if judged else [])
    return {
        "loss": trace.loss,
        "layers": rows,
        "steps": [point["step"] for point in points],
        "weights": [
            {"name": name, "ratio": now[name], "before": [ratios[name] for ratios in before]} for name in names
        ],
        "verdicts": [asdict(verdict) for verdict in verdicts],
        "judged": judged,
        "left": snapshot.moments is not None,
    }


def _ratio(row: dict[str, Any]) -> float | None:
    """Update-to-weight ratio of a tensor; None if it has no update or no size."""
    return float(f"{row['update'] / row['data']:.3g}") if "update" in row and row["data"] > 0 else None


def _histogram(x: np.ndarray) -> dict[str, Any]:
    """Shares of the values of an array in BINS equal bins from -limit to limit; the outer ones have those beyond.

    The limit is 1, 2 or 5 times a power of ten, and at least the mean and three standard deviations: so it seldom
    changes while a net is trained.
    """
    flat = x.ravel()
    size = float(abs(flat.mean(dtype=np.float64)) + 3 * flat.std(dtype=np.float64))
    if not np.isfinite(size) or size == 0:
        return {"limit": None, "shares": []}
    size = min(size, float(np.abs(flat).max()))
    power = 10.0 ** np.floor(np.log10(size))
    limit = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= size * 0.999)
    bins = np.clip((flat + limit) * (BINS / (2 * limit)), 0, BINS - 1).astype(np.intp)
    return {"limit": float(f"{limit:.3g}"), "shares": table(np.bincount(bins, minlength=BINS) / flat.size)}


def _image(trace: Trace, name: str) -> list[list[int]]:
    """Saturated outputs of a layer: examples downwards, units to the right. Raises InputError for another layer."""
    found: LayerTrace | None = next((layer for layer in trace.layers if layer.name == name), None)
    saturated = None if found is None else found.saturated
    if saturated is None:
        raise InputError(f"{name}: no layer of this name saturates")
    rows = saturated.reshape(-1, saturated.shape[-1])
    # Words are traced in the order of the list, so rows are taken evenly.
    examples = np.linspace(0, len(rows) - 1, min(IMAGE[0], len(rows))).astype(int)
    return rows[examples, : IMAGE[1]].astype(int).tolist()
