"""The boxes and lines in the picture of an architecture are those of its layers."""

from collections import defaultdict
from math import prod
from typing import Any

import numpy as np
import pytest
from matplotlib.colors import to_hex

import moreish
from moreish import InputError
from moreish.corpus import Vocab
from moreish.layers import (
    CausalAverage,
    CausalSelfAttention,
    Dropout,
    FlattenConsecutive,
    Layer,
    Linear,
    Residual,
    Shape,
    Tanh,
    Unfold,
    leaves,
)
from moreish.layers.layout import outputs
from moreish.layers.recurrent import Recurrent
from moreish.models import NETS, make_config
from moreish.models.model import Model
from moreish.plots.architecture import KINDS, PALE, plot_architecture
from moreish.plots.levels import blocks_of
from moreish.plots.style import save

CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {"batch_norm": on} if hasattr(NETS[name], "batch_norm") else {}) for name in NETS for on in (True, False)),
    ("mlp", {"n_layer": 20}),
    ("mlp", {"block_size": 1}),
    ("wavenet", {"block_size": 32}),
    ("transformer", {"n_layer": 1, "dropout": 0.0}),
    ("transformer", {"n_layer": 12, "n_head": 8, "n_embd": 256}),
]


@pytest.fixture(scope="module")
def vocab() -> Vocab:
    return Vocab("abcdefghijklmnopqrstuvwxyz")


def drawn(vocab, name: str, options: dict) -> tuple[Model, Any, dict[str, dict[str, str]]]:
    """A model, the axes of its picture, and the texts of its boxes by the layers' names and the columns."""
    model = Model(make_config(name, options), vocab)
    (ax,) = plot_architecture(model).axes
    texts: dict[str, dict[str, str]] = defaultdict(dict)
    for text in ax.texts:
        if (gid := text.get_gid()) and not gid.endswith(".past"):
            layer, _, column = gid.rpartition(".")
            texts[layer][column] = text.get_text()
    return model, ax, texts


def drawn_layers(model: Model) -> list[tuple[str, Layer, Shape]]:
    """Paths, layers and the shapes of their outputs for "emma", without the blocks that repeat the first."""
    T = model.columns + (4 if model.name == "wavenet-conv" or model.config.context is None else 0)
    listed = list(outputs(model.layers, (T,)))
    if model.name != "transformer":
        return listed
    config: Any = model.config
    first = 3 if config.dropout else 2
    left_out = {str(number) for number in range(first + 2, len(model.layers) - 2)}
    return [row for row in listed if row[0].split(".")[0] not in left_out]


def lines_of(ax, label: str) -> list[tuple[tuple[float, float], tuple[float, float], bool]]:
    """The lines under a label: from where to where, and whether they are in colour."""
    lines = []
    for line in ax.lines:
        if line.get_label().split(",")[0] == label:
            points = np.asarray(line.get_xydata()).round(9).reshape(-1, 3, 2)
            lines += [(tuple(a), tuple(b), line.get_color() != PALE) for a, b, _ in points.tolist()]
    return lines


