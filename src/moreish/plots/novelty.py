"""How new samples are beside held-out words: their edits to train, and their pieces from it."""

import numpy as np
from matplotlib.figure import Figure

from ..analysis.novelty import Novelty
from .style import COLOURS, figure

LIGHT = "#BBBBBB"
WIDTH = 0.4  # of a bar; two stand beside each other


def plot_novelty(found: Novelty) -> Figure:
    """Bars for samples and held-out words: the edit distance to the nearest train word, and how much of each word its
    longest piece is that stands in a train word."""
    made, axes = figure(1, 2, size=(10, 3.4), sharey=True)
    groups = {
        f"{found.held_out.words:,} held-out words": (found.held_out, LIGHT),
        f"{found.samples.words:,} samples": (found.samples, COLOURS[1]),
    }
    for ax, of in zip(axes, ("distances", "pieces"), strict=True):
        for i, (label, (likeness, colour)) in enumerate(groups.items()):
            shares = getattr(likeness, of)
            bars = ax.bar(np.arange(len(shares)) + WIDTH * (i - 0.5), shares.values(), WIDTH, color=colour, label=label)
            ax.bar_label(bars, [f"{100 * share:.0f}" for share in shares.values()], fontsize=8, padding=1)
            ax.set_xticks(range(len(shares)), list(shares))
        ax.tick_params(axis="x", length=0)
    axes[0].set_ylabel("share of the words (%)")
    axes[0].yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}")
    axes[0].set_xlabel("edits to the nearest train word (0: a copy)")
    axes[1].set_xlabel("how much of the word is one piece of a train word")
    axes[1].legend(frameon=False, fontsize=8, loc="upper left")
    return made
