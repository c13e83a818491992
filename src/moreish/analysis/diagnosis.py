"""What ails a run: its layers in numbers at the start and at the end, and verdicts that say what to do.

The start needs no record: weights and batches are functions of the seed. What happens on the way is read from the
history, which has it with --diagnostics; without, the first steps of the training are made again.
"""

import dataclasses
import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..engine.statistics import record
from ..engine.trace import Trace, Tracer
from ..layers import LAYERS
from ..models.model import Model
from ..training.loop import Diverged, Loop
from ..training.options import resolved
from ..training.prepare import engine_of, of_run
from ..training.run import Run
from ..training.train import first_state

EXAMPLES = 1024  # train examples that are traced
REPLAYED = 500  # steps that are made again, at most
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
    batches = of_run(run).need_steps()
    if batches.fixed is None:
        batches = dataclasses.replace(batches, size=min(EXAMPLES, batches.n_examples))
    return Tracer(model.layers, model.config.context, len(model.vocab), batches, EXAMPLES)(params, 0)


def replay(run: Run) -> list[dict[str, Any]]:
    """The points of the log of the first steps of a run's training, made again from its start with --diagnostics."""
    return beginning(run, REPLAYED, diagnostics=True).history


def beginning(run: Run, steps: int, init: str | None = None, diagnostics: bool = False) -> Run:
    """The first steps of a run's training made again, perhaps from another way to start; fewer if the loss explodes."""
    o, config = run.options, run.model.config
    if init is not None:
        config = dataclasses.replace(config, init=init)  # type: ignore[type-var]
    options = dataclasses.replace(o, diagnostics=diagnostics, engine="tape", log_every=max(1, steps // 100))
    model = Model(config, run.model.vocab, seed=o.seed)
    again = Run(model, run.corpus, options)
    loop = Loop(again, first_state(again), of_run(again).need_steps(), engine_of(again), evaluate=False)
    with suppress(Diverged):
        for at in loop:
            if at.step >= steps:
                break
    again.history = [line for line in again.history if line["step"] <= steps]
    return again


def _verdicts(
    run: Run, first_loss: float, start: dict[str, Any], end: dict[str, Any], steps: list[dict[str, Any]]
) -> list[Verdict]:
    history = [line for line in run.history if line["step"]]
    began = _of_start(run, first_loss, start)
    gradient = any(verdict.trouble.endswith("gradient") for verdict in began)  # which says nothing about the rate then
    rate = [] if gradient and not run.diverged else _of_rate(run, first_loss, history, steps)
    too_high = any(verdict.trouble == "rate too high" for verdict in rate)  # then val has other reasons to rise
    return [
        *began,
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
    if not loss <= FIRST_LOSS * even:
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
    if len(hidden) > 1 and hidden[-1]["gradient"] != 0:
        ratio, deep = hidden[0]["gradient"] / hidden[-1]["gradient"], f"over {len(hidden)} hidden layers"
        remedy = "use --init kaiming, whose gain is the activation's, or --batch-norm"
        if ratio < 1 / DEPTH:
            seen = f"the gradient shrinks {1 / ratio if ratio else math.inf:,.0f} times {deep} on its way to the first"
            found.append(Verdict("vanishing gradient", seen, remedy))
        elif not ratio <= DEPTH:  # what is no number has exploded
            seen = f"the gradient grows {ratio:,.0f} times {deep} on its way to the first"
            found.append(Verdict("exploding gradient", seen, remedy))
    return found


def _of_rate(run: Run, first_loss: float, history: list[dict], steps: list[dict]) -> list[Verdict]:
    """Whether the learning rate is too high or too low."""
    o, began = run.options, max(first_loss, math.log(len(run.model.vocab)))
    find = "moreish lr-find suggests one"
    losses = [line["train"] for line in [*history, *steps] if line["step"] > 1]  # the first batch came before any step
    if run.diverged:
        seen = f"the loss is no longer finite after step {history[-1]['step'] if history else 0:,}"
        return [Verdict("rate too high", seen, f"take a smaller --lr than {o.lr:g}; {find}")]
    if losses and max(losses) > RISE * began:
        seen = f"the loss rose to {max(losses):.2f} nats, from {began:.2f} at the start"
        return [Verdict("rate too high", seen, f"take a smaller --lr than {o.lr:g}; {find}")]
    whole = resolved(o.steps)
    early = [line for line in steps if resolved(o.warmup) * whole < line["step"] <= max(whole // 2, 1)]
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
    return [Verdict("dead units", seen, f"take a smaller --lr than {resolved(run.options.lr):g}, or --batch-norm")]


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
