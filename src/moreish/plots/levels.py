"""The levels of an architecture, as its picture shows them: boxes for layers, and the positions that layers join."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, NamedTuple

from ..errors import InputError
from ..layers import (
    CausalAverage,
    CausalSelfAttention,
    FlattenConsecutive,
    LabelledEmbedding,
    Layer,
    Residual,
    Shape,
    Unfold,
)
from ..layers.layout import Slot, outputs
from ..layers.recurrent import Recurrent
from ..models import NetConfig
from ..models.model import Model
from ..models.ngram import AutomatonConfig
from .style import COLOURS, GREY

MAX_LAYERS = 200
WEIGHTS, JOINS = COLOURS[0], COLOURS[1]
KINDS = {WEIGHTS: "blue with parameters", JOINS: "orange joining positions", GREY: "grey with neither"}  # of boxes
LINE_HEIGHT, SPACE, GAP = 0.16, 0.05, 0.55  # inches: a line of text, between boxes, between levels


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

    @property
    def path(self) -> str:
        """Path of the layer."""
        return self.name.rpartition(".")[0]

    @property
    def depth(self) -> int:
        """Number of branches that the layer is in."""
        return self.path.count(".")


@dataclass(frozen=True)
class Level:
    """A layer that joins positions, and the layers after it that treat positions independently.

    sources     for each position, the joined positions of the level before (of the characters, for the first level)
    caption     description of the join
    below_last  True for positions that are drawn below the last one that they join; otherwise below the middle
    state       True for a recurrent layer, whose positions see the one before them on the same level
    times       number of equal levels for which this one is drawn: see `Blocks`
    """

    sources: Sequence[Sequence[int]]
    caption: str = ""
    below_last: bool = False
    state: bool = False
    times: int = 1
    boxes: list[Box] = field(default_factory=list)

    @property
    def gap(self) -> float:
        return GAP if self.caption else SPACE

    @property
    def height(self) -> float:
        return self.gap + sum(box.height + SPACE for box in self.boxes)

    def places(self, before: Sequence[float]) -> list[float]:
        """x of the positions, from x of those of the level before."""
        if self.below_last:
            return [before[joined[-1]] for joined in self.sources]
        distinct = [{before[i] for i in joined} or set(before) for joined in self.sources]
        return [sum(places) / len(places) for places in distinct]


class Blocks(NamedTuple):
    """Equal blocks of layers in a row, of which one is drawn.

    first   the numbers of the layers of the first block
    times   the number of blocks
    """

    first: range
    times: int

    @property
    def last(self) -> int:
        """Number of the last layer of the last block."""
        return self.first.start + len(self.first) * self.times - 1


def blocks_of(layers: Sequence[Layer]) -> Blocks:
    """Find equal blocks with a Residual that follow each other: those that have most layers beyond the first block."""
    known: dict[Layer, int] = {}
    kinds = [known.setdefault(_unsalted(layer), len(known)) for layer in layers]
    best = Blocks(range(0), 1)
    for size in range(1, len(layers) // 2 + 1):
        for start in range(len(layers) - 2 * size + 1):
            first, times = range(start, start + size), 1
            while kinds[start : start + size] == kinds[start + times * size : start + (times + 1) * size]:
                times += 1
            more = size * (times - 1) > len(best.first) * (best.times - 1)
            if more and any(isinstance(layers[i], Residual) for i in first):
                best = Blocks(first, times)
    return best


def _unsalted(layer: Any) -> Any:
    """Return a layer without the numbers that tell its dropout apart from that of others."""
    if isinstance(layer, Residual):
        return Residual(tuple(map(_unsalted, layer.layers)))
    return replace(layer, salt=0) if hasattr(layer, "salt") else layer


def levels_of(model: Model, n: int, blocks: Blocks) -> tuple[int, list[Level]]:
    """Number of characters before the predictions for a word of n characters, and the levels above them."""
    config = model.config
    if isinstance(config, AutomatonConfig):
        cells = (f"counts of up to {config.order} in a row", str(len(model.vocab)), "", f"{model.n_parameters:,}")
        caption = "the longest context that has been counted"
        return config.context, [Level([range(config.order - 1)], caption, boxes=[Box("0.counts", cells, WEIGHTS)])]
    model.need_layers()
    assert isinstance(config, NetConfig)
    whole = config.whole_words or config.context is None
    # A net that goes along words reads the boundary and then the characters.
    context = (config.context or 1) + (n if whole else 0)
    before, levels, n_boxes = context, [Level([[t] for t in range(context)])], 0
    slots = iter(model.layout.slots)
    columns = context + isinstance(model.layers[0], LabelledEmbedding)  # the label comes last
    for path, layer, shape in outputs(model.layers, (columns,)):
        T, of_layer = before, [] if isinstance(layer, Residual) else next(slots)
        before = 1 if len(shape) == 1 else shape[0]
        number = int(path.split(".")[0])
        if blocks.first.stop <= number <= blocks.last:
            continue
        size, level = join_of(layer, T, shape)
        if level:
            levels.append(replace(level, times=blocks.times if number in blocks.first else 1))
        elif levels[-1].times > 1 and number > blocks.last:
            levels.append(Level([[t] for t in range(T)]))
        n_boxes += 1
        levels[-1].boxes.append(box_of(path, layer, size, shape, of_layer, joins=level is not None))
    if n_boxes > MAX_LAYERS:
        raise InputError(f"{n_boxes} layers are too many to draw: at most {MAX_LAYERS}")
    return context, levels


def join_of(layer: Layer, T: int, shape: Shape) -> tuple[str, Level | None]:
    """Suffix of a layer's name, such as "(4 heads)", and the level that it begins if it joins some of T positions."""
    match layer:
        case FlattenConsecutive():
            joined = ("both" if T == 2 else f"all {T}") if layer.n == T else f"every {layer.n} neighbours"
            sources = [range(t, t + layer.n) for t in range(0, T, layer.n)]
            return f"({layer.n})", Level(sources, f"{joined} concatenated: {in_words(shape)}")
        case Unfold():
            d = layer.dilation
            caption = f"dilation {d}, each with the one {d} before: {in_words(shape)}"
            return f"({d})", Level([(t, t + d) for t in range(T - d)], caption, below_last=True)
        case Recurrent():
            caption = f"a state of {layer.n_hidden} that goes along the word"
            return f"({layer.n_hidden})", Level([(t,) for t in range(T)], caption, state=True)
        case CausalSelfAttention():
            heads = "1 head" if layer.n_head == 1 else f"{layer.n_head} heads"
            caption = "each looks at itself and at all before it"
            return f"({heads})", Level([range(t + 1) for t in range(T)], caption, below_last=True)
        case CausalAverage():
            caption = "the mean of each and all before it"
            return "", Level([range(t + 1) for t in range(T)], caption, below_last=True)
        case _:
            return "", None


