"""Smaller n-gram models: pruning by entropy, to a cost of each entry or to a size."""

from dataclasses import replace
from functools import partial

import numpy as np

from ..corpus.stream import Words
from ..errors import InputError
from ..models.model import Model
from ..models.ngram import AutomatonConfig
from ..ngram.pruning import frequencies, n_bytes, pruned, without_counts
from .run import Run

LEAST, MOST = 1e-15, 10.0  # thresholds that are tried for a size, in nats per token
PRECISION = 1.01  # ratio of the last two thresholds that are tried


def prune(run: Run, *, entropy: float | None = None, size: float | None = None) -> Run:
    """Return a run whose n-gram model lacks the entries that matter least (Stolcke 1998; see `moreish.ngram.pruning`).

    entropy     leave out every entry without which the loss is expected to rise by less than this, in nats per token
    size        leave out as little as brings the tables down to this many bytes; give one of both

    Counts that are kept for merging are left out too: a pruned run cannot be merged.

    Raises InputError for a model that is not an n-gram model, a number that is not positive, and a size that no pruning
    reaches.
    """
    model, name = run.model, str(run.path or run.model.name)
    if not isinstance(model.config, AutomatonConfig):
        raise InputError(f"{name} is {model.kind}: only n-gram models are pruned")
    if (entropy is None) == (size is None):
        raise InputError("pruning takes an entropy or a size: give one of them (--entropy X or --size 1MB)")
    name_of_option, given = ("entropy", entropy) if size is None else ("size", size)
    if not isinstance(given, int | float | np.number) or not 0 < given < np.inf:
        raise InputError(f"{name_of_option} (--{name_of_option}) is {given!r}: it must be a number above 0")
    corpus = run.corpus
    words = corpus.by_label("train") if model.labels else [Words(corpus.stream("train"), corpus.weights("train"))]
    at = partial(pruned, model.arrays, len(model.vocab), frequencies(model.arrays, words))
    threshold = given if size is None else _threshold_for(size, at, model.arrays, name)
    arrays = at(threshold) if threshold else without_counts(model.arrays)
    made = Model(model.config, model.vocab, arrays=arrays, labels=model.labels)
    return replace(run, model=made, path=None, pruned=max(threshold, run.pruned))


def _threshold_for(size: float, at: partial[dict[str, np.ndarray]], arrays: dict[str, np.ndarray], name: str) -> float:
    """Return about the lowest threshold with tables of up to `size` bytes, by bisection; 0 if all of them fit."""
    if n_bytes(without_counts(arrays)) <= size:
        return 0.0
    if (smallest := n_bytes(at(MOST))) > size:
        raise InputError(f"{name} cannot be pruned to {size:,.0f} bytes: single characters alone take {smallest:,}")
    low, high = LEAST, MOST
    while high > PRECISION * low:
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if n_bytes(at(middle)) <= size else (middle, high)
    return high
