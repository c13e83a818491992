"""The thread that trains: it plays, pauses, makes one step, or starts anew, and takes snapshots for the pages."""

import logging
import math
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeVar

from ..errors import MoreishError
from ..training.loop import Diverged
from ..training.options import resolved
from ..training.prepare import Task
from ..training.run import Run
from .snapshot import Snapshot
from .training import REPORT_SECONDS, Training

UNWATCHED_SECONDS = 0.2  # between two reports, without a page
T = TypeVar("T")
log = logging.getLogger("moreish")


@dataclass(frozen=True)
class Status:
    """State of a training, as all pages see it.

    version     number of this status; it changes with every step and every command
    train, val  last losses in nats: the mean of the last batches, and of the val part
    rate        steps a second
    trouble     why the training has stopped; empty unless it failed
    waiting     what is compiled meanwhile; empty if nothing is
    losses      nats per token on the three parts, once the training has ended
    """

    version: int = 0
    training: int = 0
    step: int = 0
    steps: int = 0
    playing: bool = False
    ended: bool = False
    pace: float = 0.0
    train: float | None = None
    val: float | None = None
    lr: float | None = None
    seconds: float = 0.0
    rate: float | None = None
    trouble: str = ""
    waiting: str = ""
    losses: dict[str, float] | None = None

    def as_json(self) -> dict[str, Any]:
        """All values as a plain dictionary; a number that is not finite becomes None."""
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(self).items()}