def letters_of(ax) -> list[str]:
    """The characters above and below the lines."""
    return [text.get_text() for text in ax.texts if len(text.get_text()) == 1 and not text.get_gid()]


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_boxes_say_what_the_layers_are(vocab, name, options):
    model, ax, texts = drawn(vocab, name, options)
    untrained, listed = 0, drawn_layers(model)
    of_path = dict(zip(leaves(model.layers), model.layout.slots, strict=True))
    assert list(texts) == [f"{path}.{type(layer).__name__.lower()}" for path, layer, _ in listed]
    for (path, layer, shape), box in zip(listed, texts.values(), strict=True):
        kind = type(layer).__name__
        assert box["layer"].removeprefix("+ ").split("(")[0] == kind
        assert box["layer"].startswith("+ ") == (kind == "Residual")
        assert [int(n) for n in box["output"].split(" × ")] == list(shape)
        written = {False: box.get("untrained", ""), True: box["weights"]}
        slots = of_path.get((path, layer), [])
        for slot in slots:
            assert f"{slot.parameter.name} {' × '.join(map(str, slot.shape))}" in written[slot.parameter.trained]
        here = sum(prod(slot.shape) for slot in slots if slot.parameter.trained)
        assert box["parameters"] == (f"{here:,}" if here else "")
        assert ("untrained" in box) == (kind == "BatchNorm1d")
        untrained += int(box["untrained"].split()[1].replace(",", "")) if "untrained" in box else 0
    said = [text.get_text() for text in ax.texts]
    assert f"{model.n_parameters:,} parameters" in said
    assert untrained == model.layout.size - model.layout.n_trained
    assert any("untrained numbers" in text for text in said) == bool(untrained)
    assert [patch.get_label() for patch in ax.patches if patch.get_label() in texts] == list(texts)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_lines_are_those_that_the_layers_draw(vocab, name, options):
    model, ax, _ = drawn(vocab, name, options)
    T = model.columns + (4 if name == "wavenet-conv" or model.config.context is None else 0)
    shape: Shape = (T,)
    level = 0
    assert len(lines_of(ax, "joins 0")) == len(lines_of(ax, "vectors 0")) == T
    for _, layer, after in drawn_layers(model):
        before, shape = shape, after
        if isinstance(layer, FlattenConsecutive | Unfold):
            level += 1
            positions, width = (1, *shape)[-2:]
            assert len(lines_of(ax, f"vectors {level}")) == positions
            joined = before[0] if isinstance(layer, FlattenConsecutive) else 2 * positions
            assert len(lines_of(ax, f"joins {level}")) == joined
            assert any(f"of {width}" in text.get_text() for text in ax.texts), "each level's width is written"
        if isinstance(layer, Recurrent):
            level += 1
            vectors, state = lines_of(ax, f"vectors {level}"), lines_of(ax, f"state {level}")
            assert len(vectors) == len(lines_of(ax, f"joins {level}")) == T
            assert len(state) == T - 1
            for (a, _, _), (b, _, _), (start, end, bright) in zip(vectors, vectors[1:], state, strict=False):
                assert (start[0], end[0]) == (a[0], b[0]), "from each position to the next one"
                assert bright, "the last prediction depends on all of them"
            assert any(f"a state of {layer.n_hidden}" in text.get_text() for text in ax.texts)
        if isinstance(layer, CausalSelfAttention | CausalAverage):
            level += 1
            columns = [a[0] for a, *_ in lines_of(ax, f"vectors {level}")]
            joins = [(above[0], below[0]) for above, below, _ in lines_of(ax, f"joins {level}")]
            earlier = [(x, y) for y in columns for x in columns if x <= y]
            assert sorted(joins) == sorted(earlier), "each with itself and all before it"
    if name == "transformer" and options.get("n_layer") != 1:
        level += 1  # after the blocks: only the last position counts for the last prediction
        assert [bright for *_, bright in sorted(lines_of(ax, f"vectors {level}"))] == [False] * (T - 1) + [True]
        assert all(bright for *_, bright in lines_of(ax, f"vectors {level - 1}")), "the next block looks at all of them"
    assert not lines_of(ax, f"vectors {level + 1}")


def test_a_line_goes_past_each_branch_to_its_sum(vocab):
    _, ax, _ = drawn(vocab, "transformer", {"n_layer": 2, "dropout": 0.1})
    boxes = {patch.get_label(): patch.get_path().get_extents(patch.get_patch_transform()) for patch in ax.patches}
    past = {text.get_gid().removesuffix(".past"): text for text in ax.texts if (text.get_gid() or "").endswith(".past")}
    assert list(past) == ["3", "4"]
    for path, before, sum_of in (("3", "2.dropout", "3.residual"), ("4", "3.residual", "4.residual")):
        (x, start), (at, end) = past[path].xyann, past[path].xy
        assert x == at
        assert start == pytest.approx(boxes[before].y1), "it begins at the layer before the branch"
        assert end == pytest.approx(boxes[sum_of].y0)
        inside = [box for name, box in boxes.items() if name.startswith(f"{path}.") and name != sum_of]
        assert len(inside) == 5
        assert all(start < box.y0 < box.y1 < end and x < box.x0 for box in inside), "beside the boxes of the branch"
        assert all(box.x0 > boxes[sum_of].x0 for box in inside), "which are indented"


