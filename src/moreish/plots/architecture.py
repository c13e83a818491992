"""Picture of a model's architecture, drawn from the list of layers that it trains and runs.

The left side lists the layers from contexts to logits, with the output shape for one example and the parameters. The
right side shows the vectors: a bar for each position along the layers that treat positions independently, and lines
where a layer joins positions: the concatenation of an MLP, the tree of a WaveNet, or its dilated convolution (van den
Oord et al. 2016, figure 3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from math import nan, prod
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.patches import FancyBboxPatch
from matplotlib.textpath import TextPath

from ..corpus import Vocab
from ..errors import InputError
from ..layers import FlattenConsecutive, LabelledEmbedding, Layer, Shape, Unfold
from ..layers.layout import Slot
from ..layers.recurrent import Recurrent
from ..models import NetConfig, NGram
from ..models.model import Model
from .style import COLOURS, GREY, MAX_TITLE, figure, plain, shortened_inside
from .text import END_SHOWN

MAX_LAYERS = 200
MAX_POSITIONS, LAST_POSITIONS = 36, 32  # with more positions than the first, only the last ones are drawn
WEIGHTS, JOINS, PALE = COLOURS[0], COLOURS[1], "#C4C4C4"
KINDS = {WEIGHTS: "blue with parameters", JOINS: "orange joining positions", GREY: "grey with neither"}  # of boxes
COLUMNS = {"layer": "left", "output": "left", "weights": "left", "parameters": "right"}
EARLIER = "⋯"
STATE = 0.03  # inches from the end of a bar to the line that stands for the state
TEXT, SMALL = 7.5, 7  # points
# Inches: minimal width, width of the vectors, line of text, space between boxes, gap between levels, margin of the
# figure, inset in a box, indent of a caption, height of the head.
LEAST_WIDTH, TREE, LINE_HEIGHT, SPACE, GAP = 7.2, 2.8, 0.16, 0.05, 0.55
MARGIN, INSET, INDENT, HEAD = 0.1, 0.07, 0.4, 1.05


@dataclass(frozen=True)
class Box:
    """A layer's box: its name, such as `2.linear`, and a text for each column."""

    name: str
    cells: tuple[str, str, str, str]
    colour: str
    untrained: str = ""  # a second line for running statistics

    @property
    def height(self) -> float:
        return (2 if self.untrained else 1) * LINE_HEIGHT + 0.12


@dataclass(frozen=True)
class Level:
    """A layer that joins positions, and the layers after it that treat positions independently.

    sources     for each position, the joined positions of the level before (of the characters, for the first level)
    caption     description of the join
    dilation    of a convolution; 0 for other layers
    state       True for a recurrent layer, whose positions see the one before them on the same level
    """

    sources: Sequence[Sequence[int]]
    caption: str = ""
    dilation: int = 0
    state: bool = False
    boxes: list[Box] = field(default_factory=list)

    @property
    def gap(self) -> float:
        return GAP if self.caption else SPACE

    @property
    def height(self) -> float:
        return self.gap + sum(box.height + SPACE for box in self.boxes)

    def places(self, before: Sequence[float]) -> list[float]:
        """x of the positions: below the last joined position for a convolution, otherwise below their middle."""
        if self.dilation:
            return [before[joined[-1]] for joined in self.sources]
        distinct = [{before[i] for i in joined} or set(before) for joined in self.sources]
        return [sum(places) / len(places) for places in distinct]


