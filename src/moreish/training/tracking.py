"""Trackers, which follow a training in TensorBoard, a CSV file, trackio or wandb.

TRACKERS has those that have a name. The packages that they need are imported only when they are asked for.
"""

import csv
import dataclasses
import logging
import sys
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any, Protocol

from ..engine.torch.distributed import rank
from ..errors import InputError, missing, unknown
from ..files import write_atomically
from .fit import OnProgress
from .folder import check_inside
from .loop import Progress
from .run import Run

LOG = logging.getLogger("moreish")
WORDS = 10  # drawn at each point of the log
PROJECT = "moreish"  # default name of a project
CONNECT_SECONDS = 20  # for which a training waits for wandb


class Tracker(Protocol):
    """An object that follows a training.

    begin   called after the first steps
    at      called at each point of the log and each evaluation of val
    end     called at the end, also of a training that is stopped or fails

    If one of them raises an exception, the tracker is not called again, and the training goes on.
    """

    def begin(self, run: Run) -> None: ...

    def at(self, progress: Progress) -> None: ...

    def end(self, run: Run) -> None: ...


def numbers(at: Progress) -> dict[str, float]:
    """Return the losses in nats, the learning rate and other values of a point of the log, by name."""
    values = {"train": at.loss, "val": at.val, "lr": at.lr, **at.notes}
    return {name: float(value) for name, value in values.items() if value is not None}


def words(at: Progress) -> str:
    """Draw words from the model as it is, and return them with spaces between."""
    assert at.run is not None
    return " ".join(at.run.model.sample(WORDS, seed=at.run.options.seed))


def tensors(at: Progress) -> dict[str, Any]:
    """Return the weights by name at points at which --diagnostics makes statistics, and none elsewhere."""
    return {} if at.record is None or at.run is None else at.run.model.layout.views(at.run.model.params)


class CsvFile:
    """A tracker that writes a line for each point into a CSV file.

    A resumed training goes on in the same file; lines of steps that it makes again are replaced.
    """

    def __init__(self, where: str, folder: Path | None, resumed: bool):
        self.path = Path(where) if where else (folder or Path()) / "history.csv"
        if folder is not None and not where:
            check_inside(self.path, folder)
        self.columns = ["step", "train", "val", "lr"]
        self.rows: list[dict[str, Any]] | None = None  # of an earlier training, until the first point
        is_new_folder = folder is not None and not where and not resumed
        if self.path.exists() and not is_new_folder:
            if not resumed:
                raise InputError(f"{self.path} already exists: name another file, as in --track csv:FILE")
            with self.path.open(encoding="utf-8", errors="replace", newline="") as file:
                reader = csv.DictReader(file)
                if list(reader.fieldnames or [])[:4] != self.columns:
                    raise InputError(f"{self.path} is not a log of --track csv: name another file")
                self.rows, self.columns = list(reader), list(reader.fieldnames or [])

    def begin(self, run: Run) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.rows is None:
            self.rows = []

    def at(self, progress: Progress) -> None:
        row: dict[str, Any] = {"step": progress.step, **numbers(progress)}
        if progress.is_line:
            row["words"] = words(progress)
        new = [name for name in row if name not in self.columns]
        if self.rows is not None or new:
            self._write_whole(row, new)
        else:
            with self.path.open("a", encoding="utf-8", newline="") as file:
                csv.DictWriter(file, self.columns, restval="").writerow(row)

    def _write_whole(self, row: dict[str, Any], new: list[str]) -> None:
        """Write the file with more columns and one more row, without rows of later steps."""
        if self.rows is None:
            with self.path.open(encoding="utf-8", newline="") as file:
                self.rows = list(csv.DictReader(file))
        self.columns += new
        kept = [old for old in self.rows if (old["step"] or "").isdecimal() and int(old["step"]) < row["step"]]
        text = StringIO(newline="")
        writer = csv.DictWriter(text, self.columns, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows([*kept, row])
        write_atomically(self.path, text.getvalue().encode())
        self.rows = None

    def end(self, run: Run) -> None:
        pass


class TensorBoard:
    """A tracker that writes files for TensorBoard, by default into the run's folder.

    It writes in the thread of the training, because tensorboardX's own SummaryWriter blocks after its thread has failed
    to write. A resumed training writes a second file, which hides the steps of the first that are made again.
    """

    def __init__(self, where: str, folder: Path | None, resumed: bool):
        _package("tensorboardX", "tensorboard", "track")
        if not where and folder is None:
            raise InputError("the run has no folder: name one for TensorBoard, as in --track tensorboard:DIR")
        self.folder = Path(where) if where else folder or Path()
        self.file: Any = None

    def begin(self, run: Run) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)

    def at(self, progress: Progress) -> None:
        make, step = import_module("tensorboardX.summary"), progress.step
        if self.file is None:
            writing = import_module("tensorboardX.event_file_writer")
            # Names of files have the time in seconds, in which a training may also be stopped and resumed.
            self.file = writing.EventsWriter(str(self.folder / "events"), f".{time.time_ns()}")
            event = import_module("tensorboardX.proto.event_pb2")
            self._write(step, session_log=event.SessionLog(status=event.SessionLog.START))
        made = [make.scalar(name, value) for name, value in numbers(progress).items()]
        made += [make.histogram(name, weight, "auto") for name, weight in tensors(progress).items()]
        if progress.is_line:
            made.append(make.text("words", words(progress)))
        for summary in made:
            self._write(step, summary=summary)
        self.file.flush()

    def _write(self, step: int, **what: Any) -> None:
        event = import_module("tensorboardX.proto.event_pb2")
        self.file.write_event(event.Event(wall_time=time.time(), step=step, **what))

    def end(self, run: Run) -> None:
        if self.file is not None:
            self.file.close()


