"""Drawing words from an automaton of counts, a million a second.

The first time that a word reaches a node, a row is computed for it: the cumulated weights of all tokens, in which
bisection finds the token for a number in [0, 1), and the node after each token, as it becomes known. Rows are kept in a
table, at a place given by the node. If there are more nodes than places, a later node overwrites an earlier one.
"""

# pyright: reportMissingParameterType=false

import threading
from typing import NamedTuple

import numpy as np

from ..engine.compiler import compiler
from ..engine.picking import GREEDY_BELOW, weights
from ..engine.protocol import Draw
from ..engine.rng import draw_number
from ..layers.jit import fields, njit
from .kernels import Graph, Probabilities, distribution, next_node
from .small import SmallSampler, is_short

MAX_ROW_CELLS = 1 << 25  # numbers in the table of rows, at most
BUFFER_TOKENS = 1 << 20  # tokens written at a time


@fields("float64", "int64", "float64")
class DrawOptions(NamedTuple):
    """Options that change the probabilities to draw by; see `Draw`."""

    temperature: float
    top_k: int
    top_p: float


@fields("float64[::1]", "int64[::1]", "float64[:, ::1]", "int32[:, ::1]")
class Rows(NamedTuple):
    """A table of R rows, R a power of two.

    begin       cumulated weights at the beginning of a word, where it may not end, float64 (V,)
    node        the node of each row, plus one; 0 for an empty row, int64 (R,)
    sums        cumulated weights of all tokens, float64 (R, V)
    follower    the node after each token, -1 while it is not known, int32 (R, V)
    """

    begin: np.ndarray
    node: np.ndarray
    sums: np.ndarray
    follower: np.ndarray


@fields("int32[::1]", *4 * ("int64",))
class Words(NamedTuple):
    """Words to draw: those numbered first, first + 1, ..., last - 1.

    prefix      tokens that every word begins with, int32 (P,)
    max_length  characters at which a word is cut
    """

    prefix: np.ndarray
    max_length: int
    seed: int
    first: int
    last: int


@njit
def fill_row(graph, probabilities, node, options, may_end, path, out, row):
    """Write the cumulated weights of all tokens after a node to row (V,). path (order,) and out (V,) are scratch."""
    distribution(graph, probabilities, node, path, out)
    for v in range(out.size):
        out[v] = np.log(out[v])
    weights(out, options.temperature, options.top_k, options.top_p, may_end, row)
    for v in range(1, out.size):
        row[v] += row[v - 1]


@njit
def pick_token(row, u):
    """Return the first token whose cumulated weight passes u times the total: row (V,), u in [0, 1)."""
    target, low, high = u * row[-1], 0, row.size - 1
    while low < high:
        middle = (low + high) >> 1
        if row[middle] > target:
            high = middle
        else:
            low = middle + 1
    while low > 0 and row[low] == row[low - 1]:  # rounding may pass the last token with a weight
        low -= 1
    return low


def write(graph, probabilities, options, rows, words, tokens):
    """Draw words into tokens (M,), each ended by 0, by the same random numbers as the tape.

    Stops before a word that might not fit. Returns the number of that word and how many tokens were written.
    """
    prefix, max_length, seed = words.prefix, words.max_length, words.seed
    begin, row_node, sums, follower = rows.begin, rows.node, rows.sums, rows.follower
    R, path, out = row_node.size, np.zeros(probabilities.order, np.int64), np.zeros(probabilities.n_vocab)
    head, at, number = graph.start, 0, words.first
    fill_row(graph, probabilities, graph.start, options, False, path, out, begin)
    for token in prefix:
        head = next_node(graph, head, token)
    while number < words.last and at + max_length + 1 <= tokens.size:
        node, length = head, prefix.size
        for k in range(length):  # a slice takes a second to compile
            tokens[at + k] = prefix[k]
        while length < max_length:
            place = node & (R - 1)
            if row_node[place] != node + 1:
                row_node[place] = node + 1
                fill_row(graph, probabilities, node, options, True, path, out, sums[place])
                follower[place] = -1
            token = pick_token(sums[place] if length else begin, draw_number(seed, number, length))
            if token == 0:
                break
            tokens[at + length] = token
            length += 1
            if follower[place, token] < 0:
                follower[place, token] = next_node(graph, node, token)
            node = follower[place, token]
        tokens[at + length] = 0
        at += length + 1
        number += 1
    return number, at


SIGNATURES = {write: "UniTuple(int64, 2)(Graph, Probabilities, DrawOptions, Rows, Words, int32[::1])"}
compiled = compiler(SIGNATURES, "n-gram sampling")


class Sampler:
    """Draws words with one set of options, and keeps its rows from draw to draw. Threads take turns.

    max_cells   numbers in the table of rows, at most
    """

    def __init__(
        self, graph: Graph, probabilities: Probabilities, options: DrawOptions, max_cells: int = MAX_ROW_CELLS
    ):
        self._automaton = graph, probabilities, options
        V, n_nodes = probabilities.n_vocab, len(probabilities.share)
        R = 1 << min(n_nodes.bit_length(), max(max_cells // V, 1).bit_length() - 1)
        self.rows = Rows(np.empty(V), np.zeros(R, np.int64), np.empty((R, V)), np.empty((R, V), np.int32))
        self._small = None
        if options.temperature >= GREEDY_BELOW and options.top_k == 0 and options.top_p == 1:
            self._small = SmallSampler(graph, probabilities, options.temperature)
        self._lock = threading.Lock()

    def draw(self, n: int, draw: Draw, buffer_tokens: int = BUFFER_TOKENS) -> np.ndarray:
        """Draw n words: a flat array of tokens, int32, each word ended by 0."""
        words = Words(np.array(draw.prefix, np.int32), draw.max_length, draw.seed, draw.first, draw.first + n)
        if self._small is not None and is_short(n * draw.max_length):
            return self._small.draw(*words)
        longest = draw.max_length + 1
        buffer, drawn = np.empty(max(min(buffer_tokens, n * longest), longest), np.int32), [np.zeros(0, np.int32)]
        with self._lock:
            while words.first < words.last:
                number, written = compiled(write)(*self._automaton, self.rows, words, buffer)
                words = words._replace(first=number)
                drawn.append(buffer[:written].copy())
        return np.concatenate(drawn)
