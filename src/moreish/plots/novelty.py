"""Picture of the novelty of samples, beside that of held-out words."""

import numpy as np
from matplotlib.figure import Figure

from ..analysis.novelty import Novelty
from .style import COLOURS, LIGHT_GREY, figure

BAR_WIDTH = 0.4


def plot_novelty(found: Novelty) -> Figure:
    """Draw bars of edit distances to the nearest train word, and of the longest substrings shared with a train word."""
    made, axes = figure(1, 2, size=(10, 3.4), sharey=True)
    groups = {
        f"{found.held_out.words:,} held-out words": (found.held_out, LIGHT_GREY),
        f"{found.samples.words:,} samples": (found.samples, COLOURS[1]),
    }
    for ax, of in zip(axes, ("distances", "pieces"), strict=True):
        for i, (label, (group, colour)) in enumerate(groups.items()):
            shares = getattr(group, of)
            bars = ax.bar(
                np.arange(len(shares)) + BAR_WIDTH * (i - 0.5), shares.values(), BAR_WIDTH, color=colour, label=label
            )
            ax.bar_label(bars, [f"{100 * share:.0f}" for share in shares.values()], fontsize=8, padding=1)
            ax.set_xticks(range(len(shares)), list(shares))
        ax.tick_params(axis="x", length=0)
    axes[0].set_ylabel("percentage of words")
    axes[0].yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}")
    axes[0].set_xlabel("edits to the nearest train word (0: a copy)")
    axes[1].set_xlabel("longest substring shared with a train word, as a fraction of the word")
    axes[1].legend(frameon=False, fontsize=8, loc="upper left")
    return made
