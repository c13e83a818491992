"""Picture of the attention of a net over a word: a map for each layer and head."""

import unicodedata

import numpy as np
from matplotlib import colormaps
from matplotlib.cm import ScalarMappable
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure

from ..analysis.attention import attention, likeliest_label, need_attention
from ..errors import InputError
from ..models.model import Model
from .style import ends, figure, headline, of_ends
from .text import END_SHOWN, quoted, visible

MAX_LAYERS, MAX_HEADS = 6, 8  # of maps
WIDEST, SIDES = 11.5, (1.4, 2.6)  # inches: all maps side by side, and the smallest and the largest one
LEAST_FONT, LARGEST_FONT = 6.5, 10  # points, of the characters
FILLED = 0.8  # of a cell by the height of its character


def plot_attention(model: Model, word: str, *, label: str | None = None) -> Figure:
    """Draw the attention of each layer (downwards) and head (to the right) over a word.

    The rows of a map are the characters read last, which predict the next one; the columns are the characters that they
    look at. A dot is the word boundary. Up to 6 layers and 8 heads are drawn, the first and the last ones, and the
    last characters of a long word.

    label   of a model with labels; None for the likeliest given the word

    Raises InputError for a model without attention, an empty word, an unknown character or an unknown label.
    """
    need_attention(model)
    word = unicodedata.normalize("NFC", word)
    if not word:
        raise InputError("an empty word has no attention to draw")
    if model.labels is not None and label is None:
        label = likeliest_label(model, word)
    layers = attention(model, word, label=label)
    heads, T = layers[0].shape[:2]
    drawn = [(layer, head) for layer in ends(len(layers), MAX_LAYERS) for head in ends(heads, MAX_HEADS)]
    columns, rows = min(heads, MAX_HEADS), min(len(layers), MAX_LAYERS)
    side = float(np.clip(WIDEST / columns, *SIDES))
    positions = min(T, int(72 * side * FILLED / LEAST_FONT))
    side = max(min(side, 0.3 * positions), SIDES[0])
    size = (max(columns * (side + 0.15) + 1.4, 5), rows * (side + 0.25) + 1.2)
    made, axes = figure(rows, columns, size=size, sharex=True, sharey=True)
    characters = [visible(character) for character in (END_SHOWN + word)[T - positions :]]
    later = np.triu(np.ones((positions, positions), bool), 1)
    # The lightest blue differs from the white of what a position cannot see.
    norm, colours = Normalize(0, 1), ListedColormap(colormaps["Blues"](np.linspace(0.08, 1, 256)))
    for ax, (layer, head) in zip(axes, drawn, strict=True):
        weights = layers[layer][head, T - positions :, T - positions :]
        ax.imshow(np.ma.masked_array(weights, later), colours, norm, interpolation="nearest")
        ax.set_title(f"layer {layer + 1}, head {head + 1}", fontsize=8, pad=3)
        for axis in (ax.xaxis, ax.yaxis):
            axis.set_ticks(range(positions), characters, fontsize=min(LARGEST_FONT, 72 * FILLED * side / positions))
            axis.set_tick_params(length=0, pad=2)
        ax.spines[:].set_visible(False)
    shrink = min(1, 2.4 / size[1])
    made.colorbar(ScalarMappable(norm, colours), ax=axes, shrink=shrink, aspect=15, pad=0.02, label="weight")
    boundary = f" ({END_SHOWN} the beginning of the word)" if positions == T else ""
    made.supxlabel(f"character looked at{boundary}", fontsize=9)
    made.supylabel("character read last", fontsize=9)
    given = "" if label is None else f" given {label}"
    limits = of_ends(len(layers), MAX_LAYERS, "layers") + of_ends(heads, MAX_HEADS, "heads")
    if positions < T:
        limits += f"; the last {positions} of {T} positions"
    headline(made, model.title, f"attention over {quoted(word, 40)}{given}{limits}")
    return made
