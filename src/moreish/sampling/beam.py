"""Beam search for the most likely words of a set, all prefixes of one length at a time.

Words are ranked by probability times weight. A prefix bounds all words that begin with it: its probability, times the
largest weight of a word that continues from its state. So a prefix with a lower bound than the n best words found so
far can be dropped; if nothing else is dropped, the words found are the best of all. A search that keeps only some
prefixes of each length is a beam search (Lowerre 1976).

The sooner n good words are known, the more prefixes can be dropped. So `likeliest` first finds n words by a narrow
beam. It keeps the prefixes with the highest probability times look-ahead, the estimate by an n-gram that a prefix ends
in the set. Then a search that drops prefixes with lower bounds than these words, and no others, proves which words are
the most likely. If too many prefixes are left for that, a wide beam with look-ahead finds words without a proof.
"""

from dataclasses import dataclass

import numpy as np

from ..engine.states import state_after
from .constraints import MAX_LENGTH
from .deadline import check_time
from .dfa import DFA
from .lookahead import LookAhead
from .model import SamplingModel
from .options import SamplingOptions

MAX_LOGITS = 1 << 22  # held at a time
QUICK, NARROW, PROOF = 0.2, 0.1, 10  # prefixes of each length in these searches of `likeliest`, in widths
GUIDE_STEPS = 1 << 20  # a small look-ahead finds good words, too
EXTRA_LENGTH = 64  # characters that the words of the narrow beam may have more than the shortest one
ROUNDING = 1e-5  # difference of the logarithms of one probability in two searches


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
    model: SamplingModel,
    options: SamplingOptions,
    words: DFA,
    n: int | None = None,
    *,
    width: int | None = None,
    stop: bool = False,
    ahead: LookAhead | None = None,
    least: float = -np.inf,
    longest: int = MAX_LENGTH,
) -> BeamResult:
    """Find the n most likely words of a set, or all of them, given the prefix that they share.

    width   prefixes of each length to keep; None for all
    stop    end the search at a length with more prefixes than that
    ahead   the look-ahead that chooses the prefixes to keep; without, their bounds do
    least   a lower bound for the log_p of the n most likely words, if one is known
    longest characters of the longest word after the shared prefix
    """
    shared, rest = words.split_prefix()
    if rest.empty or n == 0:
        return BeamResult([], np.zeros(0), True)
    reader, params = model.reader, model.params
    states, at = state_after(reader, params, shared), np.zeros(1, np.int64)  # of the model, and of the set
    contexts = np.array([0 if ahead is None else ahead.context])
    log_p, dropped = np.zeros(1), -np.inf  # of the most likely prefix that the width left out
    parents, tokens = [], []  # for each length: the number of each prefix's parent, and its last token
    ends: list[tuple[int, int]] = []  # of the words found: length after the shared prefix, number of their prefix
    scores = np.zeros(0)
    with np.errstate(divide="ignore"):
        log_weights, log_best = np.log(rest.weights), np.log(rest.best)
    step = max(1, MAX_LOGITS // len(rest.classes))
    for length in range(longest + 1):
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
            if n is not None and len(scores) >= n:
                best = np.sort(np.argsort(-scores, kind="stable")[:n])
                ends, scores = [ends[i] for i in best], scores[best]
                least = max(least, scores.min())
            onward = rest.rows(at[chunk])
            bound = p + log_best[onward]
            parent, token = np.nonzero((onward >= 0) & (bound > least))
            columns = first + parent, *(values[parent, token] for values in (onward, p, bound)), token
            if ahead is not None:
                columns = (
                    *columns,
                    *(values[parent, token] for values in ahead.after(length, contexts[chunk], at[chunk])),
                )
            children.append(columns)
        parent, onward, score, bound, token, *looked = (
            np.concatenate(column) for column in zip(*children, strict=True)
        )
        keep = np.flatnonzero(bound > least)
        if width is not None and len(keep) > width:
            with np.errstate(divide="ignore"):
                rank = score[keep] + np.log(looked[1][keep]) if looked else bound[keep]
            ranked, kept = np.argpartition(-rank, width), 0 if stop else width
            dropped = max(dropped, bound[keep[ranked[kept:]]].max())
            keep = keep[np.sort(ranked[:kept])]
        parent, token, onward, score = parent[keep], token[keep], onward[keep], score[keep]
        if looked:
            contexts = looked[0][keep].astype(np.int64)
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


def likeliest(model: SamplingModel, words: DFA, n: int, width: int) -> BeamResult:
    """Find the n most likely words of a set, given the prefix that they share; prove that they are, if this is cheap.

    width   prefixes of each length to keep if it is not
    """
    options = SamplingOptions()
    quick = beam_search(model, options, words, n, width=int(QUICK * width), stop=True)
    if quick.proven:
        return quick
    prefix, rest = words.split_prefix()
    ahead = LookAhead(model.guide(), rest, prefix, options, GUIDE_STEPS)
    narrow, longest = max(int(NARROW * width), 2 * n), rest.shortest + EXTRA_LENGTH
    found = beam_search(model, options, words, n, width=narrow, ahead=ahead, longest=longest)
    if found.proven:
        return found
    least = found.log_p[-1] - ROUNDING if len(found.words) == n else -np.inf
    proof = beam_search(model, options, words, n, width=PROOF * width, stop=True, least=least)
    return proof if proof.proven else beam_search(model, options, words, n, width=width, ahead=ahead, least=least)


def _backtrack(length: int, number: int, parents: list[np.ndarray], tokens: list[np.ndarray]) -> list[int]:
    """Return the tokens of a prefix, following the parents from its last token back to its first."""
    found = []
    for k in range(length - 1, -1, -1):
        found.append(int(tokens[k][number]))
        number = int(parents[k][number])
    return found[::-1]
