"""Picture of a confusion matrix: the labels of words, and those that a model takes them for."""

import numpy as np
from matplotlib import colormaps
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure

from ..analysis.classification import Classifier, Confusion
from ..corpus import PARTS
from ..display.shown import shortened
from ..errors import unknown
from ..training.run import Run
from .style import figure, headline, plain
from .text import ink, of_all, short

MAX_LABELS = 30
MAX_NAME = 24  # characters of a label
LEAST_CELL, MOST_CELL, SIDE = 26.0, 62.0, 660.0  # points: bounds of a cell's side, and the side of the matrix


def plot_confusion(found: Run | Confusion, part: str = "test", *, title: str = "") -> Figure:
    """Draw how the words of a part are classified: rows are their labels, columns the labels that they are taken for.

    A cell has the share of the words of its row, and below it their number (with weights, the sum of their weights).
    Of more than 30 labels, those with the most words are drawn. `part` is also the part of a given `Confusion`. Raises
    InputError for a run without labels and for an unknown part. `title` comes first in the title, instead of the names
    of a given run's list and model.
    """
    if part not in PARTS:
        raise unknown("part", part, PARTS)
    title = found.model.title if isinstance(found, Run) and not title else title
    found = found if isinstance(found, Confusion) else Classifier(found).confusion(part)
    of_labels = found.counts.sum(1)
    some = np.sort(np.argsort(-of_labels, kind="stable")[:MAX_LABELS])
    n, counts = len(some), found.counts[np.ix_(some, some)]
    shares = counts / np.where(of_labels > 0, of_labels, 1)[some, None]
    names = [plain(shortened(found.labels[label], MAX_NAME)) for label in some]
    cell = float(np.clip(SIDE / n, LEAST_CELL, MOST_CELL))  # points
    font, longest = min(10.0, 0.36 * cell), max(map(len, names))
    upright = 0.65 * font * longest > cell  # names of columns that would overlap
    beside = 0.65 * font * longest / 72  # inches
    side = n * cell / 72
    made, (ax,) = figure(size=(max(side, 3.4) + beside + 0.9, side + (beside if upright else 0.2) + 1.1))
    # The lightest blue differs from the white of cells without words.
    colours = ListedColormap(colormaps["Blues"](np.linspace(0.12, 1, 256)))
    ax.imshow(np.ma.masked_equal(shares, 0), cmap=colours, vmin=0, vmax=1)
    ax.set_xticks(range(n), names, fontsize=font, rotation=90 if upright else 0)
    ax.set_yticks(range(n), names, fontsize=font)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    for i, j in np.argwhere(counts > 0).tolist():
        text = f"{100 * shares[i, j]:.0f}%\n{short(round(counts[i, j]))}"
        colour = ink(colours(shares[i, j]))
        ax.text(j, i, text, fontsize=min(9.0, 0.29 * cell), color=colour, ha="center", va="center", linespacing=1)
    ax.set_xlabel("label given by the model")
    ax.set_ylabel(f"label of the {part} word")
    accuracy = f"accuracy {100 * found.accuracy:.1f}% on the {part} words"
    headline(made, title, accuracy + of_all(n, len(found.labels), what="labels"))
    return made
