"""Verdicts on a training: its problems, and what to change."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..layers import LAYERS, leaves
from ..training.options import resolved
from ..training.run import Run

# Each limit separates a healthy value from a problem.
MAX_FIRST_LOSS = 1.25  # loss before the first step, as a multiple of log V
MAX_RISE = 1.1  # batch loss, as a multiple of the first loss or of log V
MIN_UPDATE = 10**-3.4  # update-to-weight ratio: healthy ones are near 1e-3, and higher early in training
MAX_UPDATE, SETTLED = 10**-1.65, 100  # the same after the step by which small initial weights have grown
MAX_DEAD = 0.1  # share of dead units in a layer
MAX_GRADIENT_RATIO = 30.0  # between the gradients at the first and the last hidden layer or residual, either way
MAX_VAL_RISE, MAX_VAL_GAP = 0.02, 0.5  # nats: last val loss above the best one; last val loss above train


@dataclass(frozen=True)
class Verdict:
    """One problem: a short name, the observation, and the remedy."""

    trouble: str
    seen: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.seen}: {self.remedy}"


def verdicts_of(
    run: Run, first_loss: float, start: dict[str, Any], end: dict[str, Any], steps: list[dict[str, Any]]
) -> list[Verdict]:
    """Find the problems of a training, in the order in which they arise.

    first_loss  in nats, before the first step
    start, end  statistics of the layers before the first step and now, as `statistics.record` returns them
    steps       points of the log with diagnostics
    """
    history = [line for line in run.history if line["step"]]
    began = _of_start(run, first_loss, start) if run.start is None else []
    # A vanishing or exploding gradient makes updates small or losses large at any learning rate.
    gradient = any(verdict.trouble.endswith("gradient") for verdict in began)
    rate = [] if gradient and not run.diverged else _of_rate(run, first_loss, history, steps)
    if any(verdict.trouble == "first loss" for verdict in began):  # from large weights, of which a step is a small part
        rate = [verdict for verdict in rate if verdict.trouble != "rate too low"]
    too_high = any(verdict.trouble == "rate too high" for verdict in rate)  # which makes val rise without overfitting
    return [
        *began,
        *rate,
        *_of_dead(run, end),
        *([] if too_high else _of_overfitting(run, history)),
    ]


def _of_start(run: Run, loss: float, start: dict[str, Any]) -> list[Verdict]:
    """Problems before the first step."""
    found: list[Verdict] = []
    even = math.log(len(run.model.vocab))
    hidden = [row for row in start["layers"] if "saturated" in row]
    weights = [row for row in start["tensors"] if row["name"].endswith(".W")]
    if len(weights) > 1 and all(row["data"] == 0 for row in weights):
        remedy = "initialise them at random (--init kaiming)"
        found.append(
            Verdict("zero weights", "all weights start at zero, so that the units of a layer stay equal", remedy)
        )
    if not loss <= MAX_FIRST_LOSS * even:
        remedy = "initialise the last layer with smaller weights (--init kaiming)"
        seen = f"the loss starts at {loss:.2f} nats; equal odds for all {len(run.model.vocab)} tokens give {even:.2f}"
        found.append(Verdict("first loss", seen, remedy))
    layers = dict(leaves(run.model.layers))
    for row in hidden:
        saturation = LAYERS[type(layers[row["name"].rpartition(".")[0]])].saturation
        if saturation is not None and row["saturated"] > saturation.much:
            seen = f"layer {row['name']}: {row['saturated']:.0%} saturated at step 0"
            found.append(Verdict("saturation", seen, "scale W by gain / sqrt(fan_in) (5/3 for tanh): --init kaiming"))
    # A gradient goes back past the branches of residuals, so it is compared between their sums.
    sums = [row for row in start["layers"] if row["name"].endswith(".residual")]
    deep, what = (sums, "residuals") if sums else (hidden, "hidden layers")
    if len(deep) > 1 and deep[-1]["gradient"] != 0:
        ratio, deep = deep[0]["gradient"] / deep[-1]["gradient"], f"over {len(deep)} {what}"
        remedy = f"use --init kaiming, whose gain is the activation's{_or_batch_norm(run)}"
        if ratio < 1 / MAX_GRADIENT_RATIO:
            seen = (
                f"the gradient shrinks by a factor of {1 / ratio if ratio else math.inf:,.0f} {deep}, back to the first"
            )
            found.append(Verdict("vanishing gradient", seen, remedy))
        elif not ratio <= MAX_GRADIENT_RATIO:  # true of nan
            seen = f"the gradient grows by a factor of {ratio:,.0f} {deep}, back to the first"
            found.append(Verdict("exploding gradient", seen, remedy))
    return found


def _of_rate(run: Run, first_loss: float, history: list[dict[str, Any]], steps: list[dict[str, Any]]) -> list[Verdict]:
    """A learning rate that is too high or too low."""
    o, began = run.options, max(first_loss, math.log(len(run.model.vocab)))
    find = "moreish lr-find suggests one"
    losses = [line["train"] for line in [*history, *steps] if line["step"] > 1]  # the first loss is that of the start
    if run.diverged:
        seen = f"the loss is no longer finite after step {history[-1]['step'] if history else 0:,}"
        return [Verdict("rate too high", seen, f"use an --lr below {o.lr:g} ({find})")]
    if losses and max(losses) > MAX_RISE * began:
        seen = f"the loss rose from {began:.2f} to {max(losses):.2f} nats"
        return [Verdict("rate too high", seen, f"use an --lr below {o.lr:g} ({find})")]
    whole, warmup = resolved(o.steps), resolved(o.warmup) * resolved(o.steps)
    size = "a step changes the weights by 10^{:.1f} of their size, where 10^-3 is usual"
    # A net that normalises its rows may learn badly without any rise of its loss.
    ratio = _update_ratio(line for line in steps if max(warmup, SETTLED) < line["step"] <= whole // 2)
    if ratio > MAX_UPDATE:
        return [Verdict("rate too high", size.format(np.log10(ratio)), f"use an --lr below {o.lr:g} ({find})")]
    ratio = _update_ratio(line for line in steps if warmup < line["step"] <= max(whole // 2, 1))
    # With full batches the gradient and the updates fade near the minimum: small ones are no problem.
    if not o.full_batch and ratio < MIN_UPDATE:
        return [Verdict("rate too low", size.format(np.log10(ratio)), f"use a larger --lr than {o.lr:g}; {find}")]
    return []


def _update_ratio(lines: Iterable[dict[str, Any]]) -> float:
    """Median update-to-weight ratio of the weight matrices at points of the log; NaN if there is none."""
    rows = (row for line in lines for row in line["tensors"] if row["name"][-1] in "WCUVP")
    ratios = [row["update"] / row["data"] for row in rows if row["data"] > 0]
    return float(np.median(ratios)) if ratios else math.nan


def _of_dead(run: Run, end: dict[str, Any]) -> list[Verdict]:
    """Layers with many units that are saturated on every example."""
    bad = [row for row in end["layers"] if row.get("dead", 0) > MAX_DEAD * row.get("units", 1)]
    if not bad:
        return []
    worst = max(bad, key=lambda row: row["dead"] / row["units"])
    seen = f"layer {worst['name']}: {worst['dead']} of {worst['units']} units are dead, saturated on every example"
    if len(bad) > 1:
        seen += f"; many units of {len(bad) - 1} other layer{'s' * (len(bad) > 2)} are too"
    return [Verdict("dead units", seen, f"use an --lr below {resolved(run.options.lr):g}{_or_batch_norm(run)}")]


def _or_batch_norm(run: Run) -> str:
    """End of a remedy: the option --batch-norm, if the model has it."""
    return ", or --batch-norm" if hasattr(run.model.config, "batch_norm") else ""


def _of_overfitting(run: Run, history: list[dict[str, Any]]) -> list[Verdict]:
    """A val loss that rises while the train loss falls, or that is far above it."""
    even = math.log(len(run.model.vocab))
    vals = [line for line in history if line["val"] is not None]
    if not vals:
        return []
    best, last = min(vals, key=lambda line: line["val"]), vals[-1]
    dropout = ", --dropout" if hasattr(run.model.config, "dropout") else ""
    remedy = f"train for fewer --epochs, increase --weight-decay{dropout}, or use a smaller net"
    if last["val"] - best["val"] > MAX_VAL_RISE and last["train"] < best["train"]:
        seen = f"val was best at step {best['step']:,} ({best['val']:.3f} nats) and ended at {last['val']:.3f}"
        return [Verdict("overfitting", seen, remedy)]
    if last["train"] < even and last["val"] - last["train"] > MAX_VAL_GAP:  # otherwise the net has learnt nothing yet
        seen = f"val ends {last['val'] - last['train']:.2f} nats above train"
        return [Verdict("overfitting", seen, remedy)]
    return []
