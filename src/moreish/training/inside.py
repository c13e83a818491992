"""Training of a net with an n-gram inside: conditions on both, and the n-gram's log-probabilities on train and val."""

import dataclasses
from pathlib import Path

import numpy as np

from ..corpus import Corpus
from ..engine.guide import Guide, prefix_keys
from ..engine.states import read
from ..engine.tape import WordTape
from ..engine.words import WordBatches
from ..errors import InputError
from ..layers.random import bits_of
from ..models import Mixture, NetConfig, NGram
from ..models.inside import NGramInside
from ..ngram import count_tables
from ..ngram.fitting import trace_tokens
from ..ngram.leave_out import log_left_out
from .prepare import Task, engine_of
from .run import Run, load

MOST_NUMBERS = 1 << 28  # of log-probabilities: 1 GiB
MIXED = "mix the two runs afterwards with: moreish mix"


def begin_with_ngram(task: Task, source: Run | str | Path) -> Run:
    """Return a run of a task that has made no step, whose net has the n-gram of another run inside.

    Raises InputError unless the net reads whole words on the tape, and the n-gram has fitted smoothing, no minimum
    count, and the same words and split, which have neither labels nor weights.
    """
    ngram, corpus, o = load(source) if isinstance(source, str | Path) else source, task.corpus, task.options
    name = str(ngram.path or ngram.model.name)
    if not isinstance(task.config, NetConfig) or task.config.context is not None:
        raise InputError(
            f"--with-ngram is for nets over whole words, such as --model gru: model {task.name} sees a context of "
            f"{task.config.context}; {MIXED}"
        )
    for wrong, option in (
        (o.engine != "tape", "--engine " + o.engine),
        (o.diagnostics, "--diagnostics"),
        (bool(o.label_smoothing), "--label-smoothing"),
        (task.origin is not None, "--from"),
        (bool(corpus.label_names), "--labels"),
        (corpus.words.weights is not None, "--weights"),
    ):
        if wrong:
            raise InputError(f"--with-ngram works without {option}: leave it out, or {MIXED}")
    inside = ngram.model.config
    if not isinstance(inside, NGram):
        raise InputError(f"{name} is {inside.called}: --with-ngram needs an n-gram, trained with --model ngram")
    if inside.smoothing != "fitted" or inside.at_least > 1:
        has = f"--smoothing {inside.smoothing}" if inside.smoothing != "fitted" else f"--at-least {inside.at_least}"
        raise InputError(f"{name} has {has}: --with-ngram needs an n-gram trained without this option")
    if ngram.corpus.identity != corpus.identity:
        raise InputError(
            f"{name} was trained on other words or another split than this list: train an n-gram on it with the same "
            "options and --model ngram"
        )
    parts = [{"model": task.name, "options": dataclasses.asdict(task.config)}]
    parts.append({"model": ngram.model.name, "options": dataclasses.asdict(inside)})
    model = NGramInside(Mixture("log-linear", parts), corpus.vocab, ngram.model.arrays, o.seed)
    return Run(model, corpus, o)


def batches_and_engine(task: Task, run: Run) -> tuple[WordBatches, WordTape]:
    """Return the batches and the engine of a net with an n-gram inside, which have its log-probabilities."""
    batches, engine = task.need_steps(), engine_of(run)
    assert isinstance(run.model, NGramInside)
    assert isinstance(batches, WordBatches)
    assert isinstance(engine, WordTape)
    batches = dataclasses.replace(batches, guide=guide_of_train(run.model, run.corpus))
    engine.inside = guide_of(run.model, run.corpus.stream("val"))
    return batches, engine


def guide_of_train(model: NGramInside, corpus: Corpus) -> Guide:
    """Return the n-gram's log-probabilities for the pairs of train, each left out of the counts."""
    stream, n_vocab, config = corpus.stream("train"), len(corpus.vocab), model.inside
    keys, at = _pairs(stream, n_vocab)
    tables = count_tables(stream, config.order, n_vocab, memory=int(config.memory * 2**30))
    rows = log_left_out(tables, model.arrays["strengths"], *trace_tokens(tables, stream, at))
    return Guide(keys, rows, inside=True)


def guide_of(model: NGramInside, stream: np.ndarray) -> Guide:
    """Return the n-gram's log-probabilities for the pairs of a stream of other words."""
    keys, at = _pairs(stream, len(model.vocab))
    reader, none = model.inside.reader(model.arrays, len(model.vocab)), np.zeros(0)
    rows = np.empty((len(keys), len(model.vocab)), np.float32)
    for first, states, of in read(reader, none, stream):
        here = np.flatnonzero((at >= first) & (at < first + len(of)))
        rows[here] = reader.logits(none, states)[of[at[here] - first]]
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
