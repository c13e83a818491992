"""The session of a lab: its lists, its settings, and the one training that all pages see."""

import re
import threading
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from ..corpus import BUNDLED, DOWNLOADS, Corpus, WordList, bundled
from ..corpus.describe import describe
from ..corpus.formats import ListOptions
from ..corpus.reading import parse_words
from ..display.compiling import Compiling, watchers
from ..errors import InputError, unknown
from ..evaluation import part_loss
from ..models import MODELS, ModelConfig
from ..options import Options
from ..training.fit import count
from ..training.folder import WORDS
from ..training.options import TrainOptions
from ..training.prepare import Task, prepare
from ..training.run import Run
from .controls import FIRST, OTHERS
from .trainer import Trainer

MAX_LISTS = 8  # of the pages' own; the oldest goes first
OF_SPLIT = ("split", "split_seed", "weight_power")
WHOLE = re.compile(r"\d{16,30}")
TRAINING = {f.name for f in fields(TrainOptions)}


@dataclass(frozen=True)
class Settings:
    """Settings of a training: a list by its name, a model, and the options that were given.

    run     name of the run that was opened and is shown; empty once something was trained on the page
    """

    list: str
    model: str
    options: dict[str, Any] = field(default_factory=dict)
    run: str = ""


class Session:
    """All that the pages of a lab share. Methods may be called from any thread.

    command     from a list, a model and options to the command line that trains the same
    folder      from a list and a model to a folder for a run that does not exist yet

    `on_change` is called when there is something new; it can be set at any time.
    """

    def __init__(
        self,
        *,
        command: Callable[[str | None, str, dict[str, Any]], str],
        folder: Callable[[str | None, str], Path],
    ):
        self.on_change: Callable[[], object] = lambda: None
        self._command, self._folder, self._lock = command, folder, threading.RLock()
        self.lists: dict[str, WordList] = {}
        self._files: dict[str, tuple[str | None, dict[str, Any]]] = {}  # of a list: its argument on the command line
        self._corpora: dict[tuple[Any, ...], Corpus] = {}
        self.baselines: dict[str, float] = {}  # val loss of the n-gram, by data hash
        self.settings = Settings("names", "mlp")
        self.task: Task | None = None
        self._repeats = True  # whether a command line trains the run that is open
        self.trainer = Trainer(lambda: self.on_change())
        watchers.append(self._compiling)

    def _compiling(self, at: Compiling) -> None:
        self.trainer.wait_for("" if at.ended else f"compiling {at.what}, only once on this machine")

    # Lists

    def words_of(self, name: str) -> WordList:
        """Return a list by its name. Raises InputError for an unknown one."""
        if name not in self.lists and name in BUNDLED:
            self.lists[name] = bundled(name)
            self._files[name] = (None if name == "names" else name, {})
        if name not in self.lists:
            raise unknown("list", name[:100], dict.fromkeys([*BUNDLED, *self.lists]))
        return self.lists[name]

    def add_list(self, words: WordList, file: str | None, options: dict[str, Any] | None = None) -> str:
        """Add a list that was read from a file with these options; return its name, which no other list has.

        file    None if no file of words can be named; then there is no command line
        """
        base, number = words.name or "words", 1
        with self._lock:
            while (name := base if number == 1 else f"{base} {number}") in (*BUNDLED, *self.lists):
                if _same(words, self.words_of(name)):
                    return name
                number += 1
            own = [other for other in self.lists if other not in BUNDLED and other != self.settings.list]
            for other in own[: max(0, len(own) - MAX_LISTS + 1)]:
                del self.lists[other]
                self._files.pop(other, None)
            self._corpora = {key: corpus for key, corpus in self._corpora.items() if key[0] in self.lists}
            self.lists[name] = words
            if file is not None:  # not to be taken for an option, or for a list of that name
                clear = file.startswith("-") or file in (*BUNDLED, *DOWNLOADS)
                self._files[name] = f"./{file}" if clear else file, options or {}
        return name

    def read_list(self, data: bytes, file: str, **options: str | None) -> dict[str, Any]:
        """Read the bytes of a file, add its words as a list, and describe it, as `moreish words` does. Raises
        InputError."""
        given = {name: value for name, value in options.items() if value}
        if data.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
            given["encoding"] = "utf-16"
        words = parse_words(data, file, ListOptions(**given))
        found = describe(words)
        Corpus(words)  # which raises InputError for too few words
        return {"name": self.add_list(words, file, given), **found}

    def _corpus(self, name: str, options: dict[str, Any]) -> Corpus:
        defaults = TrainOptions(**{k: options[k] for k in OF_SPLIT if k in options})
        key = (name, *(getattr(defaults, k) for k in OF_SPLIT))
        if key not in self._corpora:
            self._corpora[key] = Corpus(self.words_of(name), *key[1:])
        return self._corpora[key]

    # Training

    def configure(self, list: str, model: str, options: dict[str, Any], play: bool | None = None) -> int:
        """Start anew with these settings; return the number of the training. Raises InputError, and then changes
        nothing."""
        # A page sends whole numbers that JavaScript does not have as text.
        options = {k: int(v) if isinstance(v, str) and WHOLE.fullmatch(v) else v for k, v in options.items()}
        for name in sorted(TRAINING - {*FIRST, *OTHERS}):
            if name in options:
                raise InputError(f"--{name.replace('_', '-')} is no option of the lab: give it to moreish train")
        with self._lock:
            task = prepare(self._corpus(list, options), model, dict(options))
            self.settings, self.task = Settings(list, model, dict(options)), task
            return self.trainer.begin(task, play)

    def restart(self) -> int:
        """Start anew with the same settings."""
        s = self.settings
        return self.configure(s.list, s.model, s.options)

    def open(self, run: Run, name: str) -> int:
        """Show a run that was trained before; its list and options become the settings."""
        corpus, model = run.corpus, run.model
        words, file = corpus.words, None
        if run.path is not None and not words.has_columns:
            file = str(run.path / WORDS)
        listed = self.add_list(words, file)
        self._corpora[listed, corpus.split, corpus.split_seed, corpus.weight_power] = corpus
        named, options = "mlp", {}
        self._repeats = model.name in MODELS and not run.folded and not run.pruned
        self._repeats &= run.start is None and run.taught is None
        if model.name in MODELS and not run.folded:
            named, options = model.name, _given(run)
        self.settings, self.task = Settings(listed, named, options, name), None
        return self.trainer.open(run)

    def save(self) -> Path:
        """Save the training as it stands now in a new folder, and return that.

        Raises InputError before the first step, and for a training that has diverged.
        """
        snapshot, status = self.trainer.snapshot, self.trainer.status
        if status.trouble:
            raise InputError("this training has failed, and its weights are of no use: start anew")
        if snapshot is None or (snapshot.task and snapshot.task.batches is not None and not snapshot.step):
            raise InputError("there is nothing to save before the first step")
        run = replace(snapshot.run, path=None)
        if snapshot.step and snapshot.moments is not None:  # it has not come to its end
            val = part_loss(run.model.nll, run.corpus, "val")
            at = {"step": snapshot.step, "seconds": status.seconds, "lr": status.lr, "train": status.train, "val": val}
            history = [line for line in run.history if line["step"] < snapshot.step] + [{**at, "losses": []}]
            run = replace(run, options=replace(run.options, steps=snapshot.step), history=history)
        folder = self._folder(self._files.get(self.settings.list, (self.settings.list, {}))[0], run.model.name)
        run.save(folder)
        run.keep_loss()
        return folder

    def baseline(self) -> float | None:
        """Val loss of the n-gram with its default options on the list of the training, counted when first asked."""
        if self.task is not None:
            corpus = self.task.corpus
        elif self.trainer.training is not None:
            corpus = self.trainer.training.run.corpus
        else:
            return None
        if corpus.data_hash not in self.baselines:
            self.baselines[corpus.data_hash] = count(prepare(corpus, "ngram", {})).loss["val"]
        return self.baselines[corpus.data_hash]

    def facts(self) -> dict[str, Any]:
        """Describe the settings for a page: {"list", "model", "options", "run", "resolved", "command", "lists"}.

        resolved    the value of every option, those that the model has chosen included
        command     empty if no command line trains the same
        """
        s = self.settings
        values: dict[str, Any] = {}
        training = self.trainer.training
        if self.task is not None:
            values = _values(self.task.config) | _values(self.task.options)
            if self.task.batches is not None and "steps" not in s.options:
                o, n = self.task.options, self.task.batches.n_examples
                values["epochs"] = float(f"{(o.steps or 0) * (o.batch_size or n) / n:.3g}")
        elif training is not None:
            values = _values(training.run.model.config) | _values(training.run.options)
        known = s.list in self._files and (not s.run or self._repeats)
        file, of_list = self._files.get(s.list, (None, {}))
        return {
            "list": s.list,
            "model": s.model,
            "options": s.options,
            "run": s.run,
            "resolved": values,
            "command": self._command(file, s.model, {**of_list, **s.options}) if known else "",
            "lists": [*dict.fromkeys([*BUNDLED, *self.lists])],
        }

    def close(self) -> None:
        """End the training."""
        watchers.remove(self._compiling)
        self.trainer.close()


