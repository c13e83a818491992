"""A run folder: a trained model with everything needed to sample, score, evaluate, or resume the training.

words.txt               the word list
columns.safetensors     the weights and labels of the words, if the list has any
history.jsonl           a line for each point of the log: step, seconds so far, lr, train and val loss in nats, some
                        batch losses since the last point, with --average the val losses of the weights and of their
                        average, and with --diagnostics the statistics of the layers
checkpoint.safetensors  the state of an unfinished training: see `Checkpoint`
teacher.safetensors     what an unfinished distillation learns from: see `Teacher`
ngram.safetensors       the n-gram inside a net whose training is unfinished
model.safetensors       the weights by name, once the training has ended
start.safetensors       the weights that the training began with, if they come from another run
config.json             model, options, vocabulary, split, data hash, versions
beginning.txt           says that a run begins here, until config.json is there

Every file is replaced as a whole, and config.json is written last. A folder that has a config.json is a run: it loads,
and it resumes if its training has not ended.
"""

import dataclasses
import json
import logging
import platform
import shlex
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from .._version import __version__
from ..corpus import Corpus, Vocab, WordList, written_words
from ..display.shown import SHOWN, Shown, Table, marked
from ..errors import InputError, WorkError
from ..evaluation import evaluate
from ..files import remove, write_atomically
from ..layers.jit import numba, numba_is_imported
from ..models import ALL_MODELS, Mixture, ModelConfig, NetConfig, ReaderConfig
from ..models.inside import NGramInside
from ..models.labels import Labels
from ..models.model import Model
from .checkpoint import CHECKPOINT, damaged, load_checkpoint
from .folder import (
    BEGINNING,
    COLUMNS,
    CONFIG,
    HISTORY,
    INSIDE,
    MODEL,
    PLAN,
    START,
    WORDS,
    check_files,
    check_free,
    instead_of,
    new_folder,
)
from .options import EARLIER, TrainOptions
from .starting import Start
from .teacher import TEACHER, Taught
from .tensors import stored_arrays

LOG = logging.getLogger("moreish")
NUMBER = int | float | None  # in a line of the history
FORMAT = 2  # of the folder; raised by a change that older versions cannot read


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


def begin_folder(run: Run, path: str | Path, name: str, data: bytes, teacher: bytes | None = None) -> None:
    """Make the folder of a run, with its weights in the file `name`: a checkpoint or the trained model.

    teacher     what a distillation learns from

    Raises InputError if the folder holds something else or cannot be created, and WorkError if it cannot be written. In
    that case nothing is left behind.
    """
    with new_folder(path):
        write_folder(run, Path(path), name, data, teacher)


def write_folder(run: Run, folder: Path, name: str, data: bytes, teacher: bytes | None = None) -> None:
    """Write all files of a run into a folder, config.json last. Raises WorkError if it cannot be written."""
    write_atomically(folder / WORDS, run.corpus.words.pieces())
    if run.corpus.words.has_columns:
        write_atomically(folder / COLUMNS, _columns_bytes(run.corpus.words))
    write_history(folder, run.history)
    write_atomically(folder / name, data)
    if teacher is not None:
        write_atomically(folder / TEACHER, teacher)
    if run.start is not None:
        write_atomically(folder / START, run.start.to_bytes(run.model.layout))
    if isinstance(run.model, NGramInside):
        write_atomically(folder / INSIDE, save_tensors(run.model.arrays))
    write_config(run, folder)
    run.path = folder


def save_elsewhere(run: Run, lost: Path) -> None:
    """Save a run in another folder, because somebody has taken its own away, and say so."""
    run.save(instead_of(lost))
    LOG.warning(f"{lost} was moved, deleted or replaced while it was trained: the run is saved in {run.path}")


def write_config(run: Run, folder: Path) -> None:
    """Write config.json."""
    stored = _config_bytes(run)
    write_atomically(folder / CONFIG, stored)
    run.stored = stored


def _columns_bytes(words: WordList) -> bytes:
    """Return the weights and labels of words as a safetensors file."""
    columns = {"weights": words.weights, "labels": words.labels}
    return save_tensors({name: column for name, column in columns.items() if column is not None})