def box_of(path: str, layer: Layer, size: str, shape: Shape, slots: Sequence[Slot], *, joins: bool) -> Box:
    """Box of a layer with its output shape and its parameters."""
    kind = type(layer).__name__
    trained, untrained = ([slot for slot in slots if slot.parameter.trained is which] for which in (True, False))
    listed, others = (", ".join(f"{s.parameter.name} {times(s.shape)}" for s in part) for part in (trained, untrained))
    n, n_others = (sum(slot.parameter.size for slot in part) for part in (trained, untrained))
    return Box(
        f"{path}.{kind.lower()}",
        ("+ " * isinstance(layer, Residual) + kind + size, times(shape), listed, f"{n:,}" if n else ""),
        JOINS if joins else WEIGHTS if n else GREY,
        f"and {n_others:,} untrained: {others}" if untrained else "",
    )


def times(shape: Shape) -> str:
    return " × ".join(map(str, shape))


def in_words(shape: Shape) -> str:
    *positions, width = shape
    return f"{positions[0]} vectors of {width}" if prod(positions) > 1 else f"one vector of {width}"


def inputs_of_last(levels: list[Level]) -> list[set[int]]:
    """Positions of each level that the last position of the last level depends on."""
    again = [i for i, level in enumerate(levels) if level.times > 1]
    order = [*range(len(levels))]
    if again:
        order[again[0] : again[-1] + 1] = again * levels[again[0]].times
    inside, sets = {len(levels[-1].sources) - 1}, [set[int]()] * len(levels)
    for i in reversed(order):
        if levels[i].state:
            inside = set(range(max(inside) + 1))
        sets[i] = inside  # in the end those of the first of equal levels
        inside = {t for j in inside for t in levels[i].sources[j]}
    return sets
