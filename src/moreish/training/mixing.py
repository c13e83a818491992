"""Mixtures of runs. Their weights are fitted on val: by EM if linear, by gradient descent if log-linear."""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from ..corpus import Corpus
from ..corpus.stream import Words, per_token
from ..engine.bfgs import minimised
from ..engine.states import read
from ..errors import InputError, unknown
from ..models.labels import Labels
from ..models.mixture import MIXTURES, Mixture, MixtureReader, log_sum
from ..models.model import Model
from ..ngram.fitting import sampled
from .options import TrainOptions
from .run import Run

FITTED_TOKENS = 50_000  # of val at most, for log-linear weights
EM_ROUNDS = 500
EM_GAIN = 1e-9  # nats; EM stops at a round that gains less


def mix(runs: Sequence[Run], kind: str = "linear", *, equal: bool = False) -> Run:
    """Return a run whose model is a mixture of several runs, with weights fitted on val; kind is one of MIXTURES.

    equal   give all runs the same weight: the mean of their probabilities, or of their log-probabilities

    Raises InputError for fewer than two runs, and for runs on different words or splits.
    """
    if kind not in MIXTURES:
        raise unknown("mixture", kind, MIXTURES)
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
    arrays = {f"part{i}.{name}": array for i, run in enumerate(runs) for name, array in run.model.weights.items()}
    arrays["n_vocab"] = np.array([len(corpus.vocab)])
    arrays["weights"] = np.full(len(runs), 1 / len(runs)) if equal else _fitted(config, arrays, corpus)
    of_parts = [run.seconds for run in runs]
    known = [seconds for seconds in of_parts if seconds is not None]
    own = time.perf_counter() - began
    history = [{"step": 0, "seconds": round(sum(known) + own, 4)}] if len(known) == len(runs) else []
    options = TrainOptions(split=corpus.split, split_seed=corpus.split_seed, weight_power=corpus.weight_power)
    return Run(Model(config, corpus.vocab, arrays=arrays, labels=Labels.of(corpus)), corpus, options, history)


def _fitted(config: Mixture, arrays: dict[str, np.ndarray], corpus: Corpus) -> np.ndarray:
    """Return the weights of a mixture of models (parts,), fitted on val, with the arrays of the models."""
    n_vocab, val = len(corpus.vocab), Words(corpus.stream("val"), corpus.weights("val"))
    pieces = [(arrays, val)]
    if corpus.label_names:  # each label's val words, with the models given the label
        pieces = [(config.given(arrays, label), words) for label, words in enumerate(corpus.by_label("val"))]
    equal = {"weights": np.ones(len(config.configs))}
    pieces = [(config.reader(own | equal, n_vocab), words) for own, words in pieces if len(words.stream) > 1]
    numbers, begin = [], 0  # of the tokens to fit on, piece by piece
    most = FITTED_TOKENS if config.kind == "log-linear" else len(val.stream)
    some = sampled(val.stream, most)
    for _, words in pieces:
        n = len(words.stream) - 1
        numbers.append(some[(some >= begin) & (some < begin + n)] - begin)
        begin += n
    of_tokens = None
    if val.weights is not None:
        of_words = [per_token(words.stream, np.asarray(words.weights)) for _, words in pieces]
        of_tokens = np.concatenate([weights[here] for weights, here in zip(of_words, numbers, strict=True)])
    if config.kind == "linear":
        logs = [[-part.reader.nll(part.params, words.stream) for part in mixed.parts] for mixed, words in pieces]
        return em(np.concatenate(logs, axis=1), of_tokens)[0]
    of_pieces = list(zip(pieces, numbers, strict=True))
    logs = [_part_logs(mixed, words.stream, here) for (mixed, words), here in of_pieces]
    targets = [words.stream[1 + here] for (_, words), here in of_pieces]
    return fit_log_linear(np.concatenate(logs, axis=1), np.concatenate(targets), of_tokens)


def _part_logs(mixed: MixtureReader, stream: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the log-probabilities that each part gives every token in some places of a stream (parts, places, V).

    numbers (places,) are those of the tokens there, after the first 0 of the stream.
    """
    logs = np.zeros((len(mixed.parts), len(numbers), mixed.n_vocab))
    for first, states, of in read(mixed, np.zeros(0), stream):
        here = np.flatnonzero((numbers >= first) & (numbers < first + len(of)))
        used, of = np.unique(of[numbers[here] - first], return_inverse=True)
        logs[:, here] = mixed.part_logs(states[used])[:, of]
    return logs


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