def _config_bytes(run: Run) -> bytes:
    words = run.corpus.words
    begun = {} if run.start is None else {"from": run.start.name}
    extra = {"extra_characters": run.corpus.extra} if run.corpus.extra else {}  # of the vocabulary, in no word
    labels = {"labels": list(words.label_names)} if words.label_names else {}
    options = dataclasses.asdict(run.options)
    if words.weights is None:
        del options["weight_power"]
    for name, value in EARLIER.items():
        if options[name] in (None, value):
            del options[name]
    taught = {} if run.taught is None else {"teacher": dataclasses.asdict(run.taught)}
    newer = begun or extra or words.has_columns or EARLIER.keys() & options.keys() or run.model.config.context is None
    newer = newer or run.corpus.split == "hash"
    config = {
        "format": FORMAT if newer else 1,
        "model": run.model.name,
        "model_options": dataclasses.asdict(run.model.config),
        "parameters": run.model.n_parameters,
        **({"loss": run.loss} if "loss" in vars(run) else {}),
        "train_options": options,
        **({"list": words.name} if words.name else {}),
        "vocab": run.model.vocab.characters,
        **labels,
        **extra,
        **begun,
        **taught,
        **({"folded": True} if run.folded else {}),
        **({"pruned": run.pruned} if run.pruned else {}),
        "split": {"kind": run.corpus.split, "seed": run.corpus.split_seed},
        "data_sha256": run.corpus.data_hash,
        "versions": {
            "moreish": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            **({"numba": numba.__version__} if numba_is_imported() else {}),
        },
    }
    return (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode()


def write_history(folder: Path, history: list[dict[str, Any]]) -> None:
    """Write the whole history."""
    write_atomically(folder / HISTORY, "".join(json.dumps(line) + "\n" for line in history).encode())


def model_bytes(model: Model) -> bytes:
    """Return the weights of a model by name, as a safetensors file."""
    return save_tensors({name: np.ascontiguousarray(weight) for name, weight in model.weights.items()})


def end_folder(run: Run, folder: Path) -> None:
    """Write the trained weights and remove the files of the unfinished training."""
    write_history(folder, run.history)
    write_atomically(folder / MODEL, model_bytes(run.model))
    remove(*(folder / name for name in (CHECKPOINT, TEACHER, INSIDE, BEGINNING)))


def state_of(folder: Path, history: list[dict[str, Any]], steps: int | None) -> str:
    """State of a training: "stopped" before its end, "diverged" if the log ends before the last step, or "finished"."""
    if not (folder / MODEL).exists():
        return "stopped"
    done = history[-1]["step"] if history else 0
    return "diverged" if done < (steps or 0) else "finished"


def load(path: str | Path) -> Run:
    """Read a run folder. A run whose training was stopped gets the best weights so far.

    Raises InputError if the folder is missing, is not a run, is damaged, or was written by a newer version.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such run folder; {_way_out(folder)}")
    check_files(folder)
    if (folder / PLAN).is_file():
        from .ensemble import so_far  # which loads its members

        return so_far(folder)
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder}: not a run folder, it has no {CONFIG}; {_way_out(folder)}")
    try:
        config_bytes = (folder / CONFIG).read_bytes()
        stored = json.loads(config_bytes)
        newer = stored["versions"]["moreish"] if stored["format"] > FORMAT else None
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        raise damaged(folder, CONFIG, error) from None
    if newer:
        raise InputError(
            f"{folder}: written by a newer moreish ({newer}, this is {__version__}): "
            "load it with that version or a later one"
        )
    try:
        config = ALL_MODELS[stored["model"]](**stored["model_options"])
        trained = isinstance(config, NetConfig) or stored["train_options"].get("steps") is not None
        options = TrainOptions(**{**(EARLIER if trained else {}), **stored["train_options"]})
        vocab = Vocab(stored["vocab"])
        split, split_seed, data_hash = stored["split"]["kind"], stored["split"]["seed"], stored["data_sha256"]
        if not isinstance(split_seed, int):  # it is used when the parts are
            raise ValueError(f"the seed of its split is {split_seed!r}")
        extra, begun = str(stored.get("extra_characters", "")), stored.get("from")
        folded, pruned = bool(stored.get("folded")), float(stored.get("pruned", 0))
        taught = Taught.of(stored["teacher"]) if "teacher" in stored else None
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged(folder, CONFIG, error) from None
    try:
        # Read exactly as written: the reader of word lists would clean up words that came from Python.
        words = written_words(folder / WORDS)
        words.name = str(stored.get("list", ""))
    except (InputError, TypeError, ValueError, OSError) as error:
        raise damaged(folder, WORDS, error) from None
    try:
        words = _with_columns(
            words, folder / COLUMNS, stored.get("labels", []), "weight_power" in stored["train_options"]
        )
    except (SafetensorError, InputError, TypeError, ValueError, KeyError, IndexError, OSError) as error:
        raise damaged(folder, COLUMNS, error) from None
    try:
        corpus = Corpus(words, split, split_seed, options.weight_power)
        corpus = corpus.widened(extra) if extra else corpus
    except (InputError, TypeError, ValueError, OSError) as error:
        raise damaged(folder, WORDS, error) from None
    if corpus.data_hash != data_hash:
        raise damaged(folder, WORDS, "it is not the list that the model was trained on")
    if corpus.vocab != vocab:
        raise damaged(folder, CONFIG, "its vocabulary is not that of the list")
    model = _load_model(folder, config, corpus, options)
    start = _load_start(folder, str(begun), model) if begun is not None else None
    return Run(model, corpus, options, load_history(folder), folder, start, folded, taught, pruned, config_bytes)


def _way_out(folder: Path) -> str:
    try:
        check_free(folder)
    except InputError:
        return "train one with: moreish train --out DIR"
    return f"train one with: moreish train --out {shlex.quote(str(folder))}"


def _with_columns(words: WordList, path: Path, names: list[str], weighted: bool) -> WordList:
    """Return words with the weights and labels in a file, if the list has any; names are those of the labels."""
    if not path.exists():
        if names or weighted:
            raise ValueError("missing")
        return words
    columns = load_tensors(path.read_bytes())
    labels = None
    if "labels" in columns:
        numbers = columns["labels"]
        if numbers.size and not 0 <= numbers.min() <= numbers.max() < len(names):
            raise ValueError("a label has no name")
        labels = [names[number] for number in numbers.tolist()]
    return words.with_weights(columns.get("weights")).with_labels(labels)


def _load_model(folder: Path, config: ModelConfig, corpus: Corpus, options: TrainOptions) -> Model:
    """Return the model of a run with its trained weights, or with the best ones of its checkpoint."""
    vocab, labels = corpus.vocab, Labels.of(corpus)
    model = Model(config, vocab, labels=labels)
    if not (folder / MODEL).is_file():
        if isinstance(config, Mixture) and (folder / INSIDE).is_file():
            return _load_inside(folder, config, vocab, options)
        if isinstance(config, ReaderConfig) or not (folder / CHECKPOINT).is_file():
            raise damaged(folder, MODEL, "missing")
        model.params[:] = load_checkpoint(folder, model, options).best
        return model
    try:
        tensors = stored_arrays(folder / MODEL)
        if isinstance(config, ReaderConfig):
            model = Model(config, vocab, arrays=tensors, labels=labels)
            model.check()
            return model
        model.layout.fill(model.params, tensors)
    except (SafetensorError, KeyError, IndexError, TypeError, ValueError, OSError) as error:
        raise damaged(folder, MODEL, error) from None
    return model


def _load_inside(folder: Path, config: Mixture, vocab: Vocab, options: TrainOptions) -> Model:
    """Return a net with an n-gram inside whose training is unfinished, as a mixture with the best weights so far."""
    try:
        model = NGramInside(config, vocab, load_tensors((folder / INSIDE).read_bytes()))
    except (SafetensorError, InputError, KeyError, TypeError, ValueError, OSError) as error:
        raise damaged(folder, INSIDE, error) from None
    model.params[:] = load_checkpoint(folder, model, options).best
    mixture = model.finished()
    try:
        mixture.check()
    except ValueError as error:
        raise damaged(folder, CHECKPOINT, error) from None
    return mixture


def _load_start(folder: Path, name: str, model: Model) -> Start:
    try:
        return Start.from_bytes(name, (folder / START).read_bytes(), model.layout)
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise damaged(folder, START, error) from None


def load_history(folder: Path) -> list[dict[str, Any]]:
    """Read the log of a run. Raises InputError if it is damaged."""
    try:
        history = [json.loads(line) for line in (folder / HISTORY).read_text(encoding="utf-8").splitlines()]
        if not all(type(line["step"]) is int for line in history):
            raise ValueError("a step is not a whole number")
        if not all(
            isinstance(line.get(name), NUMBER) for line in history for name in ("seconds", "lr", "train", "val")
        ):
            raise ValueError("a loss or a time is not a number")
        return history
    except (OSError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise damaged(folder, HISTORY, error) from None
