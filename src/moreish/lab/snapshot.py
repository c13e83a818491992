"""A training as it stands after a step: what the pages of the lab look at while the training goes on."""

import threading
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..engine.protocol import Engine
from ..engine.trace import Tracer
from ..training.prepare import Task, engine_of
from ..training.run import Run

TRACED_EXAMPLES = 256


class Bench:
    """Tools and memory that all snapshots of one training share: an engine, a tracer, and what the views keep.

    The training has another engine, so that both run at the same time. Hold `lock` while using the tools here.
    """

    def __init__(self, run: Run, task: Task | None):
        self.run, self.task, self.lock = run, task, threading.RLock()
        self.kept: dict[str, Any] = {}  # by view
        run.model.check()  # makes its engine now, so that the models of all snapshots share it

    def with_guides(self, run: Run) -> Run:
        """Return the run of a snapshot with the n-grams that look ahead, which are counted once for all snapshots."""
        model = self.run.model
        with self.lock:
            for part in model.sampling_models():
                part.guide()
        return replace(run, model=model.with_params(run.model.params)) if model.layers else run

    @cached_property
    def engine(self) -> Engine:
        """An engine for the layers of the model."""
        return engine_of(self.run)

    @cached_property
    def tracer(self) -> Tracer:
        """A tracer of TRACED_EXAMPLES train examples. Raises InputError for a model without layers."""
        model = self.run.model
        model.need_layers()
        assert self.task is not None
        batches = self.task.need_steps()
        if not self.run.options.full_batch:
            batches = batches.of_size(min(TRACED_EXAMPLES, batches.n_examples))
        return Tracer(model.layers, model.columns, len(model.vocab), batches, TRACED_EXAMPLES)


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A training after a step.

    training    number of the training; one that starts anew has the next
    version     number of the snapshot
    step        steps made so far
    run         the run with a copy of its weights, and its history so far
    moments     a copy of the optimizer's state (see `optim`); None for a counted model and once the training has ended
    task        what is trained; None for a run that was opened and whose model is no net
    """

    training: int
    version: int
    step: int
    run: Run
    moments: np.ndarray | None = field(repr=False)
    task: Task | None = field(repr=False)
    bench: Bench = field(repr=False)
