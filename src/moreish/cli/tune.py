"""Search for the options that give the lowest loss on val.

Trains one trial after another: first the model's defaults, then options that Optuna suggests (TPE). Trials that fall
behind are stopped early. The folder keeps the run of the best trial, a record of all trials and a picture. Options that
you give are fixed; the other sizes and rates are searched. Run it again to continue the study, or start it several
times at once to share the work. Test words are not used.

Examples:
  moreish tune names --model mlp --trials 50
  moreish tune names --model wavenet --epochs 10 --out runs/search
"""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from ..corpus import words_of
from ..training.tuning import ended_well
from ..training.tuning import tune as tune_options
from .arguments import ModelArguments, ModelName, TrainArguments
from .fields import Flat, ListArguments, ListName, given_options
from .request import folder_of
from .terminal import announce_work, print_json, print_table, print_text, say
from .values import Flag, WholeNumber

if TYPE_CHECKING:
    from optuna import Study
    from optuna.trial import FrozenTrial


def tune(
    file: ListName | None = None,
    /,
    *,
    model: ModelName = "mlp",
    out: Path | None = None,
    trials: WholeNumber = 30,
    unit: Literal["nats", "bits"] = "nats",
    json: Flag = False,
    list_options: Annotated[ListArguments, Flat] = ListArguments(),  # pyright: ignore[reportInvalidTypeForm]
    model_options: Annotated[ModelArguments, Flat] = ModelArguments(),  # pyright: ignore[reportInvalidTypeForm]
    train_options: Annotated[TrainArguments, Flat] = TrainArguments(),  # pyright: ignore[reportInvalidTypeForm]
) -> None:
    """Run `moreish tune`.

    Parameters
    ----------
    file
        A word list, as for train [default: names].
    model
        The model to tune; `moreish models` lists them.
    out
        Folder of the study; one that exists is continued [default: runs/LIST-MODEL-study].
    trials
        Total number of trials in the study, earlier ones included.
    unit
        Unit of losses in the picture.
    json
        Print JSON: {"run": folder, "loss": {"val": ...}, "options": {...}, "trials": [{"number", "state", "val",
        "seconds", "parameters", "options"}, ...]}.
    """
    announce_work()
    folder = out or folder_of(file, f"{model}-study")
    fixed = {**given_options(model_options), **given_options(train_options)}

    def show(study: "Study", trial: "FrozenTrial") -> None:
        state = f"val {trial.value:.4f}" if trial.state.name == "COMPLETE" else trial.state.name.lower()
        seconds = trial.duration.total_seconds() if trial.duration else 0.0
        say(f"trial-{trial.number:<3}  {state:<10}  {seconds:6.1f} s  {shown(trial.params)}")

    found = tune_options(
        words_of(file, **given_options(list_options)), model, out=folder, trials=trials, on_trial=show, **fixed
    )
    best = found.study.best_trial
    picture = folder / "study.png"
    from ..plots import plot_study
    from ..plots.style import save

    save(plot_study(found.study, unit, title=found.run.model.title), picture)
    if json:
        print_json(
            {
                "run": str(found.run.path),
                "loss": {"val": best.value},
                "options": best.params,
                "trials": [row(trial) for trial in found.study.get_trials(deepcopy=False)],
            }
        )
        return
    lines = [
        (f"trial-{t.number}", f"{loss:.4f}", f"{t.user_attrs['parameters']:,}", shown(t.params))
        for loss, t in ended_well(found.study)[:5]
    ]
    print_table(["best trials", ">val", ">parameters", "options"], lines)
    print_text(f"\nthe best run is saved in {found.run.path}, and a picture of the study in {picture}")
    print_text(f"losses on all parts: {shlex.join(['moreish', 'eval', str(found.run.path)])}")


def row(trial: "FrozenTrial") -> dict[str, Any]:
    """Return a trial as a plain dictionary."""
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "val": trial.value if trial.state.name == "COMPLETE" else None,
        "seconds": trial.user_attrs.get("seconds"),
        "parameters": trial.user_attrs.get("parameters"),
        "options": trial.params,
    }


def shown(options: dict[str, Any]) -> str:
    """Return options as they are written on the command line."""
    written = {k: f"{v:.3g}" if isinstance(v, float) else v for k, v in options.items()}
    return " ".join(f"--{name.replace('_', '-')} {value}" for name, value in written.items())