@pytest.mark.parametrize("n_layer", [2, 4, 100])
def test_equal_blocks_are_drawn_once(vocab, n_layer):
    _, ax, texts = drawn(vocab, "transformer", {"n_layer": n_layer, "dropout": 0.1})
    assert len(texts) == 3 + 12 + 2
    said = [text.get_text() for text in ax.texts]
    assert f"× {n_layer}" in said
    assert f"layers 3 to {2 + 2 * n_layer}." in " ".join(said)
    (bracket,) = [line for line in ax.lines if line.get_label() == "blocks"]
    boxes = {patch.get_label(): patch.get_path().get_extents(patch.get_patch_transform()) for patch in ax.patches}
    top, bottom = boxes["3.0.layernorm"].y0, boxes["4.residual"].y1
    assert bracket.get_ydata().tolist() == pytest.approx([top, top, bottom, bottom])


def test_blocks_that_differ_are_not_taken_for_equal():
    def block(n: int) -> Residual:
        return Residual((Linear(4, n), Tanh(), Dropout(0.1, n), Linear(n, 4)))

    def again(salt: int) -> Residual:
        return Residual((Dropout(0.1, salt),))

    assert blocks_of([Linear(4, 4), block(2), block(3), Linear(4, 4)]).times == 1
    assert blocks_of([Linear(4, 4), Tanh(), Linear(4, 4), Tanh()]).times == 1, "no residuals"
    assert blocks_of([Tanh(), again(1), again(2), again(3), Tanh()]) == (range(1, 2), 3), "masks of their own"
    mixed = [Tanh(), again(1), block(2), again(3), block(2), Tanh()]
    assert blocks_of(mixed) == (range(1, 3), 2)
    assert blocks_of(mixed).last == 4


@pytest.mark.parametrize("name", ["wavenet", "wavenet-conv"])
@pytest.mark.parametrize("block_size", [2, 8, 16, 32])
def test_the_last_prediction_depends_on_a_context(vocab, name, block_size):
    _, ax, _ = drawn(vocab, name, {"block_size": block_size})
    depth = block_size.bit_length() - 1
    reached = {max(a[0] for a, *_ in lines_of(ax, f"vectors {depth}"))}
    for level in range(depth, -1, -1):
        assert {a[0] for a, _, bright in lines_of(ax, f"vectors {level}") if bright} == reached
        joins = lines_of(ax, f"joins {level}")
        assert all(bright == (below[0] in reached) for _, below, bright in joins)
        reached = {above[0] for above, below, _ in joins if below[0] in reached}
    assert len(reached) == block_size


def test_dilations_double(vocab):
    _, ax, _ = drawn(vocab, "wavenet-conv", {"block_size": 8})
    columns = sorted(above[0] for above, *_ in lines_of(ax, "joins 0"))
    for level, dilation in enumerate((1, 2, 4), 1):
        places = [(above[0], below[0]) for above, below, _ in lines_of(ax, f"joins {level}")]
        back = [round((below - above) / (columns[1] - columns[0])) for above, below in places]
        assert sorted(set(back)) == [0, dilation]
        assert any(text.get_text().startswith(f"dilation {dilation},") for text in ax.texts)


