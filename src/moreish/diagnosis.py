"""What ails a run: its layers in numbers at the start and at the end, and verdicts that say what to do.

The start needs no record: weights and batches are functions of the seed. What happens on the way is read from the
history, which has it with --diagnostics; without, the beginning of the training is made again for a few seconds.
"""

import dataclasses
import math
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from .layers import LAYERS
from .loop import Diverged, Loop, Progress, batches_of, given
from .model import Model
from .optim import zero_moments
from .record import record
from .run import Checkpoint, Run
from .trace import Trace, Tracer

EXAMPLES = 1024  # train examples that are traced
SECONDS = 3.0  # of training made again, at most
FIRST_LOSS = 1.25  # times log V, above which weights start too large
RISE = 1.1  # times where it began (or log V), above which the loss has risen
SMALL_UPDATES = 10**-3.4  # of the weights' std: healthy updates are near 1e-3, and above it in the beginning
DEAD = 0.1  # share of units
DEPTH = 30.0  # times by which the gradient may shrink or grow from the last hidden layer to the first
OVERFIT, GAP = 0.02, 0.5  # nats: val above its best at the end; val above train


@dataclass(frozen=True)
class Verdict:
    """One trouble: a short name, what was seen, and what to do about it."""

    trouble: str
    seen: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.seen}: {self.remedy}"


@dataclass(frozen=True)
class Diagnosis:
    """The layers of a run before its first step and with its trained weights, and what is wrong.

    start, end  as `record.record` gives them
    steps       at each point of the log: the step, and what was recorded there; replayed says whether it was made again
    """

    start: dict[str, Any]
    end: dict[str, Any]
    steps: list[dict[str, Any]]
    replayed: bool
    verdicts: list[Verdict]

    def tensors(self) -> list[dict[str, Any]]:
        """Of each tensor that is trained, the medians over the recorded steps."""
        rows = zip(*(line["tensors"] for line in self.steps), strict=True)
        return [
            {"name": of_tensor[0]["name"]}
            | {what: float(np.median([row[what] for row in of_tensor])) for what in ("data", "gradient", "update")}
            for of_tensor in rows
        ]

    def as_json(self) -> dict:
        """Everything as plain dictionaries."""
        return dataclasses.asdict(self)


def diagnose(run: Run) -> Diagnosis:
    """Diagnose a run. Raises InputError for a model that has no layers."""
    run.model.need_layers("diagnosed")
    steps = [line for line in run.history if "tensors" in line]
    replayed = not steps
    if replayed:
        steps = replay(run)
    start, end = traced(run, at_start=True), traced(run)
    first, last = record(start), record(end)
    return Diagnosis(first, last, steps, replayed, _verdicts(run, start.loss, first, last, steps))


def traced(run: Run, *, at_start: bool = False) -> Trace:
    """The trace of train examples through a run's weights, or through those that it started from."""
    model, o = run.model, run.options
    params = model.layout.initial(o.seed) if at_start else model.params
    batches = batches_of(model.config, run.corpus, o)
    if batches.fixed is None:
        batches = dataclasses.replace(batches, size=min(EXAMPLES, batches.n_examples))
    return Tracer(model.layers, model.config.context, len(model.vocab), batches, EXAMPLES)(params, 0)


