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
from moreish.layers import FlattenConsecutive, Shape, Unfold
from moreish.layers.recurrent import Recurrent
from moreish.models import NETS, make_config
from moreish.models.model import Model
from moreish.plots.architecture import KINDS, PALE, plot_architecture
from moreish.plots.style import save

CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {"batch_norm": on} if hasattr(NETS[name], "batch_norm") else {}) for name in NETS for on in (True, False)),
    ("mlp", {"n_layer": 20}),
    ("mlp", {"block_size": 1}),
    ("wavenet", {"block_size": 32}),
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
        if gid := text.get_gid():
            layer, _, column = gid.rpartition(".")
            texts[layer][column] = text.get_text()
    return model, ax, texts


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
    shape, trained, untrained = (len(lines_of(ax, "vectors 0")),), 0, 0
    assert len(texts) == len(model.layers)
    for i, (layer, slots, (place, box)) in enumerate(zip(model.layers, model.layout.slots, texts.items(), strict=True)):
        shape = layer.out_shape(shape)
        kind = type(layer).__name__
        assert place == f"{i}.{kind.lower()}"
        assert box["layer"].split("(")[0] == kind
        assert [int(n) for n in box["output"].split(" × ")] == list(shape)
        listed = {False: box.get("untrained", ""), True: box["weights"]}
        for slot in slots:
            assert f"{slot.parameter.name} {' × '.join(map(str, slot.shape))}" in listed[slot.parameter.trained]
        here = sum(prod(slot.shape) for slot in slots if slot.parameter.trained)
        assert box["parameters"] == (f"{here:,}" if here else "")
        assert ("untrained" in box) == (kind == "BatchNorm1d")
        trained += here
        untrained += int(box["untrained"].split()[1].replace(",", "")) if "untrained" in box else 0
    said = [text.get_text() for text in ax.texts]
    assert trained == model.n_parameters
    assert f"{trained:,} parameters" in said
    assert untrained == model.layout.size - trained
    assert any("untrained numbers" in text for text in said) == bool(untrained)
    assert [patch.get_label() for patch in ax.patches if patch.get_label() in texts] == list(texts)


@pytest.mark.parametrize(("name", "options"), CASES)
def test_the_lines_are_those_that_the_layers_draw(vocab, name, options):
    model, ax, _ = drawn(vocab, name, options)
    T = model.columns + (4 if name == "wavenet-conv" or model.config.context is None else 0)
    shape: Shape = (T,)
    level = 0
    assert len(lines_of(ax, "joins 0")) == len(lines_of(ax, "vectors 0")) == T
    for layer in model.layers:
        before, shape = shape, layer.out_shape(shape)
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
    assert not lines_of(ax, f"vectors {level + 1}")


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


@pytest.mark.parametrize(("name", "options"), [*CASES[:-2], ("wavenet-conv", {"block_size": 16})])
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
