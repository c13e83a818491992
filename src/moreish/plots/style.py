"""Shared style of the pictures: colours for colour-blind readers and greyscale printers, axes, and files."""

import io
import math
import re
import unicodedata
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullFormatter

from ..display.shown import clean
from ..errors import InputError, unknown
from ..files import write_atomically
from .fonts import use_fallbacks

Unit = Literal["nats", "bits"]  # of losses
# Okabe and Ito 2008, ordered so that neighbours differ in greyscale, too.
COLOURS = ("#0072B2", "#D55E00", "#000000", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442")
MARKERS = "osD^vP*X"
UNITS = {"nats": 1.0, "bits": math.log(2)}
GREY, LIGHT_GREY = "#666666", "#BBBBBB"
GUIDE: dict[str, Any] = {"color": GREY, "linewidth": 1, "linestyle": "--"}  # a reference line
DPI = 150
MAX_TICKS = 5  # of an axis of values
FORMATS = (".png", ".svg", ".pdf")
PIXELS_PER_INCH = 80  # of a picture in a notebook
MAX_LINES = 8  # in one picture, so that each differs and the legend can be read
MAX_TITLE = 52  # characters of the names of a list and of a model


class Picture(Figure):
    """A figure that shows itself in a notebook, with or without the inline backend of matplotlib."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        return self.png()

    def png(self) -> tuple[bytes, dict[str, int]]:
        """Return the picture as PNG, and its size in CSS pixels: sharp on a fine screen too."""
        data = io.BytesIO()
        _write(self, data, "png")
        width, height = (round(PIXELS_PER_INCH * inches) for inches in self.get_size_inches())
        return data.getvalue(), {"width": width, "height": height}


def figure(rows: int = 1, columns: int = 1, *, size: tuple[float, float], **options: Any) -> tuple[Figure, list[Axes]]:
    """Make a figure of `size` inches; return it and its axes, row by row."""
    made = Picture(figsize=size, layout="constrained")
    axes = made.subplots(rows, columns, squeeze=False, **options).ravel().tolist()
    for ax in axes:
        ax.spines[["top", "right"]].set_visible(False)
    return made, axes


def headline(made: Figure, title: str, what: str) -> None:
    """Write above a figure what it shows, after the names of the list and of the model, if `title` has any.

    Long names are shortened, and a title that is wider than the figure has several lines.
    """
    text = f"{shortened_inside(title, MAX_TITLE)}: {what}" if title else what[:1].upper() + what[1:]
    made.suptitle(plain(text), fontsize=11, wrap=True)


def plain(text: str) -> str:
    """Escape control characters and mathematics, and keep the text around it from left to right."""
    return left_to_right(clean(text).replace("$", r"\$"))


def left_to_right(text: str) -> str:
    """Put marks around a text in a script from right to left, so that the text around it keeps its order."""
    return f"\u200e{text}\u200e" if any(unicodedata.bidirectional(c) in ("R", "AL") for c in text) else text


def shortened_inside(text: str, most: int) -> str:
    """Return a text of at most `most` characters, with an ellipsis for those left out in the middle."""
    return text if len(text) <= most else text[: most // 2] + "…" + text[1 + most // 2 - most :]


def nats_in(unit: str) -> float:
    """Number of nats in a unit of losses. Raises InputError for an unknown unit."""
    if unit not in UNITS:
        raise unknown("unit", unit, UNITS)
    return UNITS[unit]


def value_axis(ax: Axes, values: Sequence[float], *, whole: bool = False) -> None:
    """Make an x axis for positive values, logarithmic if they span a decade, with up to MAX_TICKS labels.

    whole   True for values that are whole numbers
    """
    ax.xaxis.set_major_locator(MaxNLocator(MAX_TICKS - 1, integer=whole))
    ax.xaxis.set_major_formatter(lambda x, _: short_number(x))
    if values and max(values) > 9 * min(values) > 0:
        ax.set_xscale("log")
        ax.xaxis.set_major_locator(FixedLocator(log_ticks(min(values), max(values))))
        ax.xaxis.set_major_formatter(lambda x, _: short_number(x))
        ax.xaxis.set_minor_formatter(NullFormatter())


def step_axis(ax: Axes) -> None:
    """Make an x axis for steps of training, with whole numbers."""
    ax.set_xlabel("step")
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=[1, 2, 2.5, 5, 10], integer=True, min_n_ticks=1))


def log_ticks(low: float, high: float) -> list[float]:
    """Return up to MAX_TICKS round numbers from low to high, for a logarithmic axis."""
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10.0**decade for decade in decades for step in steps if low <= step * 10.0**decade <= high]
        if len(ticks) <= MAX_TICKS:
            return ticks
    return ticks[:: -(-len(ticks) // MAX_TICKS)]


def short_number(x: float) -> str:
    """Format a number for a tick in a few characters, such as 45k."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(x) >= size:
            return f"{x / size:.4g}{sign}"
    return f"{x:.4g}"


def legend(ax: Axes) -> None:
    """Add a legend of the lines."""
    if ax.lines:
        ax.legend(frameon=False, fontsize=7)


def ends(n: int, most: int) -> list[int]:
    """Return the numbers below n, of more than `most` the first and the last ones."""
    return [*range(n)] if n <= most else [*range(most // 2), *range(n - most // 2, n)]


def of_ends(n: int, most: int, what: str = "") -> str:
    """End of a title: how many of n are drawn, if only those of `ends` are."""
    return "" if n <= most else f"; the first and last {most // 2} of {n} {what}".rstrip()


def spread(heights: Sequence[float], least: float) -> list[float]:
    """Move heights apart, as little as needed, so that they are `least` from each other; their order stays."""
    order = sorted(range(len(heights)), key=lambda i: heights[i])
    groups: list[tuple[float, int]] = []  # labels that touch: their centre and number
    for i in order:
        centre, n = heights[i], 1
        while groups and centre - groups[-1][0] < least * (n + groups[-1][1]) / 2:
            other, m = groups.pop()
            centre, n = (centre * n + other * m) / (n + m), n + m
        groups.append((centre, n))
    placed = iter([centre + least * (k - (n - 1) / 2) for centre, n in groups for k in range(n)])
    moved = dict(zip(order, placed, strict=True))
    return [moved[i] for i in range(len(heights))]


def check_format(path: Path) -> None:
    """Raise InputError for a file name that does not end in a format of pictures."""
    if path.suffix not in FORMATS:
        raise InputError(f"{path}: the name of a picture must end in one of {', '.join(FORMATS)}")


def save(made: Figure, path: Path) -> None:
    """Write a figure as PNG, SVG or PDF, by the ending of its name.

    Raises InputError for another ending, and WorkError if the file cannot be written.
    """
    check_format(path)
    data = io.BytesIO()
    _write(made, data, path.suffix.removeprefix("."))
    write_atomically(path, data.getvalue())


def svg(made: Figure) -> str:
    """Return a figure as the text of an SVG file."""
    data = io.BytesIO()
    _write(made, data, "svg")
    return re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f]", "", data.getvalue().decode())  # which XML does not allow


@contextmanager
def boxes_allowed() -> Generator[None]:
    """Draw characters that no installed font has as boxes, without warnings.

    Filters of warnings belong to all threads: enter this before the start of a thread that may change them.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"Glyph \d+ .*missing from", UserWarning)
        yield


def _write(made: Figure, to: io.BytesIO, form: str) -> None:
    use_fallbacks(made)
    # SVG: text as text, no date, and no random salt in ids.
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "moreish"}), boxes_allowed():
        _draw(made, to, form)


def _draw(made: Figure, to: io.BytesIO, form: str) -> None:
    """Write a figure and draw it only once: `savefig` first draws it to lay it out, which drawing does anyway."""
    canvas, dpi = made.canvas, made.dpi
    try:
        made.dpi = DPI
        if form == "png":
            FigureCanvasAgg(made).print_png(to)
        elif form == "svg":
            from matplotlib.backends.backend_svg import FigureCanvasSVG

            FigureCanvasSVG(made).print_svg(to, metadata={"Date": None})
        else:
            from matplotlib.backends.backend_pdf import FigureCanvasPdf  # its fontTools take a while to import

            FigureCanvasPdf(made).print_pdf(to)
    finally:
        made.set_canvas(canvas)
        made.dpi = dpi
