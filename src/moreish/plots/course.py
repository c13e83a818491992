"""Pictures of training: losses and learning rate, updates against weights, and the first steps."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..analysis.diagnosis import Diagnosis, as_diagnosis
from ..errors import InputError
from ..layers import BatchNorm1d, leaves
from ..training.loop import stride
from ..training.run import Run
from .layers import LINES, draw_saturation, saturation_legend
from .style import COLOURS, GREY, GUIDE, MAX_LINES, Unit, ends, figure, headline, legend, nats_in, of_ends, step_axis

SMOOTHING_WINDOWS = 50  # of a whole run: batch losses are averaged over one of them
DIVERGING = 30.0  # loss, as a multiple of log V, from which on the axis is logarithmic


def plot_loss(run: Run, unit: Unit = "nats") -> Figure:
    """Draw batch losses (raw and smoothed), val losses and, below them, the learning rate of every step.

    Raises InputError for a run that was not trained by steps, and for an unknown unit.
    """
    lines, nats = _log(run), nats_in(unit)
    last = lines[-1]["step"]
    made, (loss, rate) = figure(2, 1, size=(7.5, 5.5), sharex=True, height_ratios=[3, 1])
    every = stride(run.options.steps or 1)
    raw = np.array([x for line in lines for x in line.get("losses", ())]) / nats
    if len(raw):
        at = every * (1 + np.arange(len(raw)))
        window = max(1, len(raw) // SMOOTHING_WINDOWS)
        pale: dict[str, Any] = {"alpha": 0.25, "linewidth": 0.7} if window > 1 else {}
        loss.plot(at, raw, color=COLOURS[0], label="batch", **pale)
        if window > 1:
            means = np.convolve(raw, np.ones(window) / window, mode="valid")
            loss.plot(at[window - 1 :], means, color=COLOURS[0], label=f"mean of {window * every:,} steps")
    val = [(line["step"], line["val"] / nats) for line in lines if line["val"] is not None]
    if val:
        loss.plot(*zip(*val, strict=True), "o-", color=COLOURS[1], markersize=4, label="val")
        best = min(val, key=lambda point: point[1])
        loss.plot(*best, "D", color=COLOURS[1], markersize=8, label=f"best val {best[1]:.4f}")
    loss.set_ylabel(f"loss ({unit} per token)")
    loss.legend(frameon=False, fontsize=8)
    rate.plot(1 + np.arange(last), run.options.learning_rates().rates(0, last), color=GREY)
    rate.set_ylim(0)
    rate.set_ylabel("learning rate")
    step_axis(rate)
    headline(made, run.model.title, f"loss over {last:,} steps")
    return made


def plot_ratios(run: Run | Diagnosis) -> Figure:
    """Draw the ratios of gradient and update to the values of each weight matrix, as std, over the steps.

    Of more than 8 matrices, the first and last 4 are drawn. The steps are those of the history if it has diagnostics;
    otherwise the first ones, trained again. Raises InputError for a model without layers.
    """
    found = as_diagnosis(run)
    model, steps = found.run.model, found.steps
    made, axes = figure(1, 2, size=(10, 4), sharex=True)
    matrices = [slot.name for slot in model.layout if slot.parameter.trained and len(slot.shape) == 2]
    for ax, what in zip(axes, ("gradient", "update"), strict=True):
        for i, name in enumerate(matrices[place] for place in ends(len(matrices), MAX_LINES)):
            rows = [next(row for row in line["tensors"] if row["name"] == name) for line in steps]
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.log10([row[what] for row in rows]) - np.log10([row["data"] for row in rows])
            style = LINES[i % len(LINES)]
            at = [line["step"] for line in steps]
            ax.plot(at, ratio, style, color=COLOURS[i % len(COLOURS)], linewidth=1.2, label=name)
        step_axis(ax)
        ax.set_ylabel(f"log10 (std of {what} / std of weights)")
    usual = axes[1].axhline(-3, **GUIDE, label="1e-3: a usual ratio")
    axes[1].legend(handles=[usual], frameon=False, fontsize=7)
    legend(axes[0])
    again = " (first steps retrained)" if found.replayed else ""
    headline(made, model.title, f"gradient and update ratios{again}{of_ends(len(matrices), MAX_LINES)}")
    return made


def plot_start(run: Run | Diagnosis, unit: Unit = "nats") -> Figure:
    """Draw the losses of the first steps from the run's initial weights and from others, and saturation at step 0.

    The saturation is that of the first activation, unless it is GELU. The other weights are drawn from N(0, 1) or, for
    a run that did not start with `--init kaiming`, are kaiming's. Raises InputError for a model without hidden layers
    and for an unknown unit.
    """
    found, nats = as_diagnosis(run), nats_in(unit)
    saturates = found.start_trace.activations[0].saturated is not None
    if saturates:
        made, (loss, *beside) = figure(1, 3, size=(10, 4), width_ratios=[1.3, 1, 1])
    else:
        made, (loss, *beside) = figure(size=(7.5, 4))
    for i, (init, begun) in enumerate(found.beginnings.items()):
        style: dict[str, Any] = {"color": COLOURS[i], "linewidth": 1, "label": f"--init {init}"}
        loss.plot(begun.steps, begun.losses / nats, ("-", "--")[i], **style)
        if saturates:
            draw_saturation(beside[i], begun.trace.activations[0], f"--init {init}, step 0\n")
    n_vocab = len(found.run.model.vocab)
    even = float(np.log(n_vocab)) / nats
    loss.axhline(even, **GUIDE, label=f"uniform over {n_vocab:,} tokens")
    if any(begun.losses.max(initial=0) / nats > DIVERGING * even for begun in found.beginnings.values()):
        loss.set_yscale("log")
    step_axis(loss)
    loss.set_ylabel(f"batch loss ({unit} per token)")
    loss.legend(frameon=False, fontsize=8)
    if saturates:
        saturation_legend(made)
    normalised = any(isinstance(layer, BatchNorm1d) for _, layer in leaves(found.run.model.layers))
    note = " (with BatchNorm, the activations hardly differ)" if normalised else ""
    headline(made, found.run.model.title, f"good and bad initialisation{note}")
    return made


def _log(run: Run) -> list[dict[str, Any]]:
    """The points of the log of a run. Raises InputError if there are none."""
    lines = [line for line in run.history if line["step"]]
    if not lines:
        if run.options.steps:
            raise InputError("the log of this run is still empty", "wait for its first point")
        raise InputError(f"{run.model.kind} is not trained by steps", "train a net, as with --model mlp")
    return lines
