"""Picture of a model's architecture, drawn from the list of layers that it trains and runs.

The left side lists the layers from contexts to logits, with the output shape for one example and the parameters. The
right side shows the vectors: a bar for each position along the layers that treat positions independently, and lines
where a layer joins positions: the concatenation of an MLP, the tree of a WaveNet, or its dilated convolution (van den
Oord et al. 2016, figure 3), or attention.
"""

from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from math import nan
from textwrap import wrap
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import FancyBboxPatch
from matplotlib.textpath import TextPath

from ..corpus import Vocab
from ..layers import PositionalEmbedding, Residual
from ..models.model import Model
from .levels import JOINS, KINDS, LINE_HEIGHT, SPACE, WEIGHTS, Blocks, Box, Level, blocks_of, inputs_of_last, levels_of
from .style import GREY, MAX_TITLE, figure, plain, shortened_inside
from .text import END_SHOWN

MAX_POSITIONS, LAST_POSITIONS = 36, 32  # with more positions than the first, only the last ones are drawn
PALE = "#C4C4C4"
COLUMNS = {"layer": "left", "output": "left", "weights": "left", "parameters": "right"}
EARLIER = "⋯"
STATE = 0.03  # inches from the end of a bar to the line that stands for the state
TEXT, SMALL = 7.5, 7  # points
KEY_WIDTH = 0.056  # inches of a character of the key
# Inches: minimal width, width of the vectors, margin of the figure, inset in a box, indent of a caption and of a
# branch, width of a bracket, height of the head.
LEAST_WIDTH, TREE = 7.2, 2.8
MARGIN, INSET, INDENT, BRANCH, BRACKET, HEAD = 0.1, 0.07, 0.4, 0.22, 0.4, 1.05


def plot_architecture(model: Model) -> Figure:
    """Draw the layers of a model and how they join the characters of a context; an n-gram is one box.

    A model that trains on whole words is drawn over a word; colour marks everything that the last prediction depends
    on. The layers of a branch are indented, beside a line that goes past them to the sum. Of equal blocks in a row, as
    in a transformer, the first one is drawn. Of a context of more than 36 characters, the last 32 are drawn.

    Raises InputError for a mixture and for more than 200 layers.
    """
    word, blocks = example(model.vocab), blocks_of(model.layers)
    T, levels = levels_of(model, len(word), blocks)
    boxes = [box for level in levels for box in level.boxes]
    widths = [[length(text) for text in column] for column in zip(*(box.cells for box in boxes), strict=True)]
    widths[0] = [width + BRANCH * box.depth for width, box in zip(widths[0], boxes, strict=True)]
    ends = list(accumulate((max(column) + 3 * INSET for column in widths), initial=MARGIN))
    ends[4] = max(ends[4], *(caption_at(level) + length(level.caption) for level in levels))
    columns = [*(x + INSET for x in ends[:3]), ends[4] - INSET]
    heights = list(accumulate((level.height for level in levels), initial=HEAD))
    n_untrained = model.layout.size - model.layout.n_trained
    left = ends[4] + (BRACKET if blocks.times > 1 else 0)
    width, height = max(LEAST_WIDTH, left + TREE), heights[-1] + (0.55 if n_untrained else 0.35)
    made, (ax,) = figure(size=(width, height))
    ax.set(xlim=(0, width), ylim=(height, 0))  # inches from the upper left
    ax.set_axis_off()
    title = plain(shortened_inside(model.title, MAX_TITLE))
    ax.text(MARGIN, 0.2, title, fontsize=12, weight="bold", va="center", in_layout=False)
    lines = wrap(key(model, levels, blocks), int((width - 2 * MARGIN) / KEY_WIDTH))
    used = {box.colour for box in boxes}
    if len(used) > 1:
        lines.append(f"Boxes: {', '.join(kind for colour, kind in KINDS.items() if colour in used)}.")
    for i, line in enumerate(lines):
        ax.text(MARGIN, 0.45 + LINE_HEIGHT * i, line, fontsize=SMALL, color=GREY, va="center")
    for x, (name, side) in zip(columns, COLUMNS.items(), strict=True):
        if model.layers or name not in ("layer", "weights"):
            ax.text(x, HEAD - 0.08, name, fontsize=SMALL, color=GREY, ha=side)
    placed: dict[str, tuple[float, float]] = {}
    for level, y in zip(levels, heights, strict=False):
        placed |= draw_boxes(ax, level, y, columns)
    draw_branches(ax, placed)
    if blocks.times > 1:
        draw_bracket(ax, placed, blocks, ends[4])
    x, y = columns[3], heights[-1]
    ax.text(x, y + 0.22, f"{model.n_parameters:,} parameters", fontsize=9, weight="bold", ha="right")
    if n_untrained:
        ax.text(x, y + 0.4, f"and {n_untrained:,} untrained numbers", fontsize=TEXT, color=GREY, ha="right")
    draw_vectors(ax, levels, heights, (END_SHOWN * T + word)[-T:], (left + 0.2, width - MARGIN))
    return made


