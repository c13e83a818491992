"""Picture of a tuning study: its trials, and the loss against each option."""

import math
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure

from ..training.loop import EVALUATIONS
from ..training.tuning import ended_well
from .style import COLOURS, GREY, Unit, figure, headline, nats_in, value_axis

if TYPE_CHECKING:
    from optuna import Study


def plot_study(study: "Study", unit: Unit = "nats", *, title: str = "") -> Figure:
    """Draw the val losses of the trials in order, over the steps, and against each option that was searched.

    `title` names the list and the model. Raises ValueError if no trial has finished.
    """
    in_turn = sorted(ended_well(study), key=lambda pair: pair[1].number)
    nats = nats_in(unit)
    losses, ended = [loss / nats for loss, _ in in_turn], [trial for _, trial in in_turn]
    pruned = [t for t in study.get_trials(deepcopy=False) if t.state.name == "PRUNED"]
    best = ended[int(np.argmin(losses))]
    names = sorted({name for t in ended for name in t.params})
    columns = min(4, len(names) + 2)
    rows = math.ceil((len(names) + 2) / columns)
    made, axes = figure(rows, columns, size=(3.2 * columns, 2.9 * rows))
    for ax in axes:
        ax.set_ylabel(f"val loss ({unit} per token)")
    turn, course = axes[:2]
    numbers = [t.number for t in ended]
    turn.plot(numbers, losses, "o", color=COLOURS[0], markersize=4, label="trial")
    turn.step(numbers, np.minimum.accumulate(losses), color=COLOURS[1], where="post", label="best so far")
    # A pruned trial has no final loss: its mark is at the upper edge.
    top = max(losses)
    if pruned:
        turn.plot([t.number for t in pruned], [top] * len(pruned), "x", color=GREY, markersize=5, label="pruned")
    turn.set_xlabel("trial")
    value_axis(turn, [], whole=True)
    turn.legend(fontsize=7, frameon=False)
    for t in [*pruned, *ended]:
        is_best = t.number == best.number
        colour = COLOURS[1] if is_best else GREY if t in pruned else COLOURS[0]
        values = sorted(t.intermediate_values.items())
        course.plot(
            [100 * at / EVALUATIONS for at, _ in values],
            [loss / nats for _, loss in values],
            color=colour,
            linewidth=2 if is_best else 0.7,
            linestyle=":" if t in pruned else "-",
        )
    course.set_xlabel("percentage of the training")
    for ax, name in zip(axes[2:], names, strict=False):
        values = [t.params[name] for t in ended]
        if isinstance(values[0], str):
            ax.tick_params(axis="x", rotation=30)
        else:
            value_axis(ax, values, whole=isinstance(values[0], int))
        ax.scatter(values, losses, c=COLOURS[0], s=14, alpha=0.6)
        ax.scatter([best.params[name]], [min(losses)], c=COLOURS[1], marker="D", s=36)
        ax.set_xlabel(name.replace("_", "-"))
    for ax in axes[len(names) + 2 :]:
        ax.set_axis_off()
    dotted = ", dotted curves were pruned" if pruned else ""
    headline(made, title, f"val losses of the trials; a diamond is the best trial{dotted}")
    return made
