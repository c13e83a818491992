"""Hyperparameter search: train one trial after another and compare them by val loss.

A study is a folder with study.journal, Optuna's record of all trials, and trial-N, the run of the best trial so far.
Several processes may work on the same folder at a time, and a later process continues the study. Test words are not
used.
"""

import dataclasses
import shutil
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..corpus import Corpus
from ..display.shown import Shown, Table, more
from ..errors import InputError, MoreishError, missing
from ..evaluation import evaluate
from ..models import CountConfig, ModelConfig
from .fit import count, finish, first_state
from .loading import load
from .loop import EVALUATIONS, Diverged, Loop
from .options import TrainOptions
from .prepare import engine_of, prepare
from .run import Run
from .watching import SearchView

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.trial import FrozenTrial

    from .journal import Journal

JOURNAL, NAME = "study.journal", "moreish"
RATES = {"lr": (1 / 8, 8.0), "weight_decay": (1 / 10, 30.0)}  # search ranges, in multiples of the defaults
WARM_UP = 8  # evaluations (of EVALUATIONS) before a trial may be pruned: a high learning rate takes longer to pay off
BEST_SHOWN = 5  # trials

Space = dict[str, tuple[float, float] | list[Any]]


@dataclasses.dataclass(frozen=True, repr=False)
class Tuned(Shown):
    """A study and the run of its best trial. `study` is Optuna's own object."""

    study: "Study"
    run: Run

    def _table(self) -> Table:
        ended = ended_well(self.study)
        rows = [
            [trial.number, f"{val:.4f}", ", ".join(f"{name} {_short(x)}" for name, x in trial.params.items())]
            for val, trial in ended[:BEST_SHOWN]
        ]
        title = f"Study of {len(self.study.get_trials(deepcopy=False)):,} trials, the best first"
        notes = [*more(len(ended), BEST_SHOWN), f"the best run is in {self.run.path}"]
        return Table(title, rows, [">trial", ">val (nats)", "options"], notes)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def ended_well(study: "Study") -> list[tuple[float, "FrozenTrial"]]:
    """Return the finished trials, each with its val loss in nats, best first."""
    trials = study.get_trials(deepcopy=False)
    found = [(t.value, t) for t in trials if t.state.name == "COMPLETE" and t.value is not None]
    return sorted(found, key=lambda pair: pair[0])


