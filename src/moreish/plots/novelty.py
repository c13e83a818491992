"""Picture of the novelty of samples and of held-out words."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from ..analysis.neighbours import SUBSTRING_LABELS
from ..analysis.novelty import Novelty
from ..display.shown import shortened
from .style import COLOURS, LIGHT_GREY, Picture, headline, plain

BAR_WIDTH = 0.4
PIECES, LONGEST = 6, 40  # samples in the table, and characters of a cell


def plot_novelty(found: Novelty, *, title: str = "") -> Figure:
    """Draw bars of edit distances to the nearest train word, and of the longest substrings shared with a train word.

    A table below names the train words that share the longest substrings. `title` names the list and the model.
    """
    made = Picture(figsize=(10, 5.6), layout="constrained")
    axes = made.subplot_mosaic([["distances", "pieces"], ["table", "table"]], height_ratios=[2, 1])
    distances, pieces, table = axes.values()
    pieces.sharey(distances)
    groups = {
        f"{found.held_out.words:,} held-out words": (found.held_out, LIGHT_GREY),
        f"{found.samples.words:,} samples": (found.samples, COLOURS[1]),
    }
    for ax, of in ((distances, "distances"), (pieces, "pieces")):
        ax.spines[["top", "right"]].set_visible(False)
        for i, (label, (group, colour)) in enumerate(groups.items()):
            shares = getattr(group, of)
            bars = ax.bar(
                np.arange(len(shares)) + BAR_WIDTH * (i - 0.5), shares.values(), BAR_WIDTH, color=colour, label=label
            )
            ax.bar_label(bars, [f"{100 * share:.0f}" for share in shares.values()], fontsize=8, padding=1)
            ax.set_xticks(range(len(shares)), [SUBSTRING_LABELS.get(name, name) for name in map(str, shares)])
        ax.tick_params(axis="x", length=0)
        ax.set_ylabel("percentage of words")
        ax.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}")
    distances.set_xlabel("edits to the nearest train word (0: a copy)")
    pieces.set_xlabel("longest piece of the word that is in a train word")
    table.set_axis_off()
    longest = [(row.word, row.piece, row.source) for row in found.longest_pieces(PIECES)]
    rows = [[plain(shortened(text, LONGEST)) for text in texts] for texts in longest]
    if rows:
        heading = ["new sample", "longest piece that is in a train word", "the train word"]
        drawn = table.table(rows, colLabels=heading, cellLoc="left", colLoc="left", loc="center", edges="horizontal")
        drawn.auto_set_font_size(False)
        drawn.set_fontsize(8)
    headline(made, title, "novelty of samples")
    place: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1, 1), "borderaxespad": 0}
    pieces.legend(**place, ncols=2, frameon=False, fontsize=8)  # below the title, which may be long
    return made
