"""Merging n-gram runs of the parts of a list into the run of the whole list."""

import dataclasses
from collections.abc import Iterable
from functools import reduce
from operator import add
from pathlib import Path
from typing import NamedTuple

from ..corpus import Corpus, WordList
from ..corpus.mapped import joined
from ..errors import InputError
from ..models.model import Model
from ..models.ngram import NGram
from ..ngram.merging import KeptCounts
from ..ngram.windows import BYTES_PER_TOKEN
from .fit import clock
from .loading import load
from .options import TrainOptions
from .run import Run


def merge(
    runs: Iterable[Run | str | Path],
    *,
    smoothing: str | None = None,
    added: float | None = None,
    memory: float | None = None,
) -> Run:
    """Merge n-gram runs of the parts of a list into the run of the whole list.

    runs        runs of the model ngram or bigram-counts that were trained with split="hash", or their folders. They are
                taken one after another, so a generator may make them
    smoothing, added    options of the merged model; by default those of the parts, which must then be equal
    memory      for the merged counts, in GB; by default the most that a part may use

    The counts of the parts are added, and smoothed anew. The model is the same, to the last bit, as that of all words
    trained with split="hash", however the words were divided, and in whatever order and groups the runs are merged. The
    list of the merged run has the words of one part after those of another. A word counts each time that it is in a
    part. Lists may have weights that are whole numbers.

    Raises InputError for runs whose counts have no exact sum, for a folder that is given twice, for different orders,
    smoothings or splits, and if the counts need more than `memory` GB.
    """
    if isinstance(runs, str | Path | Run):
        raise InputError("merge takes several runs: give a list of them")
    if memory is not None and not memory > 0:
        raise InputError(f"memory (--memory) is {memory}: give a number of GB above 0")
    began, parts, sums, most = clock(), list[_Part](), list[KeptCounts](), memory or 0.0
    given = {name: value for name, value in (("smoothing", smoothing), ("added", added)) if value is not None}
    for number, run in enumerate(runs, start=1):
        part, counts = _counted(load(run) if isinstance(run, str | Path) else run, f"run {number}")
        if any(part.folder == other.folder and part.words == other.words for other in parts if other.folder):
            raise InputError(f"{part.name} is given twice: its words would count twice")
        parts.append(part._replace(config=dataclasses.replace(part.config, **given)))
        _check_alike(parts[0], parts[-1])
        most = memory or max(most, part.config.memory)
        _add(sums, counts)
        _check_room(sums[0], most)
    if not sums:
        raise InputError("there is nothing to merge: give the runs of the parts of a list")
    total = reduce(add, reversed(sums))
    _check_room(total, most)
    config, options = dataclasses.replace(parts[0].config, memory=most), parts[0].options
    words = joined([part.words for part in parts])
    words.name = parts[0].words.name if len({part.words.name for part in parts}) == 1 else ""
    corpus = Corpus(words, options.split, options.split_seed, options.weight_power)
    if reason := config.inexact(corpus):
        raise InputError(f"these runs cannot be merged exactly: {reason}")
    if corpus.vocab != total.vocab:  # a part has characters that are in no word
        corpus = corpus.widened(total.vocab.characters)
    model = Model(config, corpus.vocab, arrays=config.fit_counts(total, corpus))
    known = [part.seconds for part in parts if part.seconds is not None]
    history = [{"step": 0, "seconds": round(sum(known) + clock() - began, 4)}] if len(known) == len(parts) else []
    return Run(model, corpus, options, history)


class _Part(NamedTuple):
    """Facts kept of the run of a part beside its counts; name is for messages."""

    name: str
    folder: Path | None
    config: NGram
    words: WordList
    options: TrainOptions
    seconds: float | None


def _counted(run: object, name: str) -> tuple[_Part, KeptCounts]:
    """Return a run as a part, and its counts. Raises InputError if it has none, or none whose sums are exact."""
    if not isinstance(run, Run):
        raise InputError(f"{name} is {run!r}: give a run, or its folder")
    config, name = run.model.config, str(run.path or name)
    if not isinstance(config, NGram):
        raise InputError(f"{name} is {run.model.kind}: only counts merge, those of the models ngram and bigram-counts")
    if reason := config.inexact(run.corpus):
        raise InputError(f"{name} cannot be merged exactly: {reason}")
    try:
        counts = KeptCounts.from_arrays(run.model.vocab, run.model.arrays, config.order)
    except KeyError:
        what = "is pruned: merge the run that it was made from" if run.pruned else "has no counts: train it again"
        raise InputError(f"{name} {what}") from None
    except ValueError as error:
        raise InputError(f"{name} is damaged ({error}): restore it from a copy, or train it again") from None
    return _Part(name, run.path and run.path.resolve(), config, run.corpus.words, run.options, run.seconds), counts


def _add(sums: list[KeptCounts], counts: KeptCounts) -> None:
    """Add counts to one of some sums, each of which is at least twice as large as the next.

    So counts are added to about as large ones, and a large sum is seldom made anew.
    """
    sums.append(counts)
    while len(sums) > 1 and len(sums[-2].counts) < 2 * len(sums[-1].counts):
        last = sums.pop()
        sums[-1] += last


def _check_room(counts: KeptCounts, memory: float) -> None:
    """Raise InputError if the tables of counts would take more than `memory` GB."""
    n_windows, order = counts.rows.shape
    needed = BYTES_PER_TOKEN * order * n_windows / 2**30
    if needed > memory:
        raise InputError(
            f"the tables of {n_windows:,} different sequences of {order} characters would take {needed:.3g} GB, more "
            f"than {memory:g} GB: give more, with --memory, or count all parts anew with --order {order - 1}"
        )


def _check_alike(first: _Part, part: _Part) -> None:
    """Raise InputError for a part that was not counted or split as the first one."""
    if (first.words.weights is None) != (part.words.weights is None):
        with_weights, without = (part, first) if first.words.weights is None else (first, part)
        raise InputError(
            f"{with_weights.name} has weights, and {without.name} has none: give all parts weights, or none"
        )
    for mine, others in zip(_choices(first), _choices(part), strict=True):
        if mine != others:
            raise InputError(f"{part.name} has {others}, and {first.name} has {mine}: train all parts with the same")


def _choices(part: _Part) -> list[str]:
    """Return the options that must be the same for all parts."""
    options = {
        "order": part.config.order,
        "smoothing": part.config.smoothing,
        "added": f"{part.config.added:g}",
        "split-seed": part.options.split_seed,
    }
    return [f"--{name} {value}" for name, value in options.items()]
