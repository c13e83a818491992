"""Drawing words of a set from any model, with an n-gram that looks ahead.

Prefixes of words grow together, level by level, as in a beam search. Each has a weight, at first 1. A prefix h of
weight w has children h v of weight w p(v | h), and w p(end | h) is that of the word h. If there are more than N of
both, N are kept at random. The chance of one is about proportional to its weight times the value of the look-ahead
there, at most 1, and its weight is divided by the chance (Fearnhead and Clifford 2003). So the expectation of a word's
weight is its probability, whatever the look-ahead says; the better it knows how prefixes end, the more equal the
weights are. At the end the words asked for are drawn from those kept, in proportion to their weights.

If no prefix had to be left out, all words of the set are there with their probabilities, and the draw is exact.
Otherwise several groups of prefixes grow independently of each other. The total weight of each estimates the
probability of the set; N draws with the same variance of the estimate are the effective sample size.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..corpus import Vocab
from ..engine.states import next_states, state_after
from .deadline import check_time
from .lookahead import LookAhead
from .model import SamplingModel
from .options import SamplingOptions

GROUPS = 8
PLAIN = 0.03  # share of the prefixes that are kept without looking ahead
LEAST_SCORE = 0.25  # of what is surely kept, relative to the mean
LEAST_MASS = 1e-150  # whose square is not 0
MOST_CELLS = 1 << 22  # children at a time


@dataclass(frozen=True)
class Grown:
    """Words with weights.

    words       tokens, int32 (n, longest), 0 after the end
    weights     float64 (n,): the mean over groups of the sum of the weights is the share of the model's words
    groups      of each word, int64 (n,)
    complete    True if these are all words of the set
    """

    words: np.ndarray
    weights: np.ndarray
    groups: np.ndarray
    complete: bool

    def spell(self, vocab: Vocab) -> list[str]:
        """Return the words as text."""
        ended = np.pad(self.words, ((0, 0), (0, 1)))
        inside = np.arange(ended.shape[1]) <= np.count_nonzero(ended, 1)[:, None]
        return vocab.split(ended[inside])

    def masses(self) -> np.ndarray:
        """Return the sum of the weights of each group, (GROUPS,)."""
        return np.bincount(self.groups, self.weights, minlength=GROUPS)


def grow(
    model: SamplingModel,
    ahead: LookAhead,
    prefix: Sequence[int],
    options: SamplingOptions,
    per_group: int,
    longest: int,
    generator: "np.random.Generator",
) -> Grown:
    """Grow the words that continue a prefix by up to `longest` characters, with per_group prefixes in each group."""
    reader, params, sets = model.reader, model.params, ahead.words
    states, of = state_after(reader, params, prefix), np.zeros(GROUPS, np.int64)
    contexts, at = np.full(GROUPS, ahead.context), np.zeros(GROUPS, np.int64)
    weights, groups = np.ones(GROUPS), np.arange(GROUPS)
    parents, tokens, complete = [], [], True
    # Of the words that have ended: length, number of the prefix, weight and group.
    ended = np.zeros((0, 2), np.int64), np.zeros(0), np.zeros(0, np.int64)
    size = max(1, MOST_CELLS // len(model.vocab))
    for length in range(longest + 1):
        children, finished = [], np.zeros(len(weights))
        for first in range(0, len(weights), size):
            check_time()
            some = slice(first, first + size)
            different, number = np.unique(of[some], return_inverse=True)
            logits = reader.logits(params, states[different])
            p = options.probabilities(logits, len(prefix) + length > 0)[number] * weights[some, None]
            finished[some] = p[:, 0] * sets.weights[at[some]]
            if length == longest:
                continue
            reached, value = ahead.after(length, contexts[some], at[some])
            value *= p
            parent, token = np.nonzero(value[:, 1:])
            token += 1
            children.append((first + parent, token, reached[parent, token], p[parent, token], value[parent, token]))
            if len(weights) > size:  # keep few of many, so that memory does
                last = children[-1]
                of_children = groups[last[0]]
                kept, scale = thinned(scores(last[4], last[3], of_children), of_children, per_group, generator)
                children[-1] = (*(column[kept] for column in last[:3]), last[3][kept] * scale, last[4][kept] * scale)
        done = np.flatnonzero(finished)
        places = np.stack([np.full(len(done), length), done], 1)
        ended = tuple(np.concatenate(pair) for pair in zip(ended, (places, finished[done], groups[done]), strict=True))
        if not children:
            break
        parent, token, context, weight, value = (np.concatenate(column) for column in zip(*children, strict=True))
        n_ended = len(ended[1])
        all_groups = np.concatenate([ended[2], groups[parent]])
        score = scores(*(np.concatenate([ended[1], each]) for each in (value, weight)), all_groups)
        kept, scale = thinned(score, all_groups, per_group, generator)
        complete &= len(kept) == len(all_groups) and len(weights) <= size
        split = int(np.searchsorted(kept, n_ended))
        still, on = kept[:split], kept[split:] - n_ended
        ended = ended[0][still], ended[1][still] * scale[:split], ended[2][still]
        parent, token, contexts = parent[on], token[on], context[on].astype(np.int64)
        parents.append(parent)
        tokens.append(token)
        if not len(on):
            break
        weights, groups = weight[on] * scale[split:], groups[parent]
        at = sets.after(at[parent], token).astype(np.int64)
        states, of = next_states(reader, params, states, of[parent], token)
    return Grown(_spelt(prefix, ended[0], parents, tokens), ended[1], ended[2], complete)


def scores(guided: np.ndarray, plain: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Return the scores by which items are kept: their shares of the group's sum of `guided`, and a bit of `plain`.

    So what is likely is seldom left out, even if the look-ahead is wrong about it (Hesterberg 1995).
    """
    of_guided, of_plain = (np.bincount(groups, each, minlength=GROUPS) for each in (guided, plain))
    return (1 - PLAIN) * guided / of_guided[groups] + PLAIN * plain / of_plain[groups]


