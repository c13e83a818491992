"""Ensembles: several models trained on the same words, one after another, and mixed into one run.

While it is trained, the folder of the run has

plan.json   the models and options of its members, and how they are mixed
members/N   the run of member N, once it has begun

It loads as the mixture of the members so far. At the end, the mixture takes the place of both.
"""

import dataclasses
import json
import logging
import math
import shlex
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..corpus import Corpus
from ..engine.torch.distributed import rank
from ..errors import InputError
from ..files import alone_in, remove, write_atomically
from .checkpoint import damaged
from .fit import OnProgress, Rescue, clock, fit, go_on
from .folder import BEGINNING, CONFIG, MEMBERS, MODEL, PLAN, free_folder, new_folder
from .loading import load
from .loop import Progress
from .mixing import mix
from .prepare import Task, prepare
from .run import Run
from .saving import model_bytes, save_elsewhere, taken_away, write_folder, written

LOG = logging.getLogger("moreish")
WEIGHTS = ("equal", "fitted", "by context")


@dataclass(frozen=True)
class Member:
    """A model of an ensemble: its name, and the options of the model and of its training."""

    model: str
    options: dict[str, Any]


@dataclass(frozen=True)
class Plan:
    """An ensemble to train.

    weights of the mixture, one of WEIGHTS: equal, or fitted on val, and then perhaps by the context
    most    tokens of val to evaluate in training; None for all
    """

    members: tuple[Member, ...]
    weights: str = "fitted"
    most: int | None = None

    def to_bytes(self) -> bytes:
        return (json.dumps(dataclasses.asdict(self), indent=2) + "\n").encode()


def of_seeds(model: str, options: dict[str, Any], n: int, seed: int) -> tuple[Member, ...]:
    """Return n members that differ in their seed: seed, seed + 1, ..."""
    return tuple(Member(model, {**options, "seed": seed + number}) for number in range(n))


def train_members(
    plan: Plan,
    corpus: Corpus,
    *,
    out: str | Path | None = None,
    on_progress: OnProgress | None = None,
    progress: bool | None = None,
    deadline: float = math.inf,
) -> Run:
    """Train the members of a plan on a corpus, in order, and return the run of their mixture.

    on_progress counts the steps of all members, and has one line for each of several nets. After the deadline, by
    `fit.clock`, no further step or member begins. Ctrl-C saves and raises KeyboardInterrupt.
    """
    tasks = [prepare(corpus, member.model, member.options) for member in plan.members]
    if out is None or rank():
        return _train(plan, tasks, None, on_progress, progress, deadline)
    folder = Path(out)
    with new_folder(folder) as is_there:
        write_atomically(folder / PLAN, plan.to_bytes())
        return _train(plan, tasks, folder, on_progress, progress, deadline, is_there)


def resume_members(folder: Path, *, on_progress: OnProgress | None = None, progress: bool | None = None) -> Run:
    """Train what is left of a stopped ensemble. Raises InputError if its folder is damaged."""
    plan, begun = _read_plan(folder), _begun(folder)
    if not begun:
        raise damaged(folder, PLAN, "no member has begun")
    corpus = load(begun[0]).corpus
    try:
        tasks = [prepare(corpus, member.model, member.options) for member in plan.members]
    except InputError as error:
        raise damaged(folder, PLAN, error) from None
    with alone_in(folder) as is_there:
        return _train(plan, tasks, folder, on_progress, progress, math.inf, is_there)


def so_far(folder: Path) -> Run:
    """Return the mixture of the members of an unfinished ensemble, with the best weights so far.

    Raises InputError if the folder is damaged.
    """
    plan, begun = _read_plan(folder), _begun(folder)
    if not begun:
        raise damaged(folder, PLAN, "no member has begun")
    runs = [load(member) for member in begun]
    trained = [run for run in runs if not run.options.steps or any(line["step"] for line in run.history)]
    run = _mixed(trained or runs[:1], plan.weights if len(trained) == len(plan.members) else "fitted")
    run.path = folder
    return run


