"""Live pictures of the lessons: a slider and its frames, or a word that is typed and its attention.

In Jupyter, anywidget makes them live. Without it, and where there is no kernel, the plain picture is shown. The output
of a cell has the data as well, so that a page can show the live picture without a kernel. All frames are computed
before, and the attention by the net itself in the browser, so neither a slider nor a word asks Python.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from importlib.util import find_spec
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from ..analysis.attention import need_attention
from ..errors import InputError
from ..export.web import OF_READER, joined, model_data, source
from ..layers.activation import TANH
from ..plots.attention import plot_attention
from ..plots.style import Picture, figure
from ..training.run import Run

MIME = "application/vnd.moreish.live"  # of the data as one string of JSON, which takes a line in a notebook
CHARTS = ("lab/dom", "lab/colours", "lab/chart", "lab/lines", "lab/heat", "lab/cells", "lab/attention")
SCRIPTS = (*CHARTS, *OF_READER, "lessons/live")
STYLES = ("lab/style", "lab/along", "lessons/live")
EXAMPLES = 100  # of an image, downwards
POINTS = 100  # of a curve
SHOWN = 3  # images of the plain picture


class Live:
    """A live picture.

    data    what page/live.js draws, as JSON has it
    plain   the picture without a script
    """

    def __init__(self, data: dict[str, Any], plain: Figure):
        self.data, self.plain = data, plain
        self._widget: Any = None

    def __repr__(self) -> str:
        return f"live picture: {self.data['alt']}"

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the plain picture and the data, and with anywidget the live picture, which Jupyter then prefers."""
        assert isinstance(self.plain, Picture)
        png, size = self.plain.png()
        bundle = {"text/plain": repr(self), "image/png": b64encode(png).decode(), MIME: json.dumps(self.data)}
        if find_spec("anywidget") is not None:
            self._widget = self._widget or widget(self.data)
            shown = self._widget._repr_mimebundle_()
            bundle |= {name: value for name, value in (shown or ({},))[0].items() if name not in bundle}
        return bundle, {"image/png": size}


def widget(data: dict[str, Any]) -> Any:
    """Return the data as a widget of anywidget."""
    return _widget_class()(data=data)


@cache
def _widget_class() -> type:
    import anywidget
    import traitlets

    class LivePicture(anywidget.AnyWidget):
        _esm = module()
        data = traitlets.Dict().tag(sync=True)

    return LivePicture


def _code() -> str:
    style = "\n".join(source(name, "css") for name in STYLES)
    return f"{joined(SCRIPTS)}const STYLE = {json.dumps(style)};\n"


def module() -> str:
    """Return the ES module of the widget."""
    render = """function render({ model, el }) {
  const place = document.createElement("div");
  el.append(place);
  return mount(place, model.get("data"), STYLE);
}
export default { render };
"""
    return _code() + render


def script() -> str:
    """Return the script of a page, which makes its pictures live: those that `html` has written."""
    start = """for (const place of document.querySelectorAll(".moreish-live"))
  mount(place, JSON.parse(place.querySelector("script").textContent), STYLE);
"""
    return f'(() => {{\n"use strict";\n{_code()}{start}}})();\n'


def html(data: str, png: str) -> str:
    """Return a live picture as a piece of a page that has the script at its end.

    Without scripts, the plain picture stays.

    data    that of the output of a cell, MIME: JSON
    png     the plain picture in base64
    """
    # "<" is escaped, so that no text of the data can end the script.
    inside, alt = data.replace("<", "\\u003c"), escape(json.loads(data)["alt"])
    image = f'<img src="data:image/png;base64,{escape(png.strip())}" alt="{alt}" style="max-width: 100%">'
    return f'<div class="moreish-live">{image}<script type="application/json">{inside}</script></div>'


