"""Curves as a small SVG, in the colour of the text around it."""

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

Points = Sequence[tuple[float, float]]
WIDTH, HEIGHT = 420, 130
LEFT, RIGHT, TOP, BOTTOM = 45, 90, 8, 18  # margins for labels
LINE = 13  # height of a label
MOST = 300  # points of a curve


def curves_svg(curves: Mapping[str, Points], log_x: bool = False) -> Markup:
    """Draw curves, each with its name and last value at its end; nothing if none has two finite points."""
    finite = {name: [p for p in points if all(map(math.isfinite, p))] for name, points in curves.items()}
    drawn = {name: points[:: -math.ceil(len(points) / MOST)][::-1] for name, points in finite.items() if points[1:]}
    if not drawn:
        return Markup("")
    xs, ys = zip(*(point for points in drawn.values() for point in points), strict=True)
    left, right, low, high = min(xs), max(xs), min(ys), max(ys)
    scale = math.log if log_x else float

    def at(x: float, y: float) -> tuple[float, float]:
        across = (scale(x) - scale(left)) / (scale(right) - scale(left) or 1)
        down = (high - y) / (high - low or 1)
        return LEFT + across * (WIDTH - LEFT - RIGHT), TOP + down * (HEIGHT - TOP - BOTTOM)

    parts = [
        Markup('<path d="M{0} {1}V{2}H{3}" fill="none" stroke="currentColor" opacity="0.4"/>').format(
            LEFT, TOP, HEIGHT - BOTTOM, WIDTH - RIGHT
        ),
        _label(LEFT - 4, TOP + 8, f"{high:.2f}", "end"),
        _label(LEFT - 4, HEIGHT - BOTTOM, f"{low:.2f}", "end"),
        _label(LEFT, HEIGHT - 4, _number(left), "start"),
        _label(WIDTH - RIGHT, HEIGHT - 4, _number(right), "end"),
    ]
    line = Markup('<polyline points="{}" fill="none" stroke="currentColor" stroke-width="1.5" opacity="{}"/>')
    for number, points in enumerate(drawn.values()):
        opacity = "1" if number == len(drawn) - 1 else "0.5"  # the last one stands out
        parts.append(line.format(" ".join("{:.1f},{:.1f}".format(*at(*point)) for point in points), opacity))
    height = -math.inf
    ends = [(at(*points[-1]), f"{name} {points[-1][1]:.4f}") for name, points in drawn.items()]
    for (x, y), name in sorted(ends, key=lambda end: end[0][1]):
        height = max(height + LINE, y + 4)  # labels do not overlap
        parts.append(_label(x + 5, height, name, "start"))
    svg = '<svg width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img" style="max-width: 100%">{2}</svg>'
    return Markup(f"<div>{svg}</div>").format(WIDTH, HEIGHT, Markup("").join(parts))


def _label(x: float, y: float, text: str, anchor: str) -> Markup:
    label = '<text x="{:.1f}" y="{:.1f}" font-size="11" text-anchor="{}" fill="currentColor">{}</text>'
    return Markup(label).format(x, y, anchor, text)


def _number(x: float) -> str:
    return f"{x:,.0f}" if float(x).is_integer() else f"{x:.2g}"
