"""What goes through the layers of a run on one batch: activations, gradients, saturated units; and the weights."""

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..analysis.diagnosis import traced
from ..engine.trace import Trace, Traced
from ..errors import InputError
from ..training.run import Run
from .style import COLOURS, figure, legend

BINS = 80
SHOWN = 6  # layers that a picture has images of, at most
IMAGE = (200, 400)  # examples and units of an image, at most
LINES = ("-", "--", ":", "-.")  # that a grey printer tells apart too


def hidden(trace: Trace) -> list[Traced]:
    """The activations of a trace; of a model that has none, its layers that put out anything."""
    return [layer for layer in trace.layers if layer.saturated is not None] or trace.layers


def plot_activations(run: Run) -> Figure:
    """Histograms of each activation's output, at the start and now. Raises InputError for a model without layers."""

    def named(layer: Traced) -> str:
        saturated, y = layer.saturated, layer.output
        share = "" if saturated is None else f", {saturated.mean():.0%} saturated"
        return f"{layer.name}: mean {y.mean():+.2f}, std {y.std():.2f}{share}"

    return _histograms(run, lambda layer: {named(layer): layer.output}, "output", "Activations")


def plot_gradients(run: Run) -> Figure:
    """Histograms of the gradient at each activation's output, at the start and now."""
    return _histograms(
        run,
        lambda layer: {f"{layer.name}: std {layer.gradient.std():.1e}": layer.gradient},
        "gradient of the loss (nats per unit of output)",
        "Gradients",
    )


def plot_weights(run: Run) -> Figure:
    """Histograms of each weight matrix, at the start and now."""

    def matrices(layer: Traced) -> dict[str, np.ndarray]:
        return {f"{name}: std {w.std():.3f}": w for name, w in layer.weights.items() if w.ndim == 2}

    return _histograms(run, matrices, "weight", "Weights", every=True)


def plot_saturation(run: Run) -> Figure:
    """Images of the activations, examples x units, white where saturated; dead units are named above."""
    run.model.need_layers("drawn so")
    traces = [traced(run, at_start=True), traced(run)]
    shown = [layer for layer in hidden(traces[1]) if layer.saturated is not None][:SHOWN]
    if not shown:
        raise InputError(f"a {run.model.name} has no activations that could saturate")
    made, axes = figure(len(shown), 2, size=(10, 0.6 + 2.2 * len(shown)))
    names = {layer.name for layer in shown}
    for column, (trace, when) in enumerate(zip(traces, ("step 0", "now"), strict=True)):
        for row, layer in enumerate(layer for layer in trace.layers if layer.name in names):
            show_saturation(axes[2 * row + column], layer, f"{when}: ")
    return made


def show_saturation(ax: Axes, layer: Traced, title: str) -> None:
    """Draw where an activation is saturated (white) on axes: examples downwards, units to the right."""
    saturated, dead = layer.saturated, layer.dead
    assert saturated is not None
    assert dead is not None
    image = saturated.reshape(-1, saturated.shape[-1])[: IMAGE[0], : IMAGE[1]]
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    ax.set_xlabel("unit")
    ax.set_ylabel("example and position" if saturated.ndim > 2 else "example")
    numbers = np.flatnonzero(dead)
    named = ", ".join(map(str, numbers[:8])) + (", ..." if len(numbers) > 8 else "")
    which = f"dead: {len(numbers)} ({named})" if len(numbers) else "none dead"
    units = f" (of {len(dead)} units {IMAGE[1]} are shown)" if len(dead) > IMAGE[1] else ""
    ax.set_title(f"{title}{layer.name}, {saturated.mean():.0%} saturated, {which}{units}", fontsize=9)


def _histograms(
    run: Run, values: Callable[[Traced], dict[str, np.ndarray]], label: str, title: str, every: bool = False
) -> Figure:
    """A panel for the start and one for now, with a curve for each array that `values` gives by name."""
    run.model.need_layers("drawn so")
    made, axes = figure(1, 2, size=(10, 4.2))
    for ax, at_start in zip(axes, (True, False), strict=True):
        trace = traced(run, at_start=at_start)
        i = 0
        for layer in trace.layers if every else hidden(trace):
            with np.errstate(invalid="ignore", over="ignore"):
                arrays = values(layer)
            for name, array in arrays.items():
                finite = array[np.isfinite(array)].astype(np.float64)  # a training that breaks down has others too
                if not finite.size:
                    continue
                density, edges = np.histogram(finite, BINS, density=True)
                colour, style = COLOURS[i % len(COLOURS)], LINES[i % len(LINES)]
                middle = (edges[1:] + edges[:-1]) / 2
                ax.plot(middle, density, style, color=colour, linewidth=1.2, label=name)
                i += 1
        ax.set_xlabel(label)
        ax.set_ylabel("density")
        ax.set_title("step 0" if at_start else "now", fontsize=10)
        legend(ax)
    made.suptitle(f"{title} of {run.model.name}", fontsize=11)
    return made
