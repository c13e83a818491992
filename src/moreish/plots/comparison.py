"""Picture of a comparison: losses against training time and size."""

from matplotlib.figure import Figure

from ..analysis.comparison import Comparison
from .style import COLOURS, GREY, GUIDE, MARKERS, Unit, figure, headline, nats_in, plain, spread, value_axis


def plot_comparison(found: Comparison, part: str = "val", unit: Unit = "nats", *, title: str = "") -> Figure:
    """Draw the loss of each run on a part against seconds and parameters, with a line for the n-gram.

    title   names the list, at the beginning of the title
    """
    nats = nats_in(unit)
    tall = max(4.0, 0.22 * len(found.rows) + 1)
    made, axes = figure(1, 2, size=(10, tall), sharey=True)
    models = sorted({row.model for row in found.rows})
    kinds = {name: (COLOURS[i % len(COLOURS)], MARKERS[i % len(MARKERS)]) for i, name in enumerate(models)}
    for ax, name in zip(axes, ("seconds", "parameters"), strict=True):
        for row in found.rows:
            x, y, (colour, marker) = getattr(row, name), row.loss[part] / nats, kinds[row.model]
            if x is None:
                continue
            low, high = (end / nats for end in row.interval[part] or 2 * (row.loss[part],))
            ax.errorbar([x], [y], [[y - low], [high - y]], color=colour, marker=marker, linewidth=1, label=row.name)
        value_axis(ax, [x for row in found.rows if (x := getattr(row, name))])
        ax.set_xlabel({"seconds": "seconds to train", "parameters": "parameters, or numbers counted"}[name])
        ax.grid(alpha=0.25)
        ax.axhline(found.row(found.baseline).loss[part] / nats, **GUIDE, label=f"{found.baseline} (baseline)")
    axes[0].set_ylabel(f"{part} loss ({unit} per token), 95% interval")
    # The names are on the right, at the heights of the points, moved apart where they overlap.
    low, high = axes[1].get_ylim()
    heights = [row.loss[part] / nats for row in found.rows]
    beside = axes[1].get_yaxis_transform()
    for row, height, shown in zip(found.rows, heights, spread(heights, (high - low) / tall / 4), strict=True):
        colour, marker = kinds[row.model]
        axes[1].plot([1.0, 1.1], [height, shown], color=GREY, linewidth=0.5, transform=beside, clip_on=False)
        axes[1].plot([1.12], [shown], color=colour, marker=marker, markersize=4, transform=beside, clip_on=False)
        axes[1].text(1.15, shown, plain(row.name), fontsize=8, va="center", transform=beside)
    axes[1].set_ylim(low, high)
    headline(made, title, f"loss on {part} against time and size; the dashed line is the n-gram")
    return made
