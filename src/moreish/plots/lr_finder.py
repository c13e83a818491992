"""Picture of a learning rate sweep: losses and the suggested rate."""

from matplotlib.figure import Figure

from ..training.lr_finder import LRFinding
from .style import COLOURS, GREY, GUIDE, Unit, figure, headline, nats_in


def plot_lr(finding: LRFinding, unit: Unit = "nats", *, title: str = "") -> Figure:
    """Draw batch losses, raw and smoothed, against the learning rate, with their valley and the suggested rate.

    title   names the list and the model, at the beginning of the title [default: the model]
    """
    nats = nats_in(unit)
    made, (ax,) = figure(size=(7, 4.2))
    ax.axvspan(*finding.valley, color=GREY, alpha=0.12, linewidth=0, label="low loss")
    ax.plot(finding.lr, finding.loss / nats, color=COLOURS[0], linewidth=0.7, alpha=0.35, label="each batch")
    ax.plot(finding.lr, finding.smoothed / nats, color=COLOURS[0], linewidth=2, label="smoothed")
    ax.axvline(finding.suggested, **GUIDE, label=f"suggested: {finding.suggested:g}")
    ax.set_xscale("log")
    ax.set_xlabel("learning rate (log scale)")
    ax.set_ylabel(f"batch loss ({unit} per token)")
    ax.grid(alpha=0.25)
    ax.legend(fontsize=8, frameon=False, loc="upper left")
    headline(made, title or finding.model, "loss while the learning rate rises at every step")
    return made
