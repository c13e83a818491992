"""Training of a net with an n-gram inside: conditions on both, and the n-gram's log-probabilities on train and val."""

import dataclasses
from pathlib import Path
from typing import Literal

import numpy as np

from ..corpus import Corpus
from ..engine.guide import Guide, prefix_keys
from ..engine.states import read
from ..errors import InputError
from ..layers.random import bits_of
from ..models import Mixture, ModelConfig, NetConfig, NGram
from ..models.inside import NGramInside
from ..models.model import Model
from ..ngram import count_tables
from ..ngram.fitting import trace_tokens
from ..ngram.leave_out import log_left_out
from ..ngram.merging import KEPT
from .loading import load
from .options import TrainOptions
from .run import Run

MOST_NUMBERS = 1 << 28  # of log-probabilities: 1 GiB
MIXED = "mix the two runs afterwards with: moreish mix"


def ngram_for(
    source: Run | str | Path | Literal[True], model: str, config: ModelConfig, corpus: Corpus, options: TrainOptions
) -> Model:
    """Return the n-gram of a run, or a new one for True, to be inside a net on a corpus; model is the net's name.

    Raises InputError unless the net reads whole words on the tape, and the n-gram has fitted smoothing, no minimum
    count, and the same words and split, which have neither labels nor weights.
    """
    if not isinstance(config, NetConfig) or config.context is not None:
        raise InputError(
            f"--with-ngram is for nets over whole words, such as --model gru: model {model} sees a context of "
            f"{config.context}; {MIXED}"
        )
    for wrong, option in (
        (options.engine != "tape", "--engine " + options.engine),
        (options.diagnostics, "--diagnostics"),
        (bool(options.label_smoothing), "--label-smoothing"),
        (bool(corpus.label_names), "--labels"),
        (corpus.words.weights is not None, "--weights"),
    ):
        if wrong:
            raise InputError(f"--with-ngram works without {option}: leave it out, or {MIXED}")
    if source is True:
        return Model(NGram(), corpus.vocab, arrays=NGram().fit(corpus))
    run = load(source) if isinstance(source, str | Path) else source
    name, ngram = str(run.path or run.model.name), run.model.config
    if not isinstance(ngram, NGram):
        raise InputError(f"{name} is {ngram.called}: --with-ngram needs an n-gram, trained with --model ngram")
    if run.pruned:
        raise InputError(f"{name} is pruned: --with-ngram needs the run that it was made from")
    if ngram.smoothing != "fitted" or ngram.at_least > 1:
        has = f"--smoothing {ngram.smoothing}" if ngram.smoothing != "fitted" else f"--at-least {ngram.at_least}"
        raise InputError(f"{name} has {has}: --with-ngram needs an n-gram trained without this option")
    if run.corpus.identity != corpus.identity or run.corpus.vocab != corpus.vocab:
        raise InputError(
            f"{name} was trained on other words or another split than this list: train an n-gram on it with the same "
            "options and --model ngram"
        )
    return run.model


def with_inside(model: str, config: ModelConfig, ngram: Model, seed: int) -> NGramInside:
    """Return a new net with an n-gram inside; model is the net's name."""
    named = {model: config, ngram.name: ngram.config}
    parts = [{"model": name, "options": dataclasses.asdict(part)} for name, part in named.items()]
    arrays = {name: array for name, array in ngram.arrays.items() if name not in KEPT}
    return NGramInside(Mixture("log-linear", parts), ngram.vocab, arrays, seed)


def guide_of_train(ngram: Model, corpus: Corpus) -> Guide:
    """Return an n-gram's log-probabilities for the pairs of train, each left out of the counts."""
    stream, n_vocab, config = corpus.stream("train"), len(corpus.vocab), ngram.config
    assert isinstance(config, NGram)
    keys, at = _pairs(stream, n_vocab)
    tables = count_tables(stream, config.order, n_vocab, memory=int(config.memory * 2**30))
    rows = log_left_out(tables, ngram.arrays["strengths"], *trace_tokens(tables, stream, at))
    return Guide(keys, rows, inside=True)


def guide_of_others(ngram: Model, stream: np.ndarray) -> Guide:
    """Return an n-gram's log-probabilities for the pairs of a stream of words that it has not counted."""
    keys, at = _pairs(stream, len(ngram.vocab))
    rows = np.empty((len(keys), len(ngram.vocab)), np.float32)
    for first, states, of in read(ngram.engine, ngram.params, stream):
        here = np.flatnonzero((at >= first) & (at < first + len(of)))
        rows[here] = ngram.engine.logits(ngram.params, states)[of[at[here] - first]]
    return Guide(keys, rows, inside=True)


def _pairs(stream: np.ndarray, n_vocab: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the keys of the different pairs of a prefix and the token after it, sorted, and a token of each.

    Raises InputError if a number for every token at each pair would take too much memory.
    """
    keys = bits_of(prefix_keys(stream).view(np.uint64), stream[1:].astype(np.uint64)).astype(np.int64)
    keys, at = np.unique(keys, return_index=True)
    if len(keys) * n_vocab > MOST_NUMBERS:
        raise InputError(
            f"--with-ngram needs {n_vocab:,} numbers for each of {len(keys):,} different beginnings of words, more "
            f"than {MOST_NUMBERS:,} in all: train on fewer words, or {MIXED}"
        )
    return keys, at
