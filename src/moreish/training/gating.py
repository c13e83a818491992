"""Fitting the weights of a mixture that depend on the context, to val tokens.

The loss is the mean nll, plus an L2 penalty on the thetas of all features but the constant 1. The strength of the
penalty is chosen by cross-validation over words: the infinite strength means fixed weights. Those are chosen unless
others are better on the held-out words by more than TRUSTED standard errors of the difference.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from ..engine.bfgs import minimised
from ..evaluation import FEWEST
from ..models.gate import LARGEST_SCORE, Gate, log_sum, log_weights

STRENGTHS = (0.1, 0.01, 0.001)  # of the penalty: theta**2 * strength / 2 is added to the loss in nats per token
FOLDS = 5
TRUSTED = 2.0
LEAST_GAIN = 1e-5  # nats per token; smaller differences may be rounding
FIT_GAIN = 1e-6  # nats per token; a fit stops at a step that gains less
LEAST_WEIGHT = 0.01  # that a part starts with: at a weight of 0 the loss has no slope


class Tokens(NamedTuple):
    """N tokens that weights are fitted to.

    hit         log-probabilities that each part gives them, (parts, N)
    features    of their contexts, (N, n): see `gate`
    words       the number of each one's word, (N,)
    counts      how often each counts, (N,)
    targets     (N,)
    logs        for log-linear mixtures, log-probabilities that each part gives every token in their place (parts, N, V)
    """

    hit: np.ndarray
    features: np.ndarray
    words: np.ndarray
    counts: np.ndarray
    targets: np.ndarray
    logs: np.ndarray | None = None

    @property
    def kind(self) -> str:
        return "linear" if self.logs is None else "log-linear"

    def some(self, which: np.ndarray) -> "Tokens":
        """Return some of the tokens: which (N,) is bool."""
        logs = None if self.logs is None else self.logs[:, which]
        features, words, counts, targets = (rows[which] for rows in self[1:5])
        return Tokens(self.hit[:, which], features, words, counts, targets, logs)


def joined(pieces: Sequence[Tokens]) -> Tokens:
    """Join the tokens of several pieces."""
    hit, *rows, logs = zip(*pieces, strict=True)
    features, words, counts, targets = map(np.concatenate, rows)
    whole = None if logs[0] is None else np.concatenate(logs, axis=1)
    return Tokens(np.concatenate(hit, axis=1), features, words, counts, targets, whole)


def losses(tokens: Tokens, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the nll of each token (N,) in a mixture with scores theta_i . f(h) (parts, N), and its slopes in these."""
    own = log_weights(tokens.kind, scores)
    w = np.exp(own)
    if tokens.logs is None:
        joint = own + tokens.hit
        whole = log_sum(joint)
        # the weights are a softmax, so d whole / d score_i = responsibility_i - w_i
        return -whole, w - np.exp(joint - whole)
    mixed = np.einsum("kn,knv->nv", w, tokens.logs)
    largest = mixed.max(1)
    p = np.exp(mixed - largest[:, None])
    total = p.sum(1)
    # the loss is z - w . hit, where z = log sum over v of exp(mixed_v), and dz / dw_i = sum over v of p_v log p_iv
    expected = np.einsum("nv,knv->kn", p, tokens.logs) / total
    return largest + np.log(total) - (w * tokens.hit).sum(0), w * (expected - tokens.hit) * (scores < LARGEST_SCORE)


def penalised(tokens: Tokens, f: np.ndarray, strength: float, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the mean nll with a penalty, and its gradient, flat; theta is flat too; f (N, 1 + n) are the features."""
    theta = theta.reshape(len(tokens.hit), -1)
    nll, slopes = losses(tokens, theta @ f.T)
    share, pulled = tokens.counts / tokens.counts.sum(), strength * theta
    pulled[:, 0] = 0
    return float(share @ nll + (pulled * theta).sum() / 2), ((slopes * share) @ f + pulled).ravel()


def fit_gate(tokens: Tokens, weights: np.ndarray, strengths: tuple[float, ...]) -> list[Gate]:
    """Fit gates with some strengths of the penalty, the strongest first: each begins where the one before it ends.

    weights (parts,) are fixed ones, with which the first begins.
    """
    mean = np.average(tokens.features, axis=0, weights=tokens.counts)
    std = np.sqrt(np.average((tokens.features - mean) ** 2, axis=0, weights=tokens.counts))
    gate = Gate(np.zeros((len(weights), 1 + len(mean))), mean, np.where(std > 1e-9, std, 1.0))
    f, theta, found = gate.standardised(tokens.features), gate.theta, []
    theta[:, 0] = np.log(np.maximum(weights, LEAST_WEIGHT))
    for strength in strengths:
        x = minimised(partial(penalised, tokens, f, strength), theta.ravel(), least=FIT_GAIN)
        theta = x.reshape(theta.shape)
        found.append(gate._replace(theta=theta))
    return found


def chosen_gate(tokens: Tokens, fixed: Callable[[Tokens], np.ndarray]) -> tuple[Gate, np.ndarray] | None:
    """Return a gate with the strength that cross-validation chooses, and the mean weights; None for fixed weights.

    fixed   a function that fits fixed weights (parts,)
    """
    numbers, words = np.unique(tokens.words, return_inverse=True)
    if len(numbers) < FEWEST:
        return None
    fold = np.random.default_rng(0).permutation(len(numbers))[words] % FOLDS
    gains = np.zeros((len(STRENGTHS), len(words)))  # of the held-out tokens, in nats
    for k in range(FOLDS):
        seen, held_out = tokens.some(fold != k), tokens.some(fold == k)
        weights = fixed(seen)
        before = losses(held_out, np.repeat(np.log(weights)[:, None], len(held_out.words), 1))[0]
        for row, gate in zip(gains, fit_gate(seen, weights, STRENGTHS), strict=True):
            row[fold == k] = before - losses(held_out, gate.scores(held_out.features))[0]
    best = int(np.argmax(gains @ tokens.counts))
    gain, error = mean_of_words(gains[best], words, tokens.counts)
    if gain < max(LEAST_GAIN, TRUSTED * error):
        return None
    gate = fit_gate(tokens, fixed(tokens), STRENGTHS[: best + 1])[-1]
    mean = np.average(np.exp(gate.log_weights(tokens.kind, tokens.features)), axis=1, weights=tokens.counts)
    return gate._replace(gain=gain), mean


def mean_of_words(values: np.ndarray, words: np.ndarray, counts: np.ndarray) -> tuple[float, float]:
    """Return the mean of the values of tokens (N,), and its standard error; the words (N,) are independent."""
    mean = np.average(values, weights=counts)
    return float(mean), float(np.sqrt((np.bincount(words, counts * (values - mean)) ** 2).sum()) / counts.sum())
