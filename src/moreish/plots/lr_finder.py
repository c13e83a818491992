"""Picture of a learning rate sweep: losses and the suggested rate."""

from matplotlib.figure import Figure

from ..training.lr_finder import LRFinding
from .style import COLOURS, GREY, GUIDE, figure


def plot_lr(finding: LRFinding) -> Figure:
    """Draw batch losses, raw and smoothed, against the learning rate, with their valley and the suggested rate."""
    made, (ax,) = figure(size=(7, 4.2))
    ax.axvspan(*finding.valley, color=GREY, alpha=0.12, linewidth=0, label="low loss")
    ax.plot(finding.lr, finding.loss, color=COLOURS[0], linewidth=0.7, alpha=0.35, label="each batch")
    ax.plot(finding.lr, finding.smoothed, color=COLOURS[0], linewidth=2, label="smoothed")
    ax.axvline(finding.suggested, **GUIDE, label=f"suggested: {finding.suggested:g}")
    ax.set_xscale("log")
    ax.set_xlabel("learning rate (log scale)")
    ax.set_ylabel("batch loss (nats per token)")
    ax.grid(alpha=0.25)
    ax.legend(fontsize=8, frameon=False, loc="upper left")
    ax.set_title(f"{finding.model}: loss while the learning rate rises at every step", fontsize=11)
    return made
