"""Mixtures of runs. Their weights are fitted on val: by EM if linear, by gradient descent if log-linear."""

import dataclasses
import time
from collections.abc import Sequence

import numpy as np

from ..errors import InputError, unknown
from ..models.mixture import MIXTURES, Mixture, log_sum, part_logs, windows_of
from ..models.model import Model
from ..ngram.smoothing import minimised
from .options import TrainOptions
from .run import Run

FITTED_TOKENS = 50_000  # of val at most, for log-linear weights
EM_ROUNDS = 500
EM_GAIN = 1e-9  # nats; EM stops at a round that gains less


def mix(runs: Sequence[Run], kind: str = "linear") -> Run:
    """Return a run whose model is a mixture of several runs, with weights fitted on val; kind is one of MIXTURES.

    Raises InputError for fewer than two runs, and for runs on different words or splits.
    """
    if kind not in MIXTURES:
        raise unknown("mixture", kind, MIXTURES)
    if len(runs) < 2:
        raise InputError("a mixture needs at least two runs")
    corpus = runs[0].corpus
    for run in runs[1:]:
        own = (run.corpus.data_hash, run.corpus.split, run.corpus.split_seed)
        if own != (corpus.data_hash, corpus.split, corpus.split_seed):
            raise InputError(
                f"{run.path or run.model.name} was trained on other words or another split than "
                f"{runs[0].path or runs[0].model.name}: val words of one may be train words of the other"
            )
        run.model.check_vocab(corpus)
    began = time.perf_counter()
    config = Mixture(
        kind,
        [{"model": run.model.name, "options": dataclasses.asdict(run.model.config)} for run in runs],
    )
    arrays = {f"part{i}.{name}": array for i, run in enumerate(runs) for name, array in run.model.weights.items()}
    arrays["n_vocab"], val = np.array([len(corpus.vocab)]), corpus.stream("val")
    parts = config.made_of(arrays, len(corpus.vocab))
    if kind == "linear":
        arrays["weights"] = em(-np.array([part.reader.nll(part.params, val) for part in parts]))[0]
    else:
        some = np.arange(len(val) - 1)
        if len(some) > FITTED_TOKENS:
            some = np.random.default_rng(0).choice(some, FITTED_TOKENS, replace=False)
        contexts, targets = windows_of(val, 0, len(val) - 1, config.context)
        arrays["weights"] = fit_log_linear(part_logs(parts, contexts[some]), targets[some])
    of_parts = [run.seconds for run in runs]
    known = [seconds for seconds in of_parts if seconds is not None]
    own = time.perf_counter() - began
    history = [{"step": 0, "seconds": round(sum(known) + own, 4)}] if len(known) == len(runs) else []
    options = TrainOptions(split=corpus.split, split_seed=corpus.split_seed)
    return Run(Model(config, corpus.vocab, arrays=arrays), corpus, options, history)


def em(logs: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """Return the maximum-likelihood weights (parts,) of a linear mixture, and the loss before each round.

    logs (parts, N) are the log-probabilities that each part gives each target. A step sets a part's weight to its mean
    responsibility for the targets, which never lowers the likelihood (Dempster, Laird and Rubin 1977). Steps are small
    if a part is hardly needed. So a round makes two steps, extrapolates them, and keeps the better result (Varadhan and
    Roland 2008).
    """

    def step(weights: np.ndarray) -> tuple[np.ndarray, float]:
        """Return the weights after a step, and the loss before it."""
        joint = np.log(weights)[:, None] + logs
        whole = log_sum(joint)
        return _normalised(np.exp(joint - whole).mean(1)), float(-whole.mean())

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


def fit_log_linear(logs: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return the maximum-likelihood weights (parts,) of a log-linear mixture for targets (N,); logs (parts, N, V)."""
    hit = logs[:, np.arange(len(targets)), targets]

    def loss(x: np.ndarray) -> tuple[float, np.ndarray]:
        w = np.exp(x)
        mixed = np.tensordot(w, logs, 1)
        z = log_sum(mixed.T)
        # the loss is the mean of z - w . hit, and dz / dw_i = sum over v of p_v log p_iv
        expected = (np.exp(mixed - z[:, None]) * logs).sum(2)
        return float((z - w @ hit).mean()), (expected - hit).mean(1) * w

    return np.exp(minimised(loss, np.full(len(logs), -np.log(len(logs)))))