class Service:
    """A tracker for wandb, or for trackio, which has the same functions.

    A resumed training goes on in the run of trackio; in wandb it is another run of the same name and group.
    """

    def __init__(self, name: str, project: str, folder: Path | None, options: dict[str, Any]):
        self.package = _package(name, name, name)
        called = folder.resolve().name if folder else None
        self.options = {"project": project or PROJECT, "name": called, "group": called, **options}
        self.run: Any = None

    def begin(self, run: Run) -> None:
        options = {**dataclasses.asdict(run.model.config), **dataclasses.asdict(run.options)}
        config = {"model": run.model.name, **options, "data_sha256": run.corpus.data_hash}
        with redirect_stdout(sys.stderr):  # stdout has the results of a command
            self.run = self.package.init(config=config, **self.options)

    def at(self, progress: Progress) -> None:
        values: dict[str, Any] = dict(numbers(progress))
        values |= {name: self.package.Histogram(weight) for name, weight in tensors(progress).items()}
        if progress.is_line:
            values["words"] = words(progress)
        self.run.log(values, step=progress.step)

    def end(self, run: Run) -> None:
        with redirect_stdout(sys.stderr):
            self.run.finish()


def _wandb(where: str, folder: Path | None, resumed: bool) -> Tracker:
    # The progress bar needs stdout and stderr, which wandb would replace, and the training waits while wandb connects.
    return Service("wandb", where, folder, {"settings": {"console": "off", "init_timeout": CONNECT_SECONDS}})


def _trackio(where: str, folder: Path | None, resumed: bool) -> Tracker:
    return Service("trackio", where, folder, {"resume": "allow" if resumed else "never"})


# From what follows the colon, the folder of the run if it has one, and True for a resumed training.
TRACKERS: dict[str, Callable[[str, Path | None, bool], Tracker]] = {
    "tensorboard": TensorBoard,
    "csv": CsvFile,
    "trackio": _trackio,
    "wandb": _wandb,
}


def _package(name: str, tracker: str, extra: str) -> Any:
    """Import a package that a tracker needs. Raises InputError if it is not installed."""
    try:
        return import_module(name)
    except ImportError:
        raise missing(f"--track {tracker} needs the package {name}", extra) from None


@contextmanager
def tracking(
    track: str | Sequence[str | Tracker],
    on_progress: OnProgress | None,
    folder: str | Path | None = None,
    resumed: bool = False,
) -> Generator[OnProgress | None]:
    """Yield an `on_progress` that calls trackers too; at the end of the context they end.

    track   names in TRACKERS, such as csv or csv:FILE, and objects that are a Tracker
    folder  that of the run, if it has one

    Raises InputError for an unknown name, a package that is not installed, or a file that exists already.
    """
    if rank() or not track:  # of several processes, only one tracks
        yield on_progress
        return
    told = _Told(_trackers([track] if isinstance(track, str) else track, folder, resumed), on_progress)
    try:
        yield told
    finally:
        told.end()
    if told.run is None:
        LOG.warning("nothing was tracked: a model that is counted has no steps")


def _trackers(track: Sequence[str | Tracker], folder: str | Path | None, resumed: bool) -> list[tuple[str, Tracker]]:
    """Return trackers with their names."""
    found = list[tuple[str, Tracker]]()
    for one in track:
        if isinstance(one, str):
            name, _, where = one.partition(":")
            if name not in TRACKERS:
                raise unknown("tracker", name, TRACKERS)
            found.append((name, TRACKERS[name](where, None if folder is None else Path(folder), resumed)))
        else:
            found.append((type(one).__name__, one))
    return found


class _Told:
    """An `on_progress` that calls trackers before another one."""

    def __init__(self, trackers: list[tuple[str, Tracker]], then: OnProgress | None):
        self.trackers, self.then = trackers, then
        self.run: Run | None = None

    def __call__(self, at: Progress) -> None:
        assert at.run is not None
        if self.run is None:
            self._call("begin", at.run)
        self.run = at.run
        if at.is_line or at.val is not None or at.record is not None:
            self._call("at", at)
        if self.then is not None:
            self.then(at)

    def end(self) -> None:
        if self.run is not None:
            self._call("end", self.run)

    def _call(self, method: str, value: Run | Progress) -> None:
        """Call a method of each tracker. One that fails is dropped with a warning."""
        working = list[tuple[str, Tracker]]()
        for name, tracker in self.trackers:
            try:
                getattr(tracker, method)(value)
                working.append((name, tracker))
            except Exception as error:
                reason = (str(error).strip().splitlines() or [""])[0] or type(error).__name__
                LOG.warning(f"--track {name} stopped, and the training goes on without it: {reason}")
        self.trackers = working