def plot_architecture(model: Model) -> Figure:
    """Draw the layers of a model and how they join the characters of a context; an n-gram is one box.

    A model that trains on whole words is drawn over a word; colour marks everything that the last prediction depends
    on. Of a context of more than 36 characters, the last 32 are drawn. Raises InputError for a mixture and for more
    than 200 layers.
    """
    word = example(model.vocab)
    T, levels = levels_of(model, len(word))
    texts = zip(COLUMNS, *(box.cells for level in levels for box in level.boxes), strict=True)
    ends = list(accumulate((max(map(length, column)) + 3 * INSET for column in texts), initial=MARGIN))
    ends[4] = max(ends[4], *(MARGIN + INDENT + length(level.caption) for level in levels))
    columns = [*(x + INSET for x in ends[:3]), ends[4] - INSET]
    heights = list(accumulate((level.height for level in levels), initial=HEAD))
    n_untrained = model.layout.size - model.layout.n_trained
    width, height = max(LEAST_WIDTH, ends[4] + TREE), heights[-1] + (0.55 if n_untrained else 0.35)
    made, (ax,) = figure(size=(width, height))
    ax.set(xlim=(0, width), ylim=(height, 0))  # inches from the upper left
    ax.set_axis_off()
    key = (
        "Boxes are layers; bars are the vectors at each position." if model.layers else "A table of counts, no layers."
    )
    if len(levels[-1].sources) > 1:
        key += " Colour: inputs of the last prediction."
    if model.labels and model.layers:
        key += " The label's row of D is added to each."
    title = plain(shortened_inside(model.title, MAX_TITLE))
    ax.text(MARGIN, 0.2, title, fontsize=12, weight="bold", va="center", in_layout=False)
    ax.text(MARGIN, 0.45, key, fontsize=SMALL, color=GREY, va="center")
    used = {box.colour for level in levels for box in level.boxes}
    if len(used) > 1:
        colours = ", ".join(kind for colour, kind in KINDS.items() if colour in used)
        ax.text(MARGIN, 0.61, f"Boxes: {colours}.", fontsize=SMALL, color=GREY, va="center")
    for x, (name, side) in zip(columns, COLUMNS.items(), strict=True):
        if model.layers or name not in ("layer", "weights"):
            ax.text(x, HEAD - 0.08, name, fontsize=SMALL, color=GREY, ha=side)
    for level, y in zip(levels, heights, strict=False):
        draw_boxes(ax, level, y, columns)
    x, y = columns[3], heights[-1]
    ax.text(x, y + 0.22, f"{model.n_parameters:,} parameters", fontsize=9, weight="bold", ha="right")
    if n_untrained:
        ax.text(x, y + 0.4, f"and {n_untrained:,} untrained numbers", fontsize=TEXT, color=GREY, ha="right")
    draw_vectors(ax, levels, heights, (END_SHOWN * T + word)[-T:], (ends[4] + 0.2, width - MARGIN))
    return made


def example(vocab: Vocab) -> str:
    """Up to four letters that are in the vocabulary and in the font, as a word; ? if there are none."""
    font = get_font(findfont(FontProperties()))
    known = [c for c in vocab.characters if c.isalpha() and font.get_char_index(ord(c))]
    return "".join([c for c in "emma" if c in known] or known)[:4] or "?"


def levels_of(model: Model, n: int) -> tuple[int, list[Level]]:
    """Number of characters before the predictions for a word of n characters, and the levels above them."""
    config = model.config
    if isinstance(config, NGram):
        cells = (f"counts of up to {config.order} in a row", str(len(model.vocab)), "", f"{model.n_parameters:,}")
        caption = "the longest context that has been counted"
        return config.context, [Level([range(config.order - 1)], caption, boxes=[Box("counts", cells, WEIGHTS)])]
    model.need_layers()
    assert isinstance(config, NetConfig)
    if len(model.layers) > MAX_LAYERS:
        raise InputError(f"{len(model.layers)} layers are too many to draw: at most {MAX_LAYERS}")
    whole = config.whole_words or config.context is None
    # A net that goes along words reads the boundary and then the characters.
    shape: Shape = ((config.context or 1) + (n if whole else 0),)
    levels = [Level([[t] for t in range(shape[0])])]
    for i, (layer, slots) in enumerate(zip(model.layers, model.layout.slots, strict=True)):
        T, size = shape[0], ""
        shape = layer.out_shape((T + 1,) if isinstance(layer, LabelledEmbedding) else shape)  # the label comes last
        if isinstance(layer, FlattenConsecutive):
            size = f"({layer.n})"
            joined = ("both" if T == 2 else f"all {T}") if layer.n == T else f"every {layer.n} neighbours"
            caption = f"{joined} concatenated: {in_words(shape)}"
            levels.append(Level([range(t, t + layer.n) for t in range(0, T, layer.n)], caption))
        elif isinstance(layer, Unfold):
            d, size = layer.dilation, f"({layer.dilation})"
            caption = f"dilation {d}, each with the one {d} before: {in_words(shape)}"
            levels.append(Level([(t, t + d) for t in range(T - d)], caption, d))
        elif isinstance(layer, Recurrent):
            size = f"({layer.n_hidden})"
            caption = f"a state of {layer.n_hidden} that goes along the word"
            levels.append(Level([(t,) for t in range(T)], caption, state=True))
        levels[-1].boxes.append(box_of(i, layer, size, shape, slots))
    return len(levels[0].sources), levels


