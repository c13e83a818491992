"""Going through the words of a set from the likeliest on, all prefixes of a length side by side.

A prefix is at least as likely as any word that begins with it, so one that is less likely than the n likeliest words
found so far can be dropped. If nothing else had to be, the words found are the likeliest of all; a search that keeps
only the best `width` prefixes of a length is a beam search (Lowerre 1976).
"""

from dataclasses import dataclass

import numpy as np

from .constraints import LONGEST
from .contexts import Contexts
from .deadline import check_time
from .dfa import DFA
from .dynamic_programming import SamplingOptions

CELLS = 1 << 22  # logits that are held at a time


@dataclass(frozen=True)
class Found:
    """Words from the likeliest on.

    words   their tokens
    log_p   the logarithm of each one's probability (n,): after what every word of the set begins with, if that is given
    proven  whether no likelier word can have been missed
    """

    words: list[list[int]]
    log_p: np.ndarray
    proven: bool


def likeliest(
    contexts: Contexts, chances: SamplingOptions, words: DFA, n: int | None = None, *, width: int | None = None
) -> Found:
    """The n likeliest words of a set, or all of them. What all its words begin with is given: it costs nothing.

    width   how many prefixes of a length are kept; None for all
    """
    head, rest = words.head()
    if rest.empty or n == 0:
        return Found([], np.zeros(0), True)
    rows, state = contexts.begin[None], np.zeros(1, np.int64)
    for token in head:
        rows = contexts.after(rows, np.array([token]))
    log_p, dropped = np.zeros(1), -np.inf  # the likeliest prefix that there was no room for
    came, chose = [], []  # at each length: the prefix that each one goes on from, and its last token
    ends: list[tuple[int, int]] = []  # of words: their length after the head, and the number of their prefix
    scores = np.zeros(0)
    for length in range(LONGEST + 1):
        may_end = bool(head) or length > 0
        children = []
        for first in range(0, len(rows), max(1, CELLS // rest.delta.shape[1])):
            check_time()
            some = slice(first, first + max(1, CELLS // rest.delta.shape[1]))
            with np.errstate(divide="ignore"):
                p = np.log(chances(contexts.logits(rows[some]), may_end)) + log_p[some, None]
            done = np.flatnonzero(rest.accept[state[some]] & np.isfinite(p[:, 0]))
            ends += [(length, first + int(i)) for i in done]
            scores = np.concatenate([scores, p[done, 0]])
            onward = rest.delta[state[some]]
            parent, token = np.nonzero((onward >= 0) & np.isfinite(p))
            children.append((first + parent, token, onward[parent, token], p[parent, token]))
        parent, token, onward, score = (np.concatenate(column) for column in zip(*children, strict=True))
        if n is not None and len(scores) > n:
            best = np.sort(np.argsort(-scores, kind="stable")[:n])
            ends, scores = [ends[i] for i in best], scores[best]
        if n is not None and len(scores) == n:
            keep = score > scores.min()
            parent, token, onward, score = parent[keep], token[keep], onward[keep], score[keep]
        if width is not None and len(score) > width:
            ranked = np.argpartition(-score, width)
            keep, dropped = np.sort(ranked[:width]), max(dropped, score[ranked[width:]].max())
            parent, token, onward, score = parent[keep], token[keep], onward[keep], score[keep]
        came.append(parent)
        chose.append(token)
        if not len(parent):
            break
        rows, state, log_p = contexts.after(rows[parent], token), onward.astype(np.int64), score
    else:
        dropped = max(dropped, log_p.max())
    order = np.argsort(-scores, kind="stable")
    proven = bool(dropped == -np.inf or (len(scores) == n and dropped <= scores.min()))
    found = [head + _spelt(length, number, came, chose) for length, number in (ends[i] for i in order)]
    return Found(found, scores[order], proven)


def _spelt(length: int, number: int, came: list[np.ndarray], chose: list[np.ndarray]) -> list[int]:
    """The tokens of a prefix, by going back from its last one."""
    tokens = []
    for k in range(length - 1, -1, -1):
        tokens.append(int(chose[k][number]))
        number = int(came[k][number])
    return tokens[::-1]
