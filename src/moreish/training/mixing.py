"""Mixtures of runs. Their weights are fitted on val: by EM if linear, by gradient descent if log-linear.

Weights that depend on the context are fitted in `gating`.
"""

import dataclasses
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ..corpus import END, Corpus
from ..corpus.stream import Words, per_token
from ..engine.bfgs import minimised
from ..engine.states import read
from ..errors import InputError, unknown
from ..models.gate import Gate
from ..models.labels import Labels
from ..models.mixture import BY_CONTEXT, MIXTURES, Mixture, MixtureReader, log_sum
from ..models.model import Model
from ..ngram.fitting import sampled
from ..ngram.merging import KEPT
from .gating import Tokens, chosen_gate, joined
from .options import TrainOptions
from .run import Run

FITTED_TOKENS = 50_000  # of val at most, for log-linear weights and weights by context
FITTED_LOGS = 1 << 26  # log-probabilities at most, for log-linear weights by context: they take half a GB
EM_ROUNDS = 500
EM_GAIN = 1e-9  # nats; EM stops at a round that gains less


def mix(runs: Sequence[Run], kind: str = "linear", *, equal: bool = False, by_context: bool = False) -> Run:
    """Return a run whose model is a mixture of several runs, with weights fitted on val; kind is one of MIXTURES.

    equal       give all runs the same weight: the mean of their probabilities, or of their log-probabilities
    by_context  let the weights depend on the context, unless fixed ones are as good on held-out words of val

    Raises InputError for fewer than two runs, and for runs on different words or splits.
    """
    if kind not in MIXTURES:
        raise unknown("mixture", kind, MIXTURES)
    if equal and by_context:
        raise InputError("equal weights do not depend on the context: choose equal or by_context")
    if len(runs) < 2:
        raise InputError("a mixture needs at least two runs")
    corpus = runs[0].corpus
    for run in runs[1:]:
        if run.corpus.identity != corpus.identity:
            raise InputError(
                f"{run.path or run.model.name} was trained on other words, weights or labels, or another split, than "
                f"{runs[0].path or runs[0].model.name}: val words of one may be train words of the other"
            )
        run.model.check_vocab(corpus)
    began = time.perf_counter()
    config = Mixture(
        kind,
        [{"model": run.model.name, "options": dataclasses.asdict(run.model.config)} for run in runs],
    )
    arrays = {
        f"part{i}.{name}": array
        for i, run in enumerate(runs)
        for name, array in run.model.weights.items()
        if name not in KEPT
    }
    arrays["n_vocab"] = np.array([len(corpus.vocab)])
    found = _gated(config, arrays, corpus) if by_context else None
    if found is not None:
        gate, arrays["weights"] = found
        arrays |= gate.arrays
        config = dataclasses.replace(config, kind=kind + BY_CONTEXT)
    elif equal:
        arrays["weights"] = np.full(len(runs), 1 / len(runs))
    else:
        arrays["weights"] = _fitted(config, arrays, corpus)
    of_parts = [run.seconds for run in runs]
    known = [seconds for seconds in of_parts if seconds is not None]
    own = time.perf_counter() - began
    history = [{"step": 0, "seconds": round(sum(known) + own, 4)}] if len(known) == len(runs) else []
    options = TrainOptions(split=corpus.split, split_seed=corpus.split_seed, weight_power=corpus.weight_power)
    return Run(Model(config, corpus.vocab, arrays=arrays, labels=Labels.of(corpus)), corpus, options, history)


class Piece(NamedTuple):
    """Val words of one label, or of all, and the tokens to fit to.

    numbers     those of the tokens, after the first 0 of the stream
    counts      how often each of these tokens counts
    """

    mixed: MixtureReader
    stream: np.ndarray
    numbers: np.ndarray
    counts: np.ndarray


def _pieces(config: Mixture, arrays: dict[str, np.ndarray], corpus: Corpus, most: int) -> list[Piece]:
    """Return the val words of each label, or all, with at most `most` tokens to fit to.

    config, arrays  of a mixture with fixed weights, and its parts
    """
    n_vocab, val = len(corpus.vocab), Words(corpus.stream("val"), corpus.weights("val"))
    pieces = [(arrays, val)]
    if corpus.label_names:  # each label's val words, with the models given the label
        pieces = [(config.given(arrays, label), words) for label, words in enumerate(corpus.by_label("val"))]
    some, begin, found = sampled(val.stream, most), 0, []
    for own, (stream, weights) in pieces:
        n = len(stream) - 1
        here = some[(some >= begin) & (some < begin + n)] - begin
        begin += n
        if n:
            mixed = config.reader(own | {"weights": np.ones(len(config.configs))}, n_vocab)
            found.append(
                Piece(mixed, stream, here, np.ones(len(here)) if weights is None else per_token(stream, weights)[here])
            )
    return found


