"""Beam search for the most likely words of a set, all prefixes of one length at a time.

Words are ranked by probability times weight. A prefix bounds all words that begin with it: its probability, times the
largest weight of a word that continues from its state. So a prefix with a lower bound than the n best words found so
far can be dropped; if nothing else is dropped, the words found are the best of all. A search that keeps only the
`width` prefixes of each length with the highest bounds is a beam search (Lowerre 1976).
"""

from dataclasses import dataclass

import numpy as np

from ..engine.states import state_after
from .constraints import MAX_LENGTH
from .deadline import check_time
from .dfa import DFA
from .model import SamplingModel
from .options import SamplingOptions

MAX_LOGITS = 1 << 22  # held at a time


@dataclass(frozen=True)
class BeamResult:
    """Words, the most likely first.

    words   their tokens
    log_p   the logarithm of each word's probability times its weight, (n,), given the prefix that all words of the set
            share
    proven  True if the search cannot have missed a more likely word
    """

    words: list[list[int]]
    log_p: np.ndarray
    proven: bool


def beam_search(
    model: SamplingModel, options: SamplingOptions, words: DFA, n: int | None = None, *, width: int | None = None
) -> BeamResult:
    """Find the n most likely words of a set, or all of them, given the prefix that they share.

    width   prefixes of each length to keep; None for all
    """
    shared, rest = words.split_prefix()
    if rest.empty or n == 0:
        return BeamResult([], np.zeros(0), True)
    reader, params = model.reader, model.params
    states, at = state_after(reader, params, shared), np.zeros(1, np.int64)  # of the model, and of the set
    log_p, dropped = np.zeros(1), -np.inf  # of the most likely prefix that the width left out
    parents, tokens = [], []  # for each length: the number of each prefix's parent, and its last token
    ends: list[tuple[int, int]] = []  # of the words found: length after the shared prefix, number of their prefix
    scores = np.zeros(0)
    with np.errstate(divide="ignore"):
        log_weights, log_best = np.log(rest.weights), np.log(rest.best)
    step = max(1, MAX_LOGITS // len(rest.classes))
    for length in range(MAX_LENGTH + 1):
        may_end = bool(shared) or length > 0
        children = []
        for first in range(0, len(states), step):
            check_time()
            chunk = slice(first, first + step)
            with np.errstate(divide="ignore"):
                p = np.log(options.probabilities(reader.logits(params, states[chunk]), may_end)) + log_p[chunk, None]
            done = np.flatnonzero(rest.accept[at[chunk]] & np.isfinite(p[:, 0]))
            ends += [(length, first + int(i)) for i in done]
            scores = np.concatenate([scores, p[done, 0] + log_weights[at[chunk][done]]])
            onward = rest.rows(at[chunk])
            parent, token = np.nonzero((onward >= 0) & np.isfinite(p))
            children.append((first + parent, token, onward[parent, token], p[parent, token]))
        parent, token, onward, score = (np.concatenate(column) for column in zip(*children, strict=True))
        bound = score + log_best[onward]
        if n is not None and len(scores) > n:
            best = np.sort(np.argsort(-scores, kind="stable")[:n])
            ends, scores = [ends[i] for i in best], scores[best]
        if n is not None and len(scores) == n:
            keep = bound > scores.min()
            parent, token, onward, score, bound = parent[keep], token[keep], onward[keep], score[keep], bound[keep]
        if width is not None and len(bound) > width:
            ranked = np.argpartition(-bound, width)
            keep, dropped = np.sort(ranked[:width]), max(dropped, bound[ranked[width:]].max())
            parent, token, onward, score = parent[keep], token[keep], onward[keep], score[keep]
        parents.append(parent)
        tokens.append(token)
        if not len(parent):
            break
        states, at, log_p = reader.after(params, states[parent], token), onward.astype(np.int64), score
    else:
        dropped = max(dropped, (log_p + log_best[at]).max())
    order = np.argsort(-scores, kind="stable")
    proven = bool(dropped == -np.inf or (len(scores) == n and dropped <= scores.min()))
    found = [shared + _backtrack(length, number, parents, tokens) for length, number in (ends[i] for i in order)]
    return BeamResult(found, scores[order], proven)


def _backtrack(length: int, number: int, parents: list[np.ndarray], tokens: list[np.ndarray]) -> list[int]:
    """Return the tokens of a prefix, following the parents from its last token back to its first."""
    found = []
    for k in range(length - 1, -1, -1):
        found.append(int(tokens[k][number]))
        number = int(parents[k][number])
    return found[::-1]