def test_the_example_is_of_the_vocabulary(vocab):
    characters = {
        name: [t.get_text() for t in drawn(vocab, name, {})[1].texts if len(t.get_text()) == 1] for name in NETS
    }
    assert "".join(characters["mlp"]) == "··emma"
    assert "".join(characters["bigram"]) == "a"
    assert "".join(characters["wavenet-conv"]) == "········emma" + "emma·", "a word, and what follows each of them"
    for letters, shown in {"bcd": "bcd", "жук": "жку", "αβγδε": "αβγδ", "\u4e00": "?"}.items():
        other = Model(make_config("mlp", {"block_size": len(shown)}), Vocab(letters))
        (ax,) = plot_architecture(other).axes
        assert "".join(letters_of(ax)) == shown


@pytest.mark.parametrize("name", ["mlp", "wavenet", "wavenet-conv"])
@pytest.mark.parametrize("block_size", [64, 1024])
def test_long_contexts_are_cut_short(vocab, name, block_size):
    _, ax, texts = drawn(vocab, name, {"block_size": block_size, "n_hidden": 8, "n_embd": 2})
    assert len(lines_of(ax, "vectors 0")) == 32
    assert texts["0.embedding"]["output"].startswith(str(block_size + (4 if name == "wavenet-conv" else 0)))
    assert any(text.get_text() == "⋯" for text in ax.texts)
    last = max(int(line.get_label().split()[1].strip(",")) for line in ax.lines if "vectors" in line.get_label())
    assert any(bright for *_, bright in lines_of(ax, f"vectors {last}"))


@pytest.mark.parametrize(("name", "options"), [*CASES[:-4], *CASES[-2:], ("wavenet-conv", {"block_size": 16})])
def test_it_is_legible(vocab, tmp_path, name, options):
    _, ax, _ = drawn(vocab, name, options)
    made: Any = ax.get_figure()
    made.draw_without_rendering()
    boxes = [(text, text.get_window_extent().padded(-1)) for text in ax.texts if text.get_text()]
    for i, (text, box) in enumerate(boxes):
        assert text.get_fontsize() >= 7
        assert made.bbox.x0 < box.x0 < box.x1 < made.bbox.x1, f"{text} is cut off"
        assert made.bbox.y0 < box.y0 < box.y1 < made.bbox.y1, f"{text} is cut off"
        for other, its in boxes[:i]:
            assert not box.overlaps(its), f"{text} lies on {other}"
    cells = {text.get_gid(): box for text, box in boxes if text.get_gid()}
    for gid, box in cells.items():
        if gid.endswith(".output"):
            assert box.x0 - cells[gid.removesuffix("output") + "layer"].x1 > 0.1 * made.dpi, "the columns are apart"
    (key,) = [text.get_text() for text in ax.texts if text.get_text().startswith("Boxes: ")] or [""]
    colours = {to_hex(patch.get_edgecolor()).upper() for patch in ax.patches if f"{patch.get_label()}.layer" in cells}
    assert {colour for colour, kind in KINDS.items() if kind in key} == (colours if len(colours) > 1 else set())
    save(made, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").stat().st_size < 200_000


@pytest.mark.parametrize("order", [1, 2, 6])
def test_counts_are_one_box(words, order):
    run = moreish.train(words, "ngram", order=order)
    (ax,) = plot_architecture(run.model).axes
    said = [text.get_text() for text in ax.texts]
    assert f"counts of up to {order} in a row" in said
    assert {"output", "parameters"} < set(said)
    assert not {"layer", "weights"} & set(said)
    assert f"{run.model.n_parameters:,} parameters" in said
    assert len(lines_of(ax, "joins 0")) == order - 1
    assert len(lines_of(ax, "vectors 0")) == 1


def test_what_cannot_be_drawn(words, vocab):
    runs = [moreish.train(words, model) for model in ("ngram", "bigram-counts")]
    with pytest.raises(InputError, match="a mixture has no layers: train a net, as with --model mlp"):
        plot_architecture(moreish.mix(runs).model)
    deep = Model(make_config("mlp", {"n_layer": 300, "n_hidden": 2}), vocab)
    with pytest.raises(InputError, match="603 layers are too many to draw: at most 200"):
        plot_architecture(deep)
