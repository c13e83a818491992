"""The course of a training: its losses and its learning rate, what its steps do to the weights, and how it begins."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis.diagnosis import beginning, replay, traced
from ..errors import InputError
from ..training.loop import stride
from ..training.run import Run
from .layers import LINES, hidden, show_saturation
from .style import COLOURS, GREY, GUIDE, figure, legend

SMOOTHED = 50  # windows that the raw losses of a run are averaged over
BEGINNING = 300  # steps that a way to start is shown over


def plot_loss(run: Run) -> Figure:
    """Batch losses raw and smoothed, val losses, and beneath them the learning rate.

    Raises InputError for a run that was not trained by steps.
    """
    lines = _trained(run)
    made, (loss, rate) = figure(2, 1, size=(7.5, 5.5), sharex=True, height_ratios=[3, 1])
    every = stride(run.options.steps or 1)
    raw = np.array([x for line in lines for x in line.get("losses", ())])
    if len(raw):
        at = every * (1 + np.arange(len(raw)))
        loss.plot(at, raw, color=COLOURS[0], alpha=0.25, linewidth=0.7, label="batch")
        window = max(1, len(raw) // SMOOTHED)
        means = np.convolve(raw, np.ones(window) / window, mode="valid")
        loss.plot(at[window - 1 :], means, color=COLOURS[0], label=f"mean of {window * every:,} steps")
    val = [(line["step"], line["val"]) for line in lines if line["val"] is not None]
    if val:
        loss.plot(*zip(*val, strict=True), "o-", color=COLOURS[1], markersize=4, label="val")
        best = min(val, key=lambda point: point[1])
        loss.plot(*best, "D", color=COLOURS[1], markersize=8, label=f"best val {best[1]:.4f}")
    loss.set_ylabel("loss (nats per token)")
    loss.legend(frameon=False, fontsize=8)
    steps, rates = [line["step"] for line in lines], [line["lr"] for line in lines]
    rate.plot(steps, rates, ".-", color=GREY)
    rate.set_ylim(0)
    rate.set_ylabel("learning rate")
    rate.set_xlabel("step")
    loss.set_title(f"{run.model.name}: loss over {lines[-1]['step']:,} steps", fontsize=11)
    return made


def plot_ratios(run: Run) -> Figure:
    """How large the gradient and the update of each weight matrix are beside its values, over the steps.

    From the history with --diagnostics; without, the beginning is made again. Raises InputError for a model without
    layers.
    """
    run.model.need_layers("drawn so")
    steps = [line for line in run.history if "tensors" in line]
    again = not steps
    steps = steps or replay(run)
    made, axes = figure(1, 2, size=(10, 4), sharex=True)
    matrices = [slot.name for slot in run.model.layout if slot.parameter.trained and len(slot.shape) == 2]
    for ax, what in zip(axes, ("gradient", "update"), strict=True):
        for i, name in enumerate(matrices):
            rows = [next(row for row in line["tensors"] if row["name"] == name) for line in steps]
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = np.log10([row[what] for row in rows]) - np.log10([row["data"] for row in rows])
            style = LINES[i % len(LINES)]
            at = [line["step"] for line in steps]
            ax.plot(at, ratio, style, color=COLOURS[i % len(COLOURS)], linewidth=1.2, label=name)
        ax.set_xlabel("step")
        ax.set_ylabel(f"log10 (std of {what} / std of weights)")
    axes[1].axhline(-3, **GUIDE)
    beside_line(axes[1], -3, "1e-3")
    legend(axes[0])
    made.suptitle(
        f"{run.model.name}: steps against weights" + (", the beginning made again" if again else ""), fontsize=11
    )
    return made


def plot_start(run: Run) -> Figure:
    """The run's start beside a bad one (N(0, 1) weights; or the right one, if the run's own is another): the loss over
    the first steps, with its hockey stick, and what is saturated at step 0.

    Raises InputError for a model without hidden layers.
    """
    run.model.need_layers("drawn so")
    own = getattr(run.model.config, "init", None)
    if own is None:
        raise InputError(f"a {run.model.name} has no hidden layers: there is nothing to start well or badly")
    other = "naive" if own == "kaiming" else "kaiming"
    made = Figure(figsize=(10, 4), layout="constrained")
    axes = made.subplot_mosaic([["loss", own, other]], width_ratios=[1.3, 1, 1])
    for i, init in enumerate((own, other)):
        begun = beginning(run, BEGINNING, init)
        losses = [x for line in begun.history for x in line["losses"]]
        every = stride(begun.options.steps or 1)
        axes["loss"].plot(
            every * (1 + np.arange(len(losses))),
            losses,
            ("-", "--")[i],
            color=COLOURS[i],
            linewidth=1,
            label=f"--init {init}",
        )
        layer = hidden(traced(begun, at_start=True))[0]
        show_saturation(axes[init], layer, f"--init {init}, step 0\n")
    even = float(np.log(len(run.model.vocab)))
    axes["loss"].axhline(even, **GUIDE)
    beside_line(axes["loss"], even, "log V: even odds")
    axes["loss"].set_xlabel("step")
    axes["loss"].set_ylabel("batch loss (nats per token)")
    axes["loss"].spines[["top", "right"]].set_visible(False)
    axes["loss"].legend(frameon=False, fontsize=8)
    made.suptitle("Well and badly started", fontsize=11)
    return made


def beside_line(ax: Axes, height: float, text: str) -> None:
    """Write on a horizontal line, at its right end."""
    ax.annotate(text, (1, height), xycoords=("axes fraction", "data"), ha="right", va="bottom", fontsize=8)


def _trained(run: Run) -> list[dict]:
    """The history of a training by steps."""
    lines = [line for line in run.history if line["step"]]
    if not lines:
        if run.options.steps:
            raise InputError("there is no point of the log yet, and no course to draw")
        raise InputError(f"a {run.model.name} is not trained by steps: there is no course to draw")
    return lines