def _same(one: WordList, other: WordList) -> bool:
    """True if two lists have the same words, weights and labels."""

    def equal(a: np.ndarray | None, b: np.ndarray | None) -> bool:
        return a is b or (a is not None and b is not None and np.array_equal(a, b))

    return one.sha256 == other.sha256 and equal(one.weights, other.weights) and equal(one.labels, other.labels)


def _values(options: Options | ModelConfig) -> dict[str, Any]:
    return {k: v for k, v in vars(options).items() if not k.startswith("_")}


def _given(run: Run) -> dict[str, Any]:
    """The options of a run that differ from the defaults."""
    config, o = run.model.config, run.options
    given = {k: v for k, v in vars(config).items() if v != type(config).__dataclass_fields__[k].default}
    of_split = {k: getattr(o, k) for k in (*OF_SPLIT, "seed") if getattr(o, k) != getattr(TrainOptions(), k)}
    if o.steps is None:
        return given | of_split
    default = prepare(run.corpus, run.model.name, given | {"seed": o.seed}).options
    names = [name for name in (*FIRST, *OTHERS) if name not in (*OF_SPLIT, "epochs")]
    changed = {name: getattr(o, name) for name in names if getattr(o, name) != getattr(default, name)}
    if o.full_batch:
        changed.pop("batch_size", None)
    return given | of_split | changed
