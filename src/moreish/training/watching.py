"""Live views of a training and of a search for options."""

from typing import TYPE_CHECKING, Any

from ..display.live import Live
from .loop import Progress
from .run import Run

if TYPE_CHECKING:
    from optuna import Study


class TrainingView(Live):
    """A view of a training: call it with each `Progress`."""

    def __init__(self, run: Run, wanted: bool | None):
        super().__init__(f"Training {run.model.name}", wanted)

    def __call__(self, at: Progress) -> None:
        last = at.step == at.steps
        if not self.due and not (last and self.wanted):
            return
        assert at.run is not None
        lines = [line for line in at.run.history if line["step"]]
        curves = {
            part: [(line["step"], line[part]) for line in lines if line[part] is not None] for part in ("train", "val")
        }
        losses = ", ".join(f"{part} {points[-1][1]:.4f}" for part, points in curves.items() if points)
        made = f"{at.steps:,} steps" if last else f"{at.step:,} of {at.steps:,} steps"
        self.tell(f"{made}, {losses} nats per token" if losses else made, at.step / at.steps, curves)


class SearchView(Live):
    """A view of a search for options: call it after each trial."""

    def __init__(self, model: str, trials: int, wanted: bool | None):
        super().__init__(f"Tuning {model}", wanted)
        self.trials = trials

    def __call__(self, study: "Study", last: Any) -> None:
        ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
        values = [(trial.number, trial.value) for trial in ended if trial.value is not None]
        line = f"{len(ended)} of {self.trials} trials"
        if values:
            number, best = min(values, key=lambda pair: pair[1])
            line += f", best val {best:.4f} nats per token (trial {number})"
        self.tell(line, min(1.0, len(ended) / self.trials), {"val": values})
