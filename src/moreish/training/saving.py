"""Saving a run in its folder; see `training.folder` for the files."""

import dataclasses
import json
import logging
import platform
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save as save_tensors

from .._version import __version__
from ..corpus import WordList
from ..errors import WorkError
from ..files import remove, write_atomically
from ..layers.jit import numba, numba_is_imported
from ..models.inside import NGramInside
from ..models.model import Model
from .checkpoint import CHECKPOINT
from .folder import BEGINNING, COLUMNS, CONFIG, FORMAT, HISTORY, INSIDE, MODEL, START, WORDS, free_folder, new_folder
from .options import EARLIER
from .teacher import TEACHER

if TYPE_CHECKING:
    from .run import Run

LOG = logging.getLogger("moreish")


def begin_folder(run: "Run", path: str | Path, name: str, data: bytes, teacher: bytes | None = None) -> None:
    """Make the folder of a run, with its weights in the file `name`: a checkpoint or the trained model.

    teacher     what a distillation learns from

    Raises InputError if the folder holds something else or cannot be created, and WorkError if it cannot be written. In
    that case nothing is left behind.
    """
    with new_folder(path):
        write_folder(run, Path(path), name, data, teacher)


def write_folder(run: "Run", folder: Path, name: str, data: bytes, teacher: bytes | None = None) -> None:
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


def written(write: Callable[[Path], None], folder: Path, is_there: Callable[[], bool]) -> bool:
    """Write into a folder and return True, or False if somebody takes it away, perhaps while it is written."""
    try:
        if is_there():
            write(folder)
    except WorkError:
        if is_there():
            raise
    return is_there()


def save_elsewhere(run: "Run", lost: Path) -> None:
    """Save a run in another folder, because somebody has taken its own away, and say so."""
    run.save(free_folder(lost))
    LOG.warning(f"{lost} was moved, deleted or replaced while it was trained: the run is saved in {run.path}")


def taken_away(lost: Path, saved: Path) -> WorkError:
    """Return the error for an unfinished training whose folder somebody has taken away; it is saved in another."""
    return WorkError(
        f"{lost} was moved, deleted or replaced while it was trained: what it has learnt is saved in {saved}; "
        f"continue with: moreish train --resume {shlex.quote(str(saved))}"
    )


def write_config(run: "Run", folder: Path) -> None:
    """Write config.json."""
    stored = _config_bytes(run)
    write_atomically(folder / CONFIG, stored)
    run.stored = stored


def _columns_bytes(words: WordList) -> bytes:
    """Return the weights and labels of words as a safetensors file."""
    columns = {"weights": words.weights, "labels": words.labels}
    return save_tensors({name: column for name, column in columns.items() if column is not None})


def _config_bytes(run: "Run") -> bytes:
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


def end_folder(run: "Run", folder: Path) -> None:
    """Write the trained weights and remove the files of the unfinished training."""
    write_history(folder, run.history)
    write_atomically(folder / MODEL, model_bytes(run.model))
    remove(*(folder / name for name in (CHECKPOINT, TEACHER, INSIDE, BEGINNING)))
