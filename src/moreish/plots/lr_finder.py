"""A sweep of learning rates: what each of them did to the loss, and which one it suggests."""

from matplotlib.figure import Figure

from ..training.lr_finder import LRFinding
from .style import COLOURS, GREY, GUIDE, figure


def plot_lr(finding: LRFinding) -> Figure:
    """The loss of every batch of a sweep against its rate, raw and smoothed, with the valley and the suggestion."""
    made, (ax,) = figure(size=(7, 4.2))
    ax.axvspan(*finding.valley, color=GREY, alpha=0.12, linewidth=0, label="where it is low")
    ax.plot(finding.lr, finding.loss, color=COLOURS[0], linewidth=0.7, alpha=0.35, label="each batch")
    ax.plot(finding.lr, finding.smoothed, color=COLOURS[0], linewidth=2, label="smoothed")
    ax.axvline(finding.suggested, **GUIDE, label=f"suggested: {finding.suggested:g}")
    ax.set_xscale("log")
    ax.set_xlabel("learning rate (log scale)")
    ax.set_ylabel("batch loss (nats per token)")
    ax.grid(alpha=0.25)
    ax.legend(fontsize=8, frameon=False, loc="upper left")
    ax.set_title(f"{finding.model}: the loss while the rate rises with every step", fontsize=11)
    return made