def _need_optuna() -> None:
    """Raise InputError if Optuna is missing."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "IProgress not found")  # of tqdm, in a notebook without widgets
            import optuna  # noqa: F401 # pyright: ignore[reportUnusedImport]
    except ImportError:
        raise missing("tuning needs Optuna", "tune") from None


def space_of(config: type[ModelConfig], defaults: TrainOptions, fixed: Iterable[str]) -> Space:
    """Return the search space: for each option a list of values, or a range that is searched on the log scale.

    config      its fields say what is searched; fixed ones are left out
    defaults    resolved options: rates are searched around them
    """
    fields = dataclasses.fields(config)
    space: Space = {f.name: f.metadata["search"] for f in fields if f.metadata["search"]}
    if not issubclass(config, CountConfig):
        for name, (low, high) in RATES.items():
            if (default := getattr(defaults, name)) > 0:
                space[name] = (low * default, high * default)
    return {name: values for name, values in space.items() if name not in set(fixed)}


def tune(
    words: Iterable[str] | Corpus,
    model: str = "mlp",
    *,
    out: str | Path,
    trials: int = 30,
    on_trial: Callable[["Study", "FrozenTrial"], None] | None = None,
    progress: bool | None = None,
    **fixed: Any,
) -> Tuned:
    """Search for the options with the lowest val loss, until the study in the folder `out` has `trials` trials.

    fixed       options of `train` that are not searched; the seed is used for the search too
    on_trial    called after each trial
    progress    show the trials while they run; by default in a notebook only

    The first trial uses the model's defaults. A trial is pruned if it is worse than the median of the others at the
    same point of the training. Raises InputError if Optuna is missing, if the folder holds something else or another
    study, or if no option is left to search; otherwise as `train`. Ctrl-C raises KeyboardInterrupt; finished trials are
    kept.
    """
    _need_optuna()
    if trials < 1:
        raise InputError(f"the number of trials is {trials}: it must be at least 1")
    task = prepare(words, model, fixed)
    config, options = task.config, task.options
    space = space_of(type(config), options, fixed)
    if not space:
        raise InputError(f"no option of model {model} is left to search: give fewer options")
    defaults = {name: getattr(config if hasattr(config, name) else options, name) for name in space}
    search = _Search(task.corpus, model, fixed, space, defaults, Path(out))
    with SearchView(model, trials, progress) as view:
        search.go(options.seed, trials, [view, *([on_trial] if on_trial else [])])
    return Tuned(search.study, search.best())


class _Search:
    """A study, as one process works on it."""

    def __init__(
        self, corpus: Corpus, model: str, fixed: dict[str, Any], space: Space, defaults: dict[str, Any], folder: Path
    ):
        self.corpus, self.model, self.fixed, self.space, self.folder = corpus, model, fixed, space, folder
        self.defaults = defaults
        self.about = {
            "model": model,
            "data_sha256": corpus.data_hash,
            "split": [corpus.split, corpus.split_seed],
            "fixed": fixed,
            "space": {name: list(values) for name, values in space.items()},
        }
        self.study: Study
        self.journal: Journal

    def go(self, seed: int, trials: int, on_trial: Iterable[Callable[["Study", "FrozenTrial"], None]]) -> None:
        import optuna
        from optuna.trial import TrialState

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._open(seed)
        ended = (TrialState.COMPLETE, TrialState.PRUNED)
        if len(self.study.get_trials(deepcopy=False, states=ended)) >= trials:
            return
        last = optuna.study.MaxTrialsCallback(trials, states=ended)
        callbacks = [self._clear, *on_trial, last]
        try:
            self.study.optimize(self._trial, callbacks=callbacks)
        except BaseException as error:
            if self.journal.error is not None:
                raise self.journal.error from None
            if KeyboardInterrupt in (type(error), type(error.__context__)):  # Optuna may replace it by another error
                raise KeyboardInterrupt(
                    f"stopped; the study is saved in {self.folder}: the same command continues it"
                ) from None
            raise

    def _open(self, seed: int) -> None:
        """Create the study, or join it if it exists."""
        import optuna

        from .journal import Journal

        path = self.folder / JOURNAL
        if self.folder.exists() and not path.exists() and (not self.folder.is_dir() or any(self.folder.iterdir())):
            raise InputError(f"{self.folder} already exists and holds no study: choose another folder (--out)")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.journal = Journal(path)
        except OSError as error:
            what = f"{path}: cannot be read" if path.exists() else f"{self.folder}: cannot be created"
            raise InputError(f"{what} ({error.strerror}): choose another folder (--out)") from None
        try:
            storage = optuna.storages.JournalStorage(self.journal)
        except MoreishError:
            raise
        except Exception as error:  # Optuna checks nothing that it reads
            raise self.journal.damaged(self.journal.line, repr(error)) from None
        pruner = optuna.pruners.MedianPruner(n_warmup_steps=WARM_UP)
        try:
            # Only the process that creates a study uses the seed: one that joins it must not sample the same values.
            self.study = optuna.create_study(
                storage=storage, study_name=NAME, sampler=optuna.samplers.TPESampler(seed=seed), pruner=pruner
            )
            self.study.set_user_attr("about", self.about)
        except optuna.exceptions.DuplicatedStudyError:
            self.study = optuna.load_study(
                storage=storage, study_name=NAME, sampler=optuna.samplers.TPESampler(), pruner=pruner
            )
            theirs = self.study.user_attrs.get("about", self.about)
            for name, value in self.about.items():
                if theirs.get(name) != value:
                    raise InputError(
                        f"{self.folder} holds a study whose {name.replace('_', ' ')} is {theirs.get(name)}, "
                        f"not {value}: choose another folder (--out)"
                    ) from None
        tried = [t for t in self.study.get_trials(deepcopy=False) if t.state.name != "FAIL"]
        if not any(t.system_attrs.get("fixed_params", t.params) == self.defaults for t in tried):
            self.study.enqueue_trial(self.defaults)

    def _trial(self, trial: "Trial") -> float:
        """Train with the options of a trial and return the val loss in nats."""
        import optuna

        options = {name: self._suggest(trial, name, values) for name, values in self.space.items()}
        try:
            task = prepare(self.corpus, self.model, {**self.fixed, **options})
        except InputError:  # each of the options is allowed, but not all of them together
            raise optuna.TrialPruned from None
        if task.batches is None:
            run = count(task)
        else:
            run = task.start()
            state = first_state(run)
            try:
                for at in Loop(run, state, task.batches, engine_of(run)):
                    if at.val is not None:
                        trial.report(at.val, round(EVALUATIONS * at.step / at.steps))
                        if trial.should_prune():
                            raise optuna.TrialPruned
            except Diverged:
                raise optuna.TrialPruned from None
            finish(run, state)
        val = evaluate(run.model, self.corpus, ["val"]).loss["val"]
        trial.set_user_attr("seconds", run.seconds)
        trial.set_user_attr("parameters", run.model.n_parameters)
        so_far = ended_well(self.study)
        self.journal.check_there()
        if not so_far or val <= so_far[0][0]:  # ties are ranked by number, not by which ended first
            run.save(self.folder / f"trial-{trial.number}")
        return val

    def _suggest(self, trial: "Trial", name: str, values: tuple[float, float] | list[Any]) -> Any:
        if isinstance(values, list):
            return trial.suggest_categorical(name, values)
        low, high = values
        if isinstance(self.defaults[name], int):
            return trial.suggest_int(name, int(low), int(high), log=True)
        return trial.suggest_float(name, low, high, log=True)

    def _clear(self, study: "Study", last: "FrozenTrial") -> None:
        """Remove the runs of all trials but the best, whichever process trained them."""
        for _, trial in ended_well(self.study)[1:]:
            shutil.rmtree(self.folder / f"trial-{trial.number}", ignore_errors=True)

    def best(self) -> Run:
        """Return the run of the best trial. Raises InputError if no trial has finished."""
        while trials := ended_well(self.study):
            number = trials[0][1].number
            path = self.folder / f"trial-{number}"
            try:
                return load(path)
            except InputError:  # another process may just have found a better one and removed it
                if ended_well(self.study)[0][1].number != number:
                    continue
                if path.exists():
                    raise
                reason = f"{path}: the run of the best trial was removed"
                raise InputError(reason, "restore it from a copy, or choose another folder (--out)") from None
        raise InputError(f"{self.folder}: no trial has finished: allow more trials, or fix fewer options")
