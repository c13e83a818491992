"""Words drawn from a model of contexts, many at the same time, in one compiled loop."""

# pyright: reportMissingParameterType=false

from typing import NamedTuple

import numpy as np

from ..picking import pick_token, weights
from ..rng import draw_number
from .barrier import single_thread
from .batch import batch_of
from .machine import forward


class Settings(NamedTuple):
    """A `Draw` as compiled code takes it; prefix (P,) is int32."""

    prefix: np.ndarray
    temperature: float
    top_k: int
    top_p: float
    seed: int
    first: int
    max_length: int


def generate(program, params, logits, settings, words, lengths):
    """Draw n words -> words (n, max_length + 1) int32 tokens, lengths (n,) characters.

    logits (B, V) is the program's output, a view of its arena. B words grow at the same time; when one ends, another
    takes its row. A word is never empty, and it ends at max_length at the latest. Word j is drawn with numbers that
    depend on (seed, first + j) alone: neither B nor n changes it.
    """
    contexts, _, _ = batch_of(program.ints, program.shape)
    prefix, max_length = settings.prefix, settings.max_length
    (B, T), V = contexts.shape, logits.shape[1]
    n, P, thread = lengths.size, prefix.size, single_thread()
    for j in range(n):
        for k in range(P):
            words[j, k] = prefix[k]
        lengths[j] = P
    active = min(B, n)
    started = active
    word, weight = np.empty(B, np.int64), np.empty(V, logits.dtype)
    for i in range(B):
        word[i] = i
    while active > 0:
        for i in range(active):
            j = word[i]
            for k in range(T):
                place = lengths[j] - T + k
                contexts[i, k] = words[j, place] if place >= 0 else 0
        forward(program, params, params, thread)
        for i in range(active - 1, -1, -1):
            j = word[i]
            length = lengths[j]
            token = 0
            if length < max_length:
                total = weights(logits[i], settings.temperature, settings.top_k, settings.top_p, length > 0, weight)
                token = pick_token(weight, total, draw_number(settings.seed, settings.first + j, length))
            if token != 0:
                words[j, length] = token
                lengths[j] = length + 1
            elif started < n:  # the next word takes the row
                word[i] = started
                started += 1
            else:  # no word is left: the last growing word takes the row
                active -= 1
                word[i] = word[active]
