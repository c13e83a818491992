"""Drawing words from an automaton of counts, a million a second.

What follows a context is computed when a word first comes there: its probabilities one after another, summed up, so
that a number in [0, 1) finds its token by bisection, and the context after each token, once it is known. A table of
such rows keeps them, each at a place given by its node; where nodes outnumber places, the latest one stays.
"""

# pyright: reportMissingParameterType=false

import threading
from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit, types

from ..engine.protocol import Draw
from ..engine.rng import draw_number
from ..engine.tape.compile import compiled_function
from ..engine.tape.generate import weights
from .kernels import NUMBERS, PROBABILITIES, WALK, advance, distribution

CELLS = 1 << 25  # numbers that a table of rows has at most
PIECE = 1 << 20  # tokens that are written at a time


@njit
def fill_row(first, parent, char, p, share, n_vocab, node, path, temperature, top_k, top_p, may_end, out, row):
    """Sums of the weights of all tokens up to each one, after a node -> row (V,). path (order,), out (V,): scratch."""
    distribution(first, parent, char, p, share, n_vocab, node, path, out)
    for v in range(n_vocab):
        out[v] = np.log(out[v])
    weights(out, temperature, top_k, top_p, may_end, row)
    for v in range(1, n_vocab):
        row[v] += row[v - 1]


@njit
def found(row, u):
    """The token that a number u in [0, 1) finds in a row of sums (V,): the first whose sum passes u of the whole."""
    target, low, high = u * row[-1], 0, row.size - 1
    while low < high:
        middle = (low + high) >> 1
        if row[middle] > target:
            high = middle
        else:
            low = middle + 1
    while low > 0 and row[low] == row[low - 1]:  # rounding may pass the last one that can come
        low -= 1
    return low


def write(
    first,
    parent,
    char,
    after,
    start,
    p,
    share,
    n_vocab,
    order,
    prefix,
    temperature,
    top_k,
    top_p,
    seed,
    number,
    last,
    max_length,
    begin,
    kept,
    sums,
    follower,
    tokens,
):
    """Draw words number, number + 1, ... up to `last` -> tokens (M,), each word ended by 0.

    They are drawn by the numbers by which the tape draws them. begin (V,) is the row at the beginning of a word. Of R
    rows, R a power of two, kept (R,) is the node, plus one, sums (R, V) the row itself, and follower (R, V) the node
    after each token, -1 where it is not known yet. Stops before a word that might not fit; returns its number and how
    many tokens were written.
    """
    R, path, out = kept.size, np.zeros(order, np.int64), np.zeros(n_vocab)
    head, at = start, 0
    for token in prefix:
        head = advance(first, parent, char, after, start, head, token)
    while number < last and at + max_length + 1 <= tokens.size:
        node, length = head, prefix.size
        tokens[at : at + length] = prefix
        while length < max_length:
            place = node & (R - 1)
            if kept[place] != node + 1:
                kept[place] = node + 1
                fill_row(
                    first,
                    parent,
                    char,
                    p,
                    share,
                    n_vocab,
                    node,
                    path,
                    temperature,
                    top_k,
                    top_p,
                    True,
                    out,
                    sums[place],
                )
                follower[place] = -1
            token = found(sums[place] if length else begin, draw_number(seed, number, length))
            if token == 0:
                break
            tokens[at + length] = token
            length += 1
            if follower[place, token] < 0:
                follower[place, token] = advance(first, parent, char, after, start, node, token)
            node = follower[place, token]
        tokens[at + length] = 0
        at += length + 1
        number += 1
    return number, at


class Sampler:
    """Draws words by one temperature, top_k and top_p, and keeps its rows from draw to draw.

    walk and probabilities: see `Automaton`. Threads that share one take turns.
    """

    def __init__(
        self, walk: tuple, probabilities: tuple, order: int, how: tuple[float, int, float], cells: int = CELLS
    ):
        self.automaton, self.how = (*walk, *probabilities, order), how
        n_vocab, nodes = probabilities[2], len(probabilities[1])
        self.begin, R = np.zeros(n_vocab), 1 << min(nodes.bit_length(), max(cells // n_vocab, 1).bit_length() - 1)
        first, parent, char, _, start = walk
        path, out = np.zeros(order, np.int64), np.zeros(n_vocab)
        _compiled()[0](first, parent, char, *probabilities, start, path, *how, False, out, self.begin)
        self.rows = np.zeros(R, np.int64), np.empty((R, n_vocab)), np.empty((R, n_vocab), np.int32)
        self._turn = threading.Lock()

    def draw(self, n: int, wanted: Draw, piece: int = PIECE) -> np.ndarray:
        """Draw n words: a flat run of tokens, int32, each word ended by 0."""
        pieces, number, last = [np.zeros(0, np.int32)], wanted.first, wanted.first + n
        prefix, longest = np.array(wanted.prefix, np.int32), wanted.max_length
        buffer = np.empty(max(min(piece, n * (longest + 1)), longest + 1), np.int32)
        with self._turn:
            while number < last:
                number, written = _compiled()[1](
                    *(*self.automaton, prefix, *self.how, wanted.seed, number, last),
                    *(longest, self.begin, *self.rows, buffer),
                )
                pieces.append(buffer[:written].copy())
        return np.concatenate(pieces)


@cache
def _compiled() -> tuple[Callable, ...]:
    count, number, flag = types.int64, types.float64, types.boolean
    rows, tokens = types.float64[:, ::1], types.int32[::1]
    how = (number, count, number)  # temperature, top_k, top_p
    walk = WALK[:3]
    return (
        compiled_function(
            fill_row, types.void(*walk, *PROBABILITIES, count, types.int64[::1], *how, flag, NUMBERS, NUMBERS)
        ),
        compiled_function(
            write,
            types.UniTuple(count, 2)(
                *(*WALK, *PROBABILITIES, count, tokens, *how, count, count, count, count),
                *(NUMBERS, types.int64[::1], rows, types.int32[:, ::1], tokens),
            ),
        ),
    )