def thinned(
    weights: np.ndarray, groups: np.ndarray, most: int, generator: "np.random.Generator"
) -> tuple[np.ndarray, np.ndarray]:
    """Keep at most `most` of the items of each group: their numbers, sorted, and what their weights are multiplied by.

    If there are more, an item of weight w is kept with probability min(1, w / c), and its weight is divided by that.
    c is the number that keeps `most` of them, or a larger one if many weights are far below the mean. Those below c are
    kept at even steps of their cumulated weight.
    """
    counts = np.bincount(groups, minlength=GROUPS)
    if counts.max(initial=0) <= most:
        return np.arange(len(weights)), np.ones(len(weights))
    order, ends = np.argsort(groups.astype(np.int8), kind="stable"), np.cumsum(counts)
    all_kept, scales = [], []
    for numbers in np.split(order, ends[:-1]):
        own = weights[numbers]
        if len(own) <= most:
            all_kept.append(numbers)
            scales.append(np.ones(len(own)))
            continue
        largest = np.argpartition(-own, most)[:most]
        largest = largest[np.argsort(-own[largest], kind="stable")]
        others = own.copy()
        others[largest] = 0
        left = others.sum() + np.cumsum(own[largest][::-1])[::-1]  # without the k largest
        threshold = left / np.arange(most, 0, -1)
        n_sure = int(np.argmax(own[largest] <= threshold))
        c = max(threshold[n_sure], LEAST_SCORE * own.sum() / most)
        sure = own > c
        light = np.flatnonzero(~sure)
        sums, first = np.cumsum(own[light]), generator.random()
        steps = np.arange(first, sums[-1] / c)[: most - np.count_nonzero(sure)] * c
        picked = light[np.unique(np.minimum(np.searchsorted(sums, steps, "right"), len(light) - 1))]
        all_kept += [numbers[sure], numbers[picked]]
        scales += [np.ones(np.count_nonzero(sure)), c / own[picked]]
    kept, scale = np.concatenate(all_kept), np.concatenate(scales)
    order = np.argsort(kept)
    return kept[order], scale[order]


def _spelt(
    prefix: Sequence[int], places: np.ndarray, parents: list[np.ndarray], tokens: list[np.ndarray]
) -> np.ndarray:
    """Return words (n, longest) as tokens, following the parents of their prefixes back from their ends.

    places (n, 2) are the length of each word after the prefix and the number of its prefix among those of that length.
    """
    length, number = places.T.copy()
    longest = int(length.max(initial=0))
    found = np.zeros((len(places), len(prefix) + longest), np.int32)
    found[:, : len(prefix)] = prefix
    for k in range(longest - 1, -1, -1):
        there = np.flatnonzero(length > k)
        found[there, len(prefix) + k] = tokens[k][number[there]]
        number[there] = parents[k][number[there]]
    return found


def effective_share(masses: np.ndarray, per_group: np.ndarray) -> float:
    """Return the effective sample size of some batches as a share of their prefixes.

    masses (batches, GROUPS) are those of the groups of each, per_group (batches,) the prefixes in a group.
    """
    spread = per_group * masses.var(1, ddof=1) / np.maximum(masses.mean(1), LEAST_MASS) ** 2
    return float(1 / (1 + np.average(spread, weights=per_group)))


def chosen(weights: np.ndarray, n: int, generator: "np.random.Generator", *, again: bool) -> np.ndarray:
    """Draw n numbers in proportion to weights: at even steps of their cumulated weight, in random order.

    again   True if a number may be drawn several times; without, they are those of the first n different ones of a
            series of draws, or all
    """
    if not again:
        # Exponential waiting times: the order in which each first comes (Efraimidis and Spirakis 2006).
        waits = generator.exponential(size=len(weights)) / np.maximum(weights, 1e-300)
        return np.argsort(waits, kind="stable")[: min(n, np.count_nonzero(weights))]
    sums = np.cumsum(weights)
    steps = (generator.random() + np.arange(n)) * (sums[-1] / n)
    return generator.permutation(np.minimum(np.searchsorted(sums, steps, "right"), len(weights) - 1))