def replay(run: Run, seconds: float = SECONDS) -> list[dict[str, Any]]:
    """The points of the log of a run's training made again from its start with --diagnostics, for so many seconds."""
    end = time.monotonic() + seconds
    steps = given(run.options.steps)
    options = dataclasses.replace(run.options, diagnostics=True, engine="tape", log_every=max(1, steps // 200))
    model = Model(run.model.config, run.model.vocab, seed=options.seed)
    again = Run(model, run.corpus, options)
    moments = zero_moments(given(options.optimizer), model.layout.n_trained)

    def stop(at: Progress) -> None:
        if time.monotonic() > end:
            raise _Enough

    with suppress(_Enough, Diverged):
        Loop(again, Checkpoint(0, model.params, model.params.copy(), moments), stop).go()
    return [line for line in again.history if "tensors" in line]


class _Enough(Exception):
    """A replay has come far enough."""


def _verdicts(
    run: Run, first_loss: float, start: dict[str, Any], end: dict[str, Any], steps: list[dict[str, Any]]
) -> list[Verdict]:
    history = [line for line in run.history if line["step"]]
    rate = _of_rate(run, first_loss, history, steps)
    too_high = any(verdict.trouble == "rate too high" for verdict in rate)  # then val has other reasons to rise
    return [
        *_of_start(run, first_loss, start),
        *rate,
        *_of_dead(run, end),
        *([] if too_high else _of_overfitting(history)),
    ]


def _of_start(run: Run, loss: float, start: dict[str, Any]) -> list[Verdict]:
    """What is wrong before the first step."""
    found, even = [], math.log(len(run.model.vocab))
    hidden = [row for row in start["layers"] if "saturated" in row]
    weights = [row for row in start["tensors"] if row["name"].endswith(".W")]
    if len(weights) > 1 and all(row["data"] == 0 for row in weights):
        remedy = "start them at random (--init kaiming)"
        found.append(
            Verdict("zero weights", "all weights start at zero, so that the units of a layer stay alike", remedy)
        )
    if loss > FIRST_LOSS * even:
        remedy = "start the last layer's weights smaller (--init kaiming)"
        seen = (
            f"the loss starts at {loss:.2f} nats, and even odds for all {len(run.model.vocab)} tokens give {even:.2f}"
        )
        found.append(Verdict("first loss", seen, remedy))
    for row in hidden:
        layer = run.model.layers[int(row["name"].split(".")[0])]
        saturation = LAYERS[type(layer)].saturation
        if saturation is not None and row["saturated"] > saturation.much:
            seen = f"layer {row['name']}: {row['saturated']:.0%} saturated at step 0"
            found.append(Verdict("saturation", seen, "scale W by gain / sqrt(fan_in) (5/3 for tanh): --init kaiming"))
    if len(hidden) > 1 and all(row["gradient"] > 0 for row in hidden):
        ratio, deep = hidden[0]["gradient"] / hidden[-1]["gradient"], f"over {len(hidden)} hidden layers"
        remedy = "use --init kaiming, whose gain is the activation's, or --batch-norm"
        if ratio < 1 / DEPTH:
            seen = f"the gradient shrinks {1 / ratio:,.0f} times {deep} on its way to the first"
            found.append(Verdict("vanishing gradient", seen, remedy))
        elif ratio > DEPTH:
            seen = f"the gradient grows {ratio:,.0f} times {deep} on its way to the first"
            found.append(Verdict("exploding gradient", seen, remedy))
    return found


def _of_rate(run: Run, first_loss: float, history: list[dict], steps: list[dict]) -> list[Verdict]:
    """Whether the learning rate is too high or too low."""
    o, began = run.options, max(first_loss, math.log(len(run.model.vocab)))
    find = "moreish lr-find suggests one"
    losses = [line["train"] for line in [*history, *steps]]
    if run.diverged:
        seen = f"the loss is no longer finite after step {history[-1]['step'] if history else 0:,}"
        return [Verdict("rate too high", seen, f"take a smaller --lr than {o.lr:g}; {find}")]
    if losses and max(losses) > RISE * began:
        seen = f"the loss rose to {max(losses):.2f} nats, from {began:.2f} at the start"
        return [Verdict("rate too high", seen, f"take a smaller --lr than {o.lr:g}; {find}")]
    early = [line for line in steps if line["step"] <= max(given(o.steps) // 2, 1)]
    ratios = [
        row["update"] / row["data"]
        for line in early
        for row in line["tensors"]
        if row["name"][-1] in "WC" and row["data"] > 0
    ]
    # At full batches updates fade as the gradient does: small ones say that it has arrived.
    if ratios and not o.full_batch and np.median(ratios) < SMALL_UPDATES:
        seen = f"a step changes the weights by 10^{np.log10(np.median(ratios)):.1f} of their size, where 10^-3 is usual"
        return [Verdict("rate too low", seen, f"take a larger --lr than {o.lr:g}; {find}")]
    return []


def _of_dead(run: Run, end: dict[str, Any]) -> list[Verdict]:
    """Layers many of whose units no longer answer to any example."""
    hit = [row for row in end["layers"] if row.get("dead", 0) > DEAD * row.get("units", 1)]
    if not hit:
        return []
    worst = max(hit, key=lambda row: row["dead"] / row["units"])
    seen = f"layer {worst['name']}: {worst['dead']} of {worst['units']} units are dead, saturated on every example"
    if len(hit) > 1:
        seen += f"; so are many of {len(hit) - 1} more"
    return [Verdict("dead units", seen, f"take a smaller --lr than {given(run.options.lr):g}, or --batch-norm")]


def _of_overfitting(history: list[dict]) -> list[Verdict]:
    """Whether val has got worse while train got better."""
    vals = [line for line in history if line["val"] is not None]
    if not vals:
        return []
    best, last = min(vals, key=lambda line: line["val"]), vals[-1]
    remedy = "train shorter (--epochs), with more --weight-decay, or a smaller net"
    if last["val"] - best["val"] > OVERFIT and last["train"] < best["train"]:
        seen = f"val was best at step {best['step']:,} ({best['val']:.3f} nats) and ended at {last['val']:.3f}"
        return [Verdict("overfitting", seen, remedy)]
    if last["val"] - last["train"] > GAP:
        seen = f"val ends {last['val'] - last['train']:.2f} nats above train"
        return [Verdict("overfitting", seen, remedy)]
    return []