class Trainer:
    """A thread that trains, and tells `on_change` when there is something new. All methods may be called from any
    thread.

    watchers    number of pages that look on: without any, a training that plays makes no snapshots
    """

    def __init__(self, on_change: Callable[[], object]):
        self._on_change, self._changed = on_change, threading.Condition()
        self._wanted: Callable[[], Training] | None = None  # makes the next training
        self._single = self._numbers = self._guests = 0
        self._advancing = False
        self._closed = False
        self.watchers = 0
        self.training: Training | None = None
        self.snapshot: Snapshot | None = None
        self.status = Status()
        self._thread = threading.Thread(target=self._work, name="lab-training", daemon=True)
        self._thread.start()

    def begin(self, task: Task, play: bool | None = None) -> int:
        """Start a training; return its number. It plays if `play` says so, or by default if the last one played or had
        ended."""
        return self._start(lambda number: Training.begin(number, task), play)

    def open(self, run: Run) -> int:
        """Show a run that was trained before; return the number of its training."""
        return self._start(lambda number: Training.opened(number, run), False)

    def _start(self, make: Callable[[int], Training], play: bool | None) -> int:
        with self._changed:
            self._numbers += 1
            number = self._numbers
            plays = play if play is not None else self.status.playing or self.status.ended
            self._wanted, self._single = (lambda: make(number)), 0
            self._tell(playing=plays)
            return number

    def play(self) -> None:
        """Train on to the end."""
        with self._changed:
            if not self.status.ended:
                self._tell(playing=True)

    def pause(self) -> None:
        """Make no more steps until told so."""
        with self._changed:
            self._single = 0
            self._tell(playing=False)

    def step(self) -> None:
        """Pause, and make one step."""
        with self._changed:
            if not self.status.ended:
                self._single = 1 if self.status.playing else self._single + 1
                self._tell(playing=False)

    def set_pace(self, steps_a_second: float) -> None:
        """Make at most so many steps a second; 0 for as many as possible."""
        with self._changed:
            self._tell(pace=steps_a_second)

    def wait_for(self, what: str) -> None:
        """Say what is being compiled; nothing if it is empty."""
        with self._changed:
            self._tell(waiting=what)

    def between_steps(self, work: Callable[[], T]) -> T:
        """Do some work between two stretches of steps: with more threads than cores at once, it would cost far more."""
        with self._changed:
            self._guests += 1
            self._changed.wait_for(lambda: not self._advancing)
        try:
            return work()
        finally:
            with self._changed:
                self._guests -= 1
                self._changed.notify_all()

    def watch(self, more: int) -> None:
        """Count a page more (1) or less (-1)."""
        with self._changed:
            self.watchers += more
            stale = self.snapshot is not None and self.snapshot.step != self.status.step
            if more > 0 and stale and not self.status.playing and self.training:
                self._take_snapshot(self.training)
            self._tell()

    def close(self) -> None:
        """End the thread, after the steps that it is making."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join(timeout=5)

    def _tell(self, **changes: Any) -> None:
        """Change the status; `_changed` is held."""
        self.status = replace(self.status, version=self.status.version + 1, **changes)
        self._changed.notify_all()
        self._on_change()

    def _work(self) -> None:
        due = 0.0
        while True:
            with self._changed:
                while not (self._closed or self._wanted or self._may_step()):
                    self._changed.wait()
                paced = self.status.pace and not (self._single or self._wanted or self._closed)
                if paced and (early := due - time.monotonic()) > 0:
                    self._changed.wait(early)
                    continue
                if self._guests and not (self._wanted or self._closed):
                    self._changed.wait()
                    continue
                if self._closed:
                    return
                self._advancing = self._wanted is None
                wanted, self._wanted = self._wanted, None
                single, pace = self._single > 0, self.status.pace
            if wanted is not None:
                self._begin(wanted)
                continue
            stretch = 1 if single else max(1, round(pace * REPORT_SECONDS)) if pace else 1 << 60
            due = time.monotonic() + (stretch / pace if pace else 0.0)
            self._advance(stretch, single)
            with self._changed:
                self._advancing = False
                self._changed.notify_all()

    def _may_step(self) -> bool:
        return bool(self.training and not self.status.ended and (self.status.playing or self._single))

    def _begin(self, make: Callable[[], Training]) -> None:
        """Make the next training; if that fails, the last one stays, paused."""
        try:
            training = make()
            losses = training.run.loss if training.loop is None else None
        except Exception as error:
            with self._changed:
                self._tell(playing=False, trouble=_trouble(error))
            return
        with self._changed:
            self.training = training
            self._take_snapshot(training)
            last = training.curve[-1] if training.curve else [0, 0.0, None, None]
            self._tell(
                training=training.number,
                step=training.step,
                steps=resolved(training.run.options.steps or 0),
                ended=training.ended,
                playing=self.status.playing and not training.ended,
                train=last[2],
                val=last[3],
                lr=training.run.options.lr,
                seconds=last[1],
                rate=None,
                trouble="",
                losses=losses,
            )

    def _advance(self, stretch: int, single: bool) -> None:
        training = self.training
        assert training is not None
        assert training.loop is not None
        training.loop.every = REPORT_SECONDS if self.watchers else UNWATCHED_SECONDS
        began = time.monotonic()
        try:
            at = training.advance(stretch)
        except Exception as error:
            training.ended = True
            with self._changed:
                made = len(error.losses) - 1 if isinstance(error, Diverged) else 0
                self._take_snapshot(training)
                self._tell(step=training.step + max(made, 0), ended=True, playing=False, trouble=_trouble(error))
            return
        with self._changed:
            if at is None:
                self._take_snapshot(training)
                self._tell(ended=True, playing=False)
            else:
                made = len(at.losses)
                self._single = max(0, self._single - single)
                if self.watchers or not self.status.playing:
                    self._take_snapshot(training)
                self._tell(
                    step=at.step,
                    train=float(at.losses.mean()),
                    val=self.status.val if at.val is None else at.val,
                    lr=at.lr,
                    seconds=training.loop.state.seconds,
                    rate=made / max(time.monotonic() - began, 1e-6),
                )
        if at is None:
            losses = training.run.loss  # of all words: it may take a moment
            with self._changed:
                if self.training is training:
                    self._tell(losses=losses)

    def _take_snapshot(self, training: Training) -> None:
        """Take a snapshot, before the status tells of it: who reads that finds this one, or a newer one."""
        run = training.run
        if run.model.layers:
            model = run.model.with_params(run.model.params.copy())
            run = replace(run, model=model, history=list(run.history))
        moments = training.loop.state.moments.copy() if training.loop and not training.ended else None
        version = self.status.version + 1
        self.snapshot = Snapshot(training.number, version, training.step, run, moments, training.task, training.bench)


def _trouble(error: Exception) -> str:
    """Return the message for an error that has stopped the training; one that nobody expected goes to the log too."""
    if isinstance(error, MemoryError):
        return "not enough memory: choose smaller sizes or a smaller batch"
    if not isinstance(error, MoreishError):
        log.error("the training failed", exc_info=error)
        return f"internal error ({type(error).__name__}): see the terminal of moreish lab"
    return str(error)