def _train(
    plan: Plan,
    tasks: Sequence[Task],
    folder: Path | None,
    on_progress: OnProgress | None,
    progress: bool | None,
    deadline: float,
    is_there: Callable[[], bool] = lambda: True,
) -> Run:
    """Train or load each member, and mix them; is_there tells if the folder is still there."""
    steps = [task.options.steps or 0 for task in tasks]
    several = sum(task.batches is not None for task in tasks) > 1
    runs: list[Run] = []
    for number, task in enumerate(tasks):
        if runs and clock() > deadline:
            LOG.info(f"the time was over after {number} of {len(tasks)} models")
            break
        before = sum(steps[:number])

        def tell(at: Progress, before: int = before) -> None:
            if on_progress is not None:
                line = at.is_line and (not several or at.step == at.steps)
                on_progress(dataclasses.replace(at, step=before + at.step, steps=sum(steps), is_line=line))

        def rescue(save: Callable[[Path], None] | None = None) -> Path:
            assert folder is not None
            return _save_elsewhere(plan, runs, folder, save)

        shared: dict[str, Any] = {"on_progress": tell, "progress": progress, "most": plan.most}
        shared["rescue"] = Rescue(is_there, rescue)
        own = None if folder is None else folder / MEMBERS / str(number)
        try:
            if own is not None and (own / MODEL).exists():
                runs.append(load(own))
            elif own is not None and (own / CONFIG).exists():
                runs.append(go_on(own, **shared))
            else:
                if own is not None:
                    shutil.rmtree(own, ignore_errors=True)  # of a member that had no time to begin
                counted = task.batches is None  # without the folder, which may be taken away meanwhile
                runs.append(fit(task, out=None if counted else own, deadline=deadline, **shared))
                if own is not None and counted and is_there():
                    runs[-1].save(own)
        except KeyboardInterrupt:
            if folder is not None and runs and not is_there():
                raise taken_away(folder, rescue()) from None
            saved = folder is not None and is_there() and _begun(folder)
            command = f" and saved; continue with: moreish train --resume {shlex.quote(str(folder))}"
            raise KeyboardInterrupt(f"stopped{command if saved else ''}") from None
        if folder is not None and number + 1 < len(tasks) and (runs[-1].path is None or not is_there()):
            raise taken_away(folder, rescue())
    run = _mixed(runs, plan.weights)
    if folder is not None and not written(lambda folder: _end(run, folder), folder, is_there):
        save_elsewhere(run, folder)
    return run


def _end(run: Run, folder: Path) -> None:
    """Write the mixture in place of the plan and the members."""
    write_folder(run, folder, MODEL, model_bytes(run.model))
    remove(folder / PLAN, folder / BEGINNING)
    shutil.rmtree(folder / MEMBERS, ignore_errors=True)


def _save_elsewhere(plan: Plan, runs: Sequence[Run], lost: Path, save: Callable[[Path], None] | None) -> Path:
    """Save an unfinished ensemble in another folder, because somebody took its own away; return that folder.

    runs    the members that are trained
    save    saves the one that is being trained in the folder that it gets
    """
    folder = free_folder(lost)
    with new_folder(folder):
        write_atomically(folder / PLAN, plan.to_bytes())
        for number, run in enumerate(runs):
            run.save(folder / MEMBERS / str(number))
        if save is not None:
            save(folder / MEMBERS / str(len(runs)))
    return folder


def _mixed(runs: Sequence[Run], weights: str) -> Run:
    """Return the mixture of runs, with the seed of the first; a single run is its own mixture."""
    if len(runs) == 1:
        return dataclasses.replace(runs[0], path=None)
    run = mix(runs, equal=weights == "equal", by_context=weights == "by context")
    run.options = dataclasses.replace(run.options, seed=runs[0].options.seed)
    return run


def _begun(folder: Path) -> list[Path]:
    """Return the folders of the members that have begun, in order."""
    begun = (config.parent for config in (folder / MEMBERS).glob(f"*/{CONFIG}") if config.parent.name.isdecimal())
    return sorted(begun, key=lambda path: int(path.name))


def _read_plan(folder: Path) -> Plan:
    """Read the plan of an unfinished ensemble. Raises InputError if it is damaged."""
    try:
        stored = json.loads((folder / PLAN).read_text(encoding="utf-8"))
        members = tuple(Member(str(member["model"]), dict(member["options"])) for member in stored["members"])
        if not members:
            raise ValueError("it has no members")
        most = stored["most"]
        if not (most is None or (type(most) is int and most > 0)):
            raise ValueError(f"most is {most!r}")
        if stored["weights"] not in WEIGHTS:
            raise ValueError(f"weights is {stored['weights']!r}")
        return Plan(members, stored["weights"], most)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise damaged(folder, PLAN, error) from None