def _fitted(config: Mixture, arrays: dict[str, np.ndarray], corpus: Corpus) -> np.ndarray:
    """Return the fixed weights of a mixture of models (parts,), fitted on val, with the arrays of the models."""
    linear = config.kind == "linear"
    pieces = _pieces(config, arrays, corpus, len(corpus.stream("val")) if linear else FITTED_TOKENS)
    if linear:
        logs = [[-part.reader.nll(part.params, stream) for part in mixed.parts] for mixed, stream, _, _ in pieces]
        return em(np.concatenate(logs, axis=1), np.concatenate([piece.counts for piece in pieces]))[0]
    return _fixed(_tokens(pieces, whole=True))


def _gated(config: Mixture, arrays: dict[str, np.ndarray], corpus: Corpus) -> tuple[Gate, np.ndarray] | None:
    """Return the gate of a mixture of models and the mean weights, fitted on val; None if fixed weights are as good."""
    pieces, most = [], FITTED_TOKENS
    if config.kind == "log-linear":
        most = min(most, FITTED_LOGS // (len(config.configs) * len(corpus.vocab)))
    for piece in _pieces(config, arrays, corpus, most):
        mixed = piece.mixed
        even = Gate.even([part.reader for part in mixed.parts])
        gated = MixtureReader(mixed.kind, mixed.parts, mixed.weights, mixed.n_vocab, even)
        pieces.append(piece._replace(mixed=gated))
    return chosen_gate(_tokens(pieces, config.kind == "log-linear"), _fixed)


def _fixed(tokens: Tokens) -> np.ndarray:
    """Return the fixed weights that fit some tokens, (parts,)."""
    if tokens.logs is None:
        return em(tokens.hit, tokens.counts)[0]
    return fit_log_linear(tokens.logs, tokens.targets, tokens.counts)


def _tokens(pieces: Sequence[Piece], whole: bool) -> Tokens:
    """Return the tokens to fit to; if `whole`, with the log-probabilities of every token in their place."""
    n_words, found = 0, []
    for mixed, stream, numbers, counts in pieces:
        words, targets = np.cumsum(stream[:-1] == END) - 1 + n_words, stream[1 + numbers]
        n_words = words[-1] + 1
        hit = np.zeros((len(mixed.parts), len(numbers)))
        features = np.zeros((len(numbers), mixed.n_features))
        logs = np.zeros((*hit.shape, mixed.n_vocab)) if whole else None
        for first, states, of in read(mixed, np.zeros(0), stream):
            here = np.flatnonzero((numbers >= first) & (numbers < first + len(of)))
            used, of = np.unique(of[numbers[here] - first], return_inverse=True)
            every = mixed.part_logs(states[used])
            hit[:, here] = every[:, of, targets[here]]
            features[here] = mixed.features(states[used], every)[of]
            if logs is not None:
                logs[:, here] = every[:, of]
        found.append(Tokens(hit, features, words[numbers], counts, targets, logs))
    return joined(found)


def em(logs: np.ndarray, counts: np.ndarray | None = None) -> tuple[np.ndarray, list[float]]:
    """Return the maximum-likelihood weights (parts,) of a linear mixture, and the loss before each round.

    logs (parts, N) are the log-probabilities that each part gives each target, counts (N,) how often each target counts
    (None: once).

    A step sets a part's weight to its mean responsibility for the targets, which never lowers the likelihood (Dempster,
    Laird and Rubin 1977). Steps are small if a part is hardly needed. So a round makes two steps, extrapolates them,
    and keeps the better result (Varadhan and Roland 2008).
    """

    def step(weights: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the weights after a step, and the loss before it."""
        joint = np.log(weights)[:, None] + logs
        whole = log_sum(joint)
        responsibility = np.average(np.exp(joint - whole), axis=1, weights=counts)
        return _normalised(responsibility), float(-np.average(whole, weights=counts))

    weights, losses = np.full(len(logs), 1 / len(logs)), []
    for _ in range(EM_ROUNDS):
        once, loss = step(weights)
        twice, _ = step(once)
        losses.append(loss)
        if len(losses) > 1 and losses[-2] - losses[-1] < EM_GAIN:
            break
        first, change = once - weights, (twice - once) - (once - weights)
        far = np.sqrt((first @ first) / max(change @ change, 1e-300))
        guess = _normalised(weights + 2 * far * first + far * far * change)
        weights = guess if step(guess)[1] <= step(twice)[1] else twice
    return weights, losses


def _normalised(weights: np.ndarray) -> np.ndarray:
    positive = np.maximum(weights, 1e-9)
    return positive / positive.sum()


def fit_log_linear(logs: np.ndarray, targets: np.ndarray, counts: np.ndarray | None = None) -> np.ndarray:
    """Return the maximum-likelihood weights (parts,) of a log-linear mixture for targets (N,); logs (parts, N, V).

    counts (N,) are how often each target counts; None: once.
    """
    hit = logs[:, np.arange(len(targets)), targets]

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        w = np.exp(x)
        mixed = np.tensordot(w, logs, 1)
        z = log_sum(mixed.T)
        # the loss is the mean of z - w . hit, and dz / dw_i = sum over v of p_v log p_iv
        expected = (np.exp(mixed - z[:, None]) * logs).sum(2)
        slope = np.average(expected - hit, axis=1, weights=counts) * w
        return float(np.average(z - w @ hit, weights=counts)), slope

    return np.exp(minimised(loss, np.full(len(logs), -np.log(len(logs)))))
