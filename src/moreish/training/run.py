"""A run: a trained model, its corpus and the options of its training."""

from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..corpus import Corpus
from ..display.shown import SHOWN, Shown, Table, marked
from ..errors import WorkError
from ..evaluation import evaluate
from ..models.model import Model
from .folder import CONFIG, MODEL, state_of
from .options import TrainOptions
from .saving import begin_folder, model_bytes, write_config
from .starting import Start
from .teacher import Taught


@dataclass(repr=False)
class Run(Shown):
    """A trained or partly trained model, the corpus that it was trained on, and the options of its training.

    history     a dictionary for each point of the log; a model that is not trained by steps has one, with the seconds
    path        its folder, if it has one
    start       the weights that its training began with, if they come from another run
    folded      True if BatchNorm was folded into the other layers after the training
    pruned      of a pruned n-gram model: the cost below which entries were left out, in nats per token; else 0
    taught      of a distilled net: a note of its teacher
    stored      the config.json in its folder, as this process has read or written it last
    """

    model: Model
    corpus: Corpus
    options: TrainOptions
    history: list[dict[str, Any]] = field(default_factory=list)
    path: Path | None = None
    start: Start | None = None
    folded: bool = False
    taught: Taught | None = None
    pruned: float = 0.0
    stored: bytes = field(default=b"", repr=False, compare=False)

    def __post_init__(self):
        self.model.longest, self.model.corpus = int(self.corpus.words.lengths.max()), self.corpus

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self.__post_init__()

    def _table(self) -> Table:
        rows: list[tuple[str, object]] = [("corpus", repr(self.corpus))]
        if self.options.steps:
            begun = f", from {self.start.name}" if self.start else ""
            rows.append(("steps", f"{self.options.steps:,} of {self.options.batch_size or 'all'} examples{begun}"))
        if self.taught is not None:
            rows.append(("teacher", ", ".join(self.taught.runs)))
        if "loss" in vars(self):
            losses = ", ".join(f"{part} {loss:.4f}" for part, loss in self.loss.items())
            rows.append(("loss", f"{losses} nats per token"))
        elif vals := [(line["step"], line["val"]) for line in self.history if line.get("val") is not None]:
            rows.append(("val", f"{vals[-1][1]:.4f} nats per token, at step {vals[-1][0]:,}"))
        return Table(f"Run of {self.model!r}", [*rows, ("folder", self.path or "none")])

    def _repr_html_(self) -> str:
        """Return the run as HTML, with its losses, and some words that it draws."""
        _ = self.loss
        words = self.model.sample(SHOWN, seed=self.options.seed)
        rows = [
            ("corpus", f"{self.corpus.summary}, {self.corpus.split} split"),
            *self._table().rows[1:],
            ("words", marked(words, map(self.corpus.mark, words))),
        ]
        return Table(f"Run of {self.model.summary}", rows).html()

    @cached_property
    def loss(self) -> dict[str, float]:
        """Nats per token on train, val and test."""
        return evaluate(self.model, self.corpus).loss

    @property
    def first_params(self) -> np.ndarray:
        """The weights before the first step, flat (P,)."""
        return self.model.layout.initial(self.options.seed) if self.start is None else self.start.params.copy()

    @property
    def diverged(self) -> bool:
        """True if its training ended early because the loss was no longer a finite number."""
        return self.path is not None and state_of(self.path, self.history, self.options.steps) == "diverged"

    @property
    def seconds(self) -> float | None:
        """Time that training or counting took, evaluations on val included; None if it was not measured."""
        return self.history[-1].get("seconds") if self.history else None

    def save(self, path: str | Path) -> "Run":
        """Write the run into a folder that does not exist or is empty. Raises InputError otherwise."""
        begin_folder(self, path, MODEL, model_bytes(self.model))
        return self

    def keep_loss(self) -> None:
        """Write `loss` into the folder, for lists of runs. A folder that has changed or cannot be written stays."""
        if self.path is not None and self.loss:
            with suppress(WorkError, OSError):
                if (self.path / CONFIG).read_bytes() == self.stored:
                    write_config(self, self.path)
