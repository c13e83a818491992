"""Picture of a net's character embeddings as a map."""

import unicodedata
import warnings
from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from ..analysis.embedding import CHARACTER_KINDS, embeddings_of, kind_of, principal
from ..models.model import Model
from .style import COLOURS, GREY, MARKERS, figure, headline
from .text import named

# Of few and of many tokens: side of the map in inches, and size of the labels in points.
FEW, MANY, SIDES, FONTS = 40, 400, (6.0, 9.0), (9.0, 6.0)
MARK, LINE = 6.0, 1.25  # side of a mark in points, and height of a label as a multiple of its size
BESIDE = np.array([(0, 1), (1, 0), (-1, 0), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)])
AROUND = np.array([(np.sin(angle), np.cos(angle)) for angle in np.linspace(0, 2 * np.pi, 24, endpoint=False)])
RINGS, RING = 80, 4.0  # places for a label further from its mark: their number in each direction, and points between


def plot_embedding(model: Model) -> Figure:
    """Draw the embedding of every token: its two numbers or, if it has more, its first two principal components.

    A label without room beside its mark is further away, with a line to the mark. Raises InputError for a model without
    embeddings.
    """
    C = embeddings_of(model)
    if C.shape[1] == 2:
        at, labels = C, ["first number of the embedding", "second number of the embedding"]
    else:
        at, shares = principal(C)
        which = zip(("first", "second"), shares, strict=True)
        labels = [f"{name} principal component ({100 * share:.0f}% of the variance)" for name, share in which]
    kinds = np.array([kind_of(character) for character in ["", *model.vocab.characters]])
    side, font = (float(np.interp(len(at), (FEW, MANY), ends)) for ends in (SIDES, FONTS))
    made, (ax,) = figure(size=(side + 0.8, side + 1.2))
    for kind, colour, marker in zip(
        CHARACTER_KINDS, (COLOURS[1], COLOURS[0], COLOURS[4], COLOURS[2]), MARKERS, strict=False
    ):
        x, y = at[kinds == kind].T
        if x.size:
            ax.scatter(x, y, c=colour, marker=marker, s=26, label=kind, linewidths=0)
    # A square with equal scales keeps distances.
    middle, half = (at.min(0) + at.max(0)) / 2, 0.54 * float(np.ptp(at, axis=0).max()) or 1.0
    ax.set_xlim(middle[0] - half, middle[0] + half)
    ax.set_ylim(middle[1] - half, middle[1] + half)
    ax.set_aspect("equal")
    names = [named(model.vocab, token) for token in range(len(at))]
    ax.set_xlabel(labels[0])
    ax.set_ylabel(labels[1])
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(CHARACTER_KINDS), fontsize=9, frameon=False)
    what = f"character embeddings ({C.shape[1]} dimensions)"
    headline(made, model.title, what)
    made.draw_without_rendering()  # to know how large the map is
    side = ax.get_window_extent().width * 72 / made.dpi  # points
    sizes, scale = label_sizes(names, font), side / (2 * half)
    offsets = label_offsets((at - middle) * scale, sizes, side / 2)
    for token, (offset, beside) in offsets.items():
        ax.annotate(
            names[token],
            (at[token, 0], at[token, 1]),
            tuple(offset),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=font,
            in_layout=False,
        )
        if not beside:
            outside = 1 - (sizes[token] / 2 / np.maximum(np.abs(offset), 1e-9)).min()  # part of the way to its centre
            ax.plot(*zip(at[token], at[token] + outside * offset / scale, strict=True), color=GREY, linewidth=0.4)
    if len(offsets) < len(at):
        headline(made, model.title, f"{what}; {len(offsets):,} of {len(at):,} are labelled")
    return made


def label_sizes(labels: Sequence[str], font: float) -> np.ndarray:
    """Return the width and height of labels of a font size: (n, 2), in points."""
    properties = FontProperties(size=font)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of characters that the font does not have
        drawn = [text_to_path.get_text_width_height_descent(label, properties, False) for label in labels]
    wide = [font * sum(unicodedata.east_asian_width(c) in "WF" for c in label) for label in labels]
    return np.array([(max(w, least) + 1, max(h, LINE * font)) for (w, h, _), least in zip(drawn, wide, strict=True)])


def label_offsets(at: np.ndarray, sizes: np.ndarray, half: float) -> dict[int, tuple[np.ndarray, bool]]:
    """Place labels of given sizes at marks (V, 2), in points from the centre of a map whose side is 2 half.

    Return the offset of each label that finds a place, and True if the place is beside its mark. A label takes the
    first place where it overlaps neither a mark nor an earlier label: one of eight places beside its mark, or one
    further away inside the map.
    """
    taken, taken_sizes, offsets = at, np.full(at.shape, MARK), {}
    for i, size in enumerate(sizes):
        for ring in range(RINGS):
            places = (AROUND if ring else BESIDE) * ((size + MARK) / 2 + RING * ring)
            near = (np.abs(taken - at[i]) < (taken_sizes + size) / 2 + np.abs(places).max(0)).all(1)
            apart = np.abs(taken[near, None] - at[i] - places) >= (taken_sizes[near, None] + size) / 2 - 0.01
            free = apart.any(2).all(0) & ((ring == 0) | (np.abs(at[i] + places) <= half - size / 2).all(1))
            if free.any():
                offset = places[free.argmax()]
                taken, taken_sizes = np.vstack([taken, at[i] + offset]), np.vstack([taken_sizes, size])
                offsets[i] = offset, ring == 0
                break
    return offsets