def box_of(i: int, layer: Layer, size: str, shape: Shape, slots: Sequence[Slot]) -> Box:
    """Box of layer i with its output shape and its parameters."""
    kind = type(layer).__name__
    trained, untrained = ([slot for slot in slots if slot.parameter.trained is which] for which in (True, False))
    listed, others = (", ".join(f"{s.parameter.name} {times(s.shape)}" for s in part) for part in (trained, untrained))
    n, n_others = (sum(slot.parameter.size for slot in part) for part in (trained, untrained))
    return Box(
        f"{i}.{kind.lower()}",
        (kind + size, times(shape), listed, f"{n:,}" if n else ""),
        JOINS if size else WEIGHTS if n else GREY,
        f"and {n_others:,} untrained: {others}" if untrained else "",
    )


@cache
def length(text: str) -> float:
    """Width of a bold text in inches."""
    bold = FontProperties(size=TEXT, weight="bold")
    return TextPath((0, 0), text, prop=bold).get_extents().width / 72 if text else 0


def times(shape: Shape) -> str:
    return " × ".join(map(str, shape))


def in_words(shape: Shape) -> str:
    *positions, width = shape
    return f"{positions[0]} vectors of {width}" if prod(positions) > 1 else f"one vector of {width}"


def draw_boxes(ax: Axes, level: Level, y: float, columns: Sequence[float]) -> None:
    """Draw the boxes of a level from y downwards, below the caption of its join."""
    if level.caption:
        middle, x = y + level.gap / 2 - SPACE / 2, MARGIN + INDENT / 2
        arrow = {"arrowstyle": "-|>", "color": JOINS, "linewidth": 1.2, "shrinkA": 0, "shrinkB": 0}
        ax.annotate("", (x, middle + 0.2), (x, middle - 0.2), arrowprops=arrow)
        ax.text(MARGIN + INDENT, middle, level.caption, fontsize=TEXT, va="center_baseline")
    y += level.gap
    for box in level.boxes:
        left, right = columns[0] - INSET, columns[3] + INSET
        style: dict[str, Any] = {
            "boxstyle": "round,pad=0,rounding_size=0.05",
            "facecolor": f"{box.colour}18",
            "linewidth": 0.9,
        }
        ax.add_patch(FancyBboxPatch((left, y), right - left, box.height, edgecolor=box.colour, label=box.name, **style))
        middle = y + 0.06 + LINE_HEIGHT / 2
        for x, (name, side), cell in zip(columns, COLUMNS.items(), box.cells, strict=True):
            weight, gid = "bold" if name == "layer" else "normal", f"{box.name}.{name}"
            ax.text(x, middle, cell, fontsize=TEXT, weight=weight, ha=side, va="center_baseline", gid=gid)
        if box.untrained:
            options: dict[str, Any] = {"fontsize": SMALL, "color": "#444444", "ha": "right", "va": "center_baseline"}
            ax.text(columns[3], middle + LINE_HEIGHT, box.untrained, gid=f"{box.name}.untrained", **options)
        y += box.height + SPACE


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


def inputs_of_last(levels: list[Level]) -> list[set[int]]:
    """Positions of each level that the last position of the last level depends on."""
    inside, sets = {len(levels[-1].sources) - 1}, []
    for level in reversed(levels):
        if level.state:
            inside = set(range(max(inside) + 1))
        sets.append(inside)
        inside = {t for j in inside for t in level.sources[j]}
    return sets[::-1]
