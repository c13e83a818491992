"""Loading a run from its folder, none of whose files is trusted; see `training.folder` for the files."""

import json
import shlex
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors

from .._version import __version__
from ..corpus import Corpus, Vocab, WordList, written_words
from ..errors import InputError
from ..models import ALL_MODELS, Mixture, ModelConfig, NetConfig, ReaderConfig
from ..models.inside import NGramInside
from ..models.labels import Labels
from ..models.model import Model
from .checkpoint import CHECKPOINT, damaged, load_checkpoint
from .folder import COLUMNS, CONFIG, FORMAT, HISTORY, INSIDE, MODEL, PLAN, START, WORDS, check_files, check_free
from .options import EARLIER, TrainOptions
from .run import Run
from .starting import Start
from .teacher import Taught
from .tensors import stored_arrays

NUMBER = int | float | None  # in a line of the history


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