def key(model: Model, levels: list[Level], blocks: Blocks) -> str:
    """Explain the picture."""
    if not model.layers:
        told = ["A table of counts, no layers."]
    else:
        told = ["Boxes are layers; bars are the vectors at each position."]
    if len(levels[-1].sources) > 1:
        told.append("Colour: inputs of the last prediction.")
    if model.labels and model.layers:
        told.append("The label's row of D is added to each.")
    if any(isinstance(layer, PositionalEmbedding) for layer in model.layers):
        told.append("Each gets the row of P for its place.")
    if any(isinstance(layer, Residual) for layer in model.layers):
        told.append("Residual: the output of a branch plus its input.")
    if blocks.times > 1:
        told.append(
            f"× {blocks.times}: blocks with weights of their own, layers {blocks.first.start} to {blocks.last}."
        )
    return " ".join(told)


def caption_at(level: Level) -> float:
    """x of the caption of a level."""
    return MARGIN + INDENT + BRANCH * level.boxes[0].depth


def example(vocab: Vocab) -> str:
    """Up to four letters that are in the vocabulary and in the font, as a word; ? if there are none."""
    font = get_font(findfont(FontProperties()))
    known = [c for c in vocab.characters if c.isalpha() and font.get_char_index(ord(c))]
    return "".join([c for c in "emma" if c in known] or known)[:4] or "?"


@cache
def length(text: str) -> float:
    """Width of a bold text in inches."""
    bold = FontProperties(size=TEXT, weight="bold")
    return TextPath((0, 0), text, prop=bold).get_extents().width / 72 if text else 0


def draw_boxes(ax: Axes, level: Level, y: float, columns: Sequence[float]) -> dict[str, tuple[float, float]]:
    """Draw the boxes of a level from y downwards, below the caption of its join; return the top and bottom of each."""
    if level.caption:
        middle, x = y + level.gap / 2 - SPACE / 2, caption_at(level)
        arrow = {"arrowstyle": "-|>", "color": JOINS, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (x - INDENT / 2, middle + 0.2), (x - INDENT / 2, middle - 0.2), arrowprops=arrow)
        ax.text(x, middle, level.caption, fontsize=TEXT, va="center_baseline")
    y, placed = y + level.gap, {}
    for box in level.boxes:
        draw_box(ax, box, y, columns)
        placed[box.path] = y, y + box.height
        y += box.height + SPACE
    return placed


def draw_box(ax: Axes, box: Box, y: float, columns: Sequence[float]) -> None:
    """Draw a box from y downwards."""
    indent = BRANCH * box.depth
    left, right = columns[0] - INSET + indent, columns[3] + INSET
    style: dict[str, Any] = {
        "boxstyle": "round,pad=0,rounding_size=0.05",
        "facecolor": f"{box.colour}18",
        "linewidth": 0.9,
    }
    ax.add_patch(FancyBboxPatch((left, y), right - left, box.height, edgecolor=box.colour, label=box.name, **style))
    middle = y + 0.06 + LINE_HEIGHT / 2
    for x, (name, side), cell in zip(columns, COLUMNS.items(), box.cells, strict=True):
        weight, gid = "bold" if name == "layer" else "normal", f"{box.name}.{name}"
        x += indent if name == "layer" else 0
        ax.text(x, middle, cell, fontsize=TEXT, weight=weight, ha=side, va="center_baseline", gid=gid)
    if box.untrained:
        options: dict[str, Any] = {"fontsize": SMALL, "color": "#444444", "ha": "right", "va": "center_baseline"}
        ax.text(columns[3], middle + LINE_HEIGHT, box.untrained, gid=f"{box.name}.untrained", **options)


def draw_branches(ax: Axes, placed: dict[str, tuple[float, float]]) -> None:
    """Draw a line from the input of each Residual, past the layers of its branch, to the sum.

    placed  the top and bottom of the box of each layer, by its path
    """
    bottoms = dict(zip(list(placed)[1:], [bottom for _, bottom in placed.values()], strict=False))
    for path, (top, _) in placed.items():
        if inner := [other for other in placed if other.startswith(f"{path}.")]:
            x, start = MARGIN + BRANCH * (path.count(".") + 0.5), bottoms.get(inner[0], HEAD)
            arrow = {"arrowstyle": "-|>", "color": WEIGHTS, "linewidth": 1.6, "shrinkA": 0, "shrinkB": 0}
            past = ax.annotate("", (x, top), (x, start), arrowprops=arrow)
            past.set_gid(f"{path}.past")