def saturation(outputs: Mapping[float, ArrayLike], *, slider: str, at: float) -> Live:
    """Show which outputs of a tanh layer are saturated, with a slider over what they depend on.

    outputs     for each position of the slider, the outputs (N, H) of N examples; the first 100 are drawn
    slider      its name, such as "gain"
    at          the position at first

    An output is saturated above 0.97 or below -0.97, and a unit is dead if it is saturated on all N examples.
    """
    assert TANH.saturation is not None
    white = {place: TANH.saturation.where(np.asarray(values)) for place, values in outputs.items()}
    captions = [
        f"{slider} {place:.3g}: {each.mean():.0%} saturated, {each.all(0).sum()} of {each.shape[1]} units dead"
        for place, each in white.items()
    ]
    drawn = [each[:EXAMPLES] for each in white.values()]
    rows, columns = drawn[0].shape
    data = {
        "kind": "images",
        "slider": _slider(slider, outputs, at),
        "rows": rows,
        "columns": columns,
        "images": [b64encode(np.packbits(each).tobytes()).decode() for each in drawn],
        "captions": captions,
        "axes": f"{rows} examples from top to bottom, {columns} units from left to right. White is saturated.",
        "alt": f"Saturated outputs at each {slider}",
    }
    shown = np.unique(np.linspace(0, len(drawn) - 1, SHOWN).round().astype(int))
    made, axes = figure(1, len(shown), size=(3.7 * len(shown), 2.6))
    for ax, i in zip(axes, shown, strict=True):
        ax.imshow(drawn[i], cmap="gray", vmin=0, vmax=1, aspect="auto", interpolation="nearest")
        ax.set_title(captions[i].replace(": ", "\n"), fontsize=9)
        ax.set_xlabel("unit")
        ax.set_ylabel("example")
    return Live(data, made)


def curves(losses: Mapping[float, Sequence[float]], *, slider: str, at: float, top: float) -> Live:
    """Show the curve of a training, with a slider over what it depends on.

    losses      for each position of the slider, the loss of every step in nats; all have the same number of steps
    slider      its name, such as "learning rate"
    at          the position at first
    top         where the axis of the losses ends, in nats

    A point of a curve is the mean of about a hundredth of the steps.
    """
    parts = np.array_split(np.arange(len(next(iter(losses.values())))), POINTS)
    x = [int(part[-1]) + 1 for part in parts if len(part)]
    means = {
        place: [float(np.mean(np.asarray(values, np.float64)[part])) for part in parts if len(part)]
        for place, values in losses.items()
    }
    finite = [y for ys in means.values() for y in ys if np.isfinite(y)]
    if not finite:
        raise InputError("no loss is a number: give smaller rates")
    last = {place: float(np.mean(ys[-len(ys) // 10 :])) for place, ys in means.items()}
    captions = [
        f"{slider} {place:.3g}: "
        + (f"{y:.3f} nats on average in the last tenth" if np.isfinite(y) else "the loss is no longer a number")
        for place, y in last.items()
    ]
    low = float(np.floor(10 * min(finite)) / 10)
    data = {
        "kind": "curves",
        "slider": _slider(slider, losses, at),
        "x": x,
        "xLabel": "step",
        "yLabel": "loss (nats)",
        "range": [low, top],
        "curves": [[round(y, 4) if np.isfinite(y) else None for y in ys] for ys in means.values()],
        "captions": captions,
        "alt": f"Loss over the steps at each {slider}",
    }
    made, (ax,) = figure(size=(7.5, 3.5))
    shades = colormaps["viridis"](np.linspace(0.9, 0, len(means)))
    for colour, (place, ys) in zip(shades, means.items(), strict=True):
        ax.plot(x, ys, color=colour, linewidth=2 if place == at else 1, label=f"{place:g}: {last[place]:.2f}")
    ax.set_ylim(low, top)
    ax.set_xlabel("step")
    ax.set_ylabel("loss (nats)")
    title = f"{slider}, and mean of the last tenth"
    made.legend(loc="outside right upper", frameon=False, fontsize=8, title=title, title_fontsize=8, alignment="left")
    return Live(data, made)


def attention(run: Run, word: str, *, bits: int = 8) -> Live:
    """Show the attention of a trained net over a word, which a reader may replace by any other.

    run     of a net with attention, without labels
    bits    of a weight of its matrices in the browser: 32, or 8, which changes the attention slightly

    Raises InputError for a model without attention, one with labels, and a character that the model does not know.
    """
    need_attention(run.model)
    if run.model.labels is not None:
        raise InputError("a model with labels has no live attention", "train it without --labels")
    net, arrays = model_data(run, bits)
    rounded = "" if bits == 32 else f" Its weights are rounded to {bits} bits."
    data = {
        "kind": "attention",
        "word": word,
        "net": net,
        "arrays": arrays,
        "about": f"The net runs in the browser.{rounded}",
        "alt": f"Attention over {word}",
    }
    return Live(data, plot_attention(run.model, word))


def _slider(label: str, positions: Mapping[float, Any], at: float) -> dict[str, Any]:
    values = [float(value) for value in positions]
    if float(at) not in values:
        raise InputError(f"{label} {at:g} is not among the positions: {', '.join(f'{value:g}' for value in values)}")
    return {"label": label, "values": values, "at": values.index(float(at))}
