"""Pictures of a run's layers on one batch (activations, gradients, saturated units) and of their weights."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator, NullLocator

from ..analysis.diagnosis import Diagnosis, as_diagnosis
from ..engine.trace import LayerTrace, Trace
from ..errors import InputError
from ..training.run import Run
from .style import COLOURS, MAX_LINES, Unit, ends, figure, headline, legend, nats_in, of_ends

BINS = 80
SMOOTHING = 2.0  # bins: standard deviation of the kernel that smooths a histogram
LEAST_DENSITY = 1e-3  # of weights, as a fraction of the highest one of the flattest histogram
MAX_IMAGES = 6  # layers that are drawn as images
MAX_EXAMPLES, MAX_UNITS = 200, 400  # of an image
SATURATING = "choose a net with tanh or relu, such as an mlp"
LINES = ("-", "--", ":", "-.")  # distinct in greyscale, too


def plot_activations(run: Run | Diagnosis) -> Figure:
    """Smoothed histograms of each activation's output, at the start and now; of the first and last 4.

    Raises InputError for a model without activations.
    """

    def outputs(layer: LayerTrace) -> dict[str, np.ndarray]:
        saturated, y = layer.saturated, layer.output
        share = "" if saturated is None else f", {saturated.mean():.0%} saturated"
        return {f"{layer.name}: mean {y.mean():+.2f}, std {y.std():.2f}{share}": y}

    found = _with_activations(run)
    return _histograms(
        found, lambda trace: trace.activations, outputs, "output", "outputs of the activations", bounded=True
    )


def plot_gradients(run: Run | Diagnosis, unit: Unit = "nats") -> Figure:
    """Smoothed histograms of the gradient at each activation's output, at the start and now; of the first and last 4.

    Raises InputError for a model without activations and for an unknown unit.
    """
    nats = nats_in(unit)

    def gradients(layer: LayerTrace) -> dict[str, np.ndarray]:
        gradient = layer.gradient / nats
        return {f"{layer.name}: std {gradient.std():.1e}": gradient}

    label = f"gradient of the loss ({unit} per unit of output)"
    found = _with_activations(run)
    return _histograms(found, lambda trace: trace.activations, gradients, label, "gradients at the activations")


def plot_weights(run: Run | Diagnosis) -> Figure:
    """Smoothed histograms of each weight matrix on a log scale, at the start and now; of the first and last 4.

    Raises InputError for a model without layers.
    """

    def matrices(layer: LayerTrace) -> dict[str, np.ndarray]:
        return {f"{name}: std {w.std():.3f}": w for name, w in layer.weights.items() if w.ndim == 2}

    made = _histograms(run, lambda trace: trace.layers, matrices, "weight", "weights")
    for ax in made.axes:
        ax.set_yscale("log")
        ax.yaxis.set_major_formatter("{x:g}")
        ax.yaxis.set_minor_locator(NullLocator())  # many ticks, which take a while
        ax.set_ylabel("density (log scale)")
        tops = [np.asarray(line.get_ydata()).max() for line in ax.lines]
        if tops:
            ax.set_ylim(LEAST_DENSITY * min(tops), 2 * max(tops))
    return made


def plot_saturation(run: Run | Diagnosis) -> Figure:
    """Draw images of the activations, examples x units, white where saturated; the titles count dead units.

    Raises InputError for a model without activations.
    """
    found = _with_activations(run)
    all_of_them = [layer for layer in found.end_trace.activations if layer.saturated is not None]
    if not all_of_them:
        raise InputError(f"{found.run.model.kind} has no activations that saturate", SATURATING)
    shown = [all_of_them[i] for i in ends(len(all_of_them), MAX_IMAGES)]
    made, axes = figure(len(shown), 2, size=(10, 0.6 + 2.2 * len(shown)))
    names = {layer.name for layer in shown}
    for column, (trace, when) in enumerate(((found.start_trace, "step 0"), (found.end_trace, "now"))):
        for row, layer in enumerate(layer for layer in trace.layers if layer.name in names):
            draw_saturation(axes[2 * row + column], layer, f"{when}: ")
    limits = of_ends(len(all_of_them), MAX_IMAGES)
    headline(made, found.run.model.title, f"saturated outputs of the activations{limits}")
    saturation_legend(made)
    return made


def saturation_legend(made: Figure) -> None:
    """Explain the black and white of `draw_saturation` below a figure."""
    kinds = {"saturated": "white", "not saturated": "black"}
    patches = [Patch(facecolor=colour, edgecolor="black", label=label) for label, colour in kinds.items()]
    made.legend(handles=patches, loc="outside lower right", ncols=2, frameon=False, fontsize=8)


def draw_saturation(ax: Axes, layer: LayerTrace, title: str) -> None:
    """Draw the saturated outputs of an activation (white) as an image: examples downwards, units to the right."""
    saturated, dead = layer.saturated, layer.dead
    assert saturated is not None
    assert dead is not None
    image = saturated.reshape(-1, saturated.shape[-1])[:MAX_EXAMPLES, :MAX_UNITS]
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    ax.set_xlabel("unit")
    ax.set_ylabel("example and position" if saturated.ndim > 2 else "example")
    units = f" (of {len(dead)} units {MAX_UNITS} are shown)" if len(dead) > MAX_UNITS else ""
    ax.set_title(
        f"{title}{layer.name}, {saturated.mean():.0%} saturated, {dead.sum() or 'none'} dead{units}", fontsize=9
    )


def _with_activations(run: Run | Diagnosis) -> Diagnosis:
    """Return the diagnosis of a run. Raises InputError for a model without activations."""
    found = as_diagnosis(run)
    if not found.end_trace.activations[0].is_activation:
        raise InputError(f"{found.run.model.kind} has no activations", SATURATING)
    return found


def _histograms(
    run: Run | Diagnosis,
    layers: Callable[[Trace], list[LayerTrace]],
    arrays: Callable[[LayerTrace], dict[str, np.ndarray]],
    label: str,
    title: str,
    bounded: bool = False,
) -> Figure:
    """Draw a panel for the start and one for now, with a curve for each array of each layer, labelled by its key."""
    found = as_diagnosis(run)
    made, axes = figure(1, 2, size=(10, 4.2))
    named: list[tuple[str, np.ndarray]] = []
    for ax, trace, when in zip(axes, (found.start_trace, found.end_trace), ("step 0", "now"), strict=True):
        with np.errstate(invalid="ignore", over="ignore"):
            named = [pair for layer in layers(trace) for pair in arrays(layer).items()]
        for place, i in enumerate(ends(len(named), MAX_LINES)):
            name, array = named[i]
            finite = array[np.isfinite(array)].astype(np.float64)  # a diverging training has infinite values
            if not finite.size:
                continue
            density, edges = np.histogram(finite, BINS, density=True)
            colour, style = COLOURS[place % len(COLOURS)], LINES[place % len(LINES)]
            ax.plot(*smoothed(density, edges, bounded), style, color=colour, linewidth=1.2, label=name)
        ax.set_xlabel(label)
        ax.set_ylabel("density")
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.ticklabel_format(scilimits=(-3, 4))
        ax.set_title(when, fontsize=10)
        ax.set_ylim(0, 1.3 * max([np.asarray(line.get_ydata()).max() for line in ax.lines], default=1.0))
        legend(ax)
    headline(made, found.run.model.title, title + of_ends(len(named), MAX_LINES))
    return made


def smoothed(density: np.ndarray, edges: np.ndarray, bounded: bool) -> tuple[np.ndarray, np.ndarray]:
    """Smooth a histogram (BINS,) with a Gaussian kernel; return points of the curve, x (N,) and density (N,).

    The area stays: what would be beyond an end of bounded values is reflected there; otherwise the curve is longer.
    """
    reach = np.arange(-3 * SMOOTHING, 3 * SMOOTHING + 1)
    kernel = np.exp(-((reach / SMOOTHING) ** 2) / 2)
    width, beyond = edges[1] - edges[0], len(reach) // 2
    padded = np.pad(density, beyond, "symmetric") if bounded else np.pad(density, 2 * beyond)
    curve = np.convolve(padded, kernel / kernel.sum(), "valid")
    first = edges[0] + width / 2 - (0 if bounded else beyond * width)
    return first + width * np.arange(len(curve)), curve