def draw_bracket(ax: Axes, placed: dict[str, tuple[float, float]], blocks: Blocks, x: float) -> None:
    """Draw a bracket right of the boxes of the first block, with the number of blocks."""
    inside = [y for path, y in placed.items() if int(path.split(".")[0]) in blocks.first]
    top, bottom = inside[0][0], inside[-1][1]
    ax.plot([x + 0.04, x + 0.1, x + 0.1, x + 0.04], [top, top, bottom, bottom], color=GREY, linewidth=1, label="blocks")
    ax.text(x + 0.15, (top + bottom) / 2, f"× {blocks.times}", fontsize=9, weight="bold", va="center")


def draw_vectors(ax: Axes, levels: list[Level], heights: list[float], context: str, room: tuple[float, float]) -> None:
    """Draw the positions of every level and the lines between them, from the characters downwards.

    room    the left and the right end, in inches
    """
    T, n = len(context), len(levels[-1].sources)
    hidden = T - LAST_POSITIONS if T > MAX_POSITIONS else 0  # the first positions share one place
    shown = range(max(0, hidden - 1), T)
    step = min(0.3, (room[1] - room[0]) / len(shown))
    middle = sum(room) / 2
    places = [middle + step * (max(t, shown[0]) - (shown[0] + T - 1) / 2) for t in range(T)]
    away = places[0] if hidden else None
    between = f" ({END_SHOWN} marks the word boundary)" if END_SHOWN in context else ""
    title = f"example {'word' if n > 1 else 'context'}{between}"
    ax.text(middle, HEAD - 0.28, title, fontsize=SMALL, color=GREY, ha="center")
    letters: dict[str, Any] = {"fontsize": 8, "ha": "center", "family": "monospace"}
    for t in shown:
        ax.text(places[t], HEAD - 0.08, EARLIER if t < hidden else context[t], **letters)
    end = HEAD - 0.04
    for i, (level, y, inside) in enumerate(zip(levels, heights, inputs_of_last(levels), strict=False)):
        before, places = places, level.places(places)
        top, bottom = y + level.gap, y + level.height - SPACE
        drawn = [j for j, x in enumerate(places) if x != away]
        joins = {
            (before[t], end, places[j], top): j in inside
            for j in drawn
            for t in level.sources[j]
            if before[t] != away or j in inside
        }
        if level.state:  # a line from each position to the next one
            steps = {
                (places[j - 1], bottom - STATE, places[j], top + STATE): j in inside for j in drawn if j - 1 in drawn
            }
            draw_lines(ax, steps, JOINS, 1.6, f"state {i}")
        bars = {(places[j], top, places[j], bottom): j in inside for j in drawn}
        draw_lines(ax, joins, JOINS if level.caption else GREY, 1.1, f"joins {i}")
        draw_lines(ax, bars, WEIGHTS, min(3.5, 36 * step), f"vectors {i}")
        if len(drawn) < len(places):
            ax.plot([places[0]] * 2, [top, bottom], ":", color=GREY, linewidth=1, label=f"earlier {i}")
        end = bottom
    for place, character in zip(places, context[T - n + 1 :] + END_SHOWN if n > 1 else "", strict=False):
        ax.text(place, end + 0.18, character, **letters)
    if n > 1:
        ax.text(places[-1] + 0.05, end + 0.36, "next characters", fontsize=8, ha="right")
    else:
        ax.text(places[-1], end + 0.18, "next character", fontsize=8, ha="center")


def draw_lines(ax: Axes, lines: dict[tuple[float, ...], bool], colour: str, width: float, label: str) -> None:
    """Draw lines (x, y, x, y): with True in the colour, with False pale and thin; each of the two as one path."""
    for bright in (True, False):
        some = [line for line, coloured in lines.items() if coloured == bright]
        xs, ys = ([z for line in some for z in (line[i], line[i + 2], nan)] for i in (0, 1))
        ax.plot(
            xs,
            ys,
            color=colour if bright else PALE,
            linewidth=width * (1 if bright else 0.6),
            solid_capstyle="round",
            zorder=2 + bright + (colour == WEIGHTS),
            label=label if bright else f"{label}, not an input of the last",
        )
