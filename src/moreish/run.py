"""A run folder: a trained model with everything needed to sample from it, score with it, evaluate it or train on.

config.json             model, options, vocabulary, split, data hash, versions
words.txt               the word list
model.safetensors       the weights by name, once training has ended
checkpoint.safetensors  while training: see `Checkpoint`
history.jsonl           a line for each point of the log: step, lr, train and val loss in nats
"""

import dataclasses
import json
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from . import __version__
from .corpus import Corpus, Vocab, read_words
from .errors import InputError
from .files import write_atomically
from .model import Model
from .models import MODELS
from .options import TrainOptions

FORMAT = 1  # of the folder; a change that older versions cannot read raises it
CONFIG, WORDS, MODEL, CHECKPOINT, HISTORY = (
    "config.json",
    "words.txt",
    "model.safetensors",
    "checkpoint.safetensors",
    "history.jsonl",
)


@dataclass
class Checkpoint:
    """The state of a training that goes on: what the next step depends on, and what to keep in the end.

    step        steps made
    params      weights now, flat (P,); best: those of the best val loss; moments: the optimizer's (n, P)
    best_loss   that val loss in nats, and best_step, where it was seen
    loss_sum    of the batch losses of the last loss_count steps: those since the last line of the history
    """

    step: int
    params: np.ndarray
    best: np.ndarray
    moments: np.ndarray
    best_loss: float = float("inf")
    best_step: int = 0
    loss_sum: float = 0.0
    loss_count: int = 0

    def to_bytes(self) -> bytes:
        return save_tensors({f.name: np.asarray(getattr(self, f.name)) for f in dataclasses.fields(self)})

    @classmethod
    def from_bytes(cls, data: bytes) -> "Checkpoint":
        fields: dict[str, Any] = {name: t.item() if t.ndim == 0 else t for name, t in load_tensors(data).items()}
        return cls(**fields)


@dataclass
class Run:
    """A trained (or partly trained) model, the corpus that it learnt from, and how.

    loss        nats per token on train, val and test, once training has ended
    history     a dictionary for each point of the log
    path        its folder, if it has one
    """

    model: Model
    corpus: Corpus
    options: TrainOptions
    loss: dict[str, float] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    path: Path | None = None

    def save(self, path: str | Path) -> "Run":
        """Write the run into a folder that does not exist or is empty. Raises InputError otherwise."""
        self.path = claim_folder(path)
        write_beginning(self, self.path)
        write_history(self.path, self.history)
        write_end(self, self.path)
        return self


def claim_folder(path: str | Path) -> Path:
    """Make a folder for a run. Raises InputError if there is something in it, or it cannot be made."""
    folder = Path(path)
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            what = "already holds a run" if (folder / CONFIG).exists() else "is there already, and not empty"
            raise InputError(f"{folder} {what}: give another --out, or go on with it by train --resume {folder}")
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be made ({error.strerror}); give another --out") from None
    return folder


def write_beginning(run: Run, folder: Path) -> None:
    """Write all that is known before the first step. The config comes last: with it the folder is a run."""
    config = {
        "format": FORMAT,
        "model": run.model.name,
        "model_options": dataclasses.asdict(run.model.family),  # type: ignore[call-overload]
        "train_options": dataclasses.asdict(run.options),
        "vocab": run.model.vocab.characters,
        "split": {"kind": run.corpus.split, "seed": run.corpus.split_seed},
        "data_sha256": run.corpus.data_hash,
        "versions": {
            "moreish": __version__,
            "python": platform.python_version(),
            **{name: version(name) for name in ("numpy", "numba")},
        },
    }
    write_atomically(folder / WORDS, "".join(f"{word}\n" for word in run.corpus.words).encode())
    write_atomically(folder / CONFIG, (json.dumps(config, indent=2, ensure_ascii=False) + "\n").encode())


def write_history(folder: Path, history: list[dict[str, Any]]) -> None:
    """Write the whole history."""
    write_atomically(folder / HISTORY, "".join(json.dumps(line) + "\n" for line in history).encode())


def write_end(run: Run, folder: Path) -> None:
    """Write the trained weights, after which the checkpoint has served."""
    write_atomically(folder / MODEL, save_tensors({k: np.ascontiguousarray(v) for k, v in run.model.weights.items()}))
    (folder / CHECKPOINT).unlink(missing_ok=True)


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read the state of a training. Raises InputError if there is none, or it is damaged."""
    try:
        return Checkpoint.from_bytes((folder / CHECKPOINT).read_bytes())
    except FileNotFoundError:
        raise InputError(f"{folder}: its training has ended, there is nothing to resume") from None
    except (SafetensorError, TypeError, OSError) as error:
        raise damaged(folder, CHECKPOINT, error) from None


def damaged(folder: Path, name: str, error: object) -> InputError:
    return InputError(f"{folder / name}: damaged or incomplete ({error}); restore it from a copy, or train again")


def load(path: str | Path) -> Run:
    """Read a run folder. A run whose training goes on or was stopped has its best weights so far.

    Raises InputError if the folder is missing, is no run, is damaged, or was written by a newer version.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder}: no such run folder; train one with: moreish train --out {folder}")
    if not (folder / CONFIG).is_file():
        raise InputError(f"{folder}: not a run folder, it has no {CONFIG}; train one with: moreish train --out DIR")
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if config["format"] > FORMAT:
            raise InputError(
                f"{folder}: written by a newer moreish ({config['versions']['moreish']}, this is {__version__}); "
                "upgrade with: pip install --upgrade moreish"
            )
        family = MODELS[config["model"]](**config["model_options"])
        options = TrainOptions(**config["train_options"])
        vocab = Vocab(config["vocab"])
        split, data_hash = config["split"], config["data_sha256"]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError) and "newer" in str(error):
            raise
        raise damaged(folder, CONFIG, error) from None
    try:
        corpus = Corpus(read_words(folder / WORDS), split["kind"], split["seed"])
    except InputError as error:
        raise damaged(folder, WORDS, error) from None
    if corpus.data_hash != data_hash:
        raise damaged(folder, WORDS, "it is not the list that the model was trained on")
    model = Model(family, vocab, _load_weights(folder, family.layers(len(vocab))))
    return Run(model, corpus, options, history=load_history(folder), path=folder)


def _load_weights(folder: Path, layers: list) -> np.ndarray:
    """The flat weights of a run: the trained ones, or the best of its checkpoint."""
    from .layers.layout import Layout

    layout = Layout(layers)
    if not (folder / MODEL).is_file():
        if not (folder / CHECKPOINT).is_file():
            raise damaged(folder, MODEL, "missing")
        flat = load_checkpoint(folder).best
        if flat.shape != (layout.size,):
            raise damaged(folder, CHECKPOINT, f"{flat.size} weights where the model has {layout.size}")
        return flat
    try:
        tensors = load_tensors((folder / MODEL).read_bytes())
        flat = np.empty(layout.size, np.float32)
        for slot in layout:
            if tensors[slot.name].shape != slot.shape:
                raise ValueError(f"{slot.name} is {tensors[slot.name].shape}, not {slot.shape}")
            slot.view(flat)[...] = tensors[slot.name]
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise damaged(folder, MODEL, error) from None
    return flat


def load_history(folder: Path) -> list[dict[str, Any]]:
    """The lines of the history; a last one that a crash cut short is dropped."""
    history = []
    try:
        for line in (folder / HISTORY).read_text(encoding="utf-8").splitlines():
            history.append(json.loads(line))
    except (OSError, ValueError):
        pass
    return history
