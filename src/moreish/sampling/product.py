"""The product of the contexts of a model and the automaton of a set of words, compiled.

While a word is read, it is at a pair of a context c and a state q. `expect` computes, for all contexts and one state,
the expectation of a value: some weight at the end of the word, and b of the pair after any other character:

    weight p(end | c) + sum over characters v of p(v | c) b(c v, delta(q, v))

The characters without an entry at c have the probabilities of its parent, times the share of c, and lead to the same
contexts as from there. So their sum is that of the parent less what the parent has for the characters with entries.
"""

# pyright: reportMissingParameterType=false

from typing import NamedTuple

import numpy as np

from ..engine.compiler import compiler
from ..engine.rng import draw_number
from ..layers.jit import fields, njit


@fields("int32[:, ::1]", "float64[::1]", "int64[::1]")
class States(NamedTuple):
    """An automaton for compiled code; see `DFA`: delta (Q, K), weights (Q,), classes (V,)."""

    delta: np.ndarray
    weights: np.ndarray
    classes: np.ndarray


def expect(table, states, q, weight, b, out):
    """Write the expectation for state q and every context to out (C,); b (Q, C).

    If no context has a share, out may be a row of b. Then contexts see the new values of those before them.
    """
    first, char, after, p, parent = table.first, table.char, table.after, table.p, table.parent
    share, lower, lower_after = table.share, table.lower, table.lower_after
    delta, classes = states.delta, states.classes
    for c in range(out.size):
        own, rest = weight * table.end[c], 0.0
        if share[c] > 0:
            rest = share[c] * (out[parent[c]] - weight * table.end[parent[c]])
        for e in range(first[c], first[c + 1]):
            reached = delta[q, classes[char[e]]]
            if reached >= 0:
                own += p[e] * b[reached, after[e]]
                if share[c] > 0:
                    rest -= lower[e] * b[reached, lower_after[e]]
        out[c] = own + max(rest, 0.0)  # of nothing but rounding, it may be negative


@njit
def continuations(table, c, p, after):
    """Write the probability of each token after context c, and the context that it leads to, to p and after (V,)."""
    first, char, parent, share = table.first, table.char, table.parent, table.share
    depth, at = 0, c
    while share[at] > 0:
        at = parent[at]
        depth += 1
    while True:
        for e in range(first[at], first[at + 1]):
            p[char[e]], after[char[e]] = table.p[e], table.after[e]
        if depth == 0:
            return
        depth -= 1
        at = c
        for _ in range(depth):
            at = parent[at]
        for v in range(p.size):
            p[v] *= share[at]


def draw(table, states, b, context, words, tokens):
    """Draw words into tokens (M,), each ended by 0.

    After its prefix a word is at state 0 and a context. max_length counts the characters after the prefix; a longer
    word becomes empty. Stops before a word that might not fit. Returns the number of that word and how many tokens were
    written.
    """
    delta, classes, prefix, longest = states.delta, states.classes, words.prefix, words.max_length
    V = classes.size
    p, weight, after, at, number = np.zeros(V), np.zeros(V), np.zeros(V, np.int32), 0, words.first
    while number < words.last and at + prefix.size + longest + 1 <= tokens.size:
        q, c, length, token = 0, context, 0, 0
        for k in range(prefix.size):  # a slice takes a second to compile
            tokens[at + k] = prefix[k]
        while length <= longest:
            continuations(table, c, p, after)
            total = 0.0
            for v in range(V):
                weight[v] = 0.0
                reached = delta[q, classes[v]]
                if v == 0:
                    weight[v] = table.end[c] * states.weights[q]
                elif reached >= 0:
                    weight[v] = p[v] * b[reached, after[v]]
                total += weight[v]
            target, passed, token = draw_number(words.seed, number, prefix.size + length) * total, 0.0, 0
            for v in range(V):
                if weight[v] > 0:
                    passed += weight[v]
                    token = v
                    if passed > target:
                        break
            if token == 0 or length == longest:
                break
            tokens[at + prefix.size + length] = token
            q, c = delta[q, classes[token]], after[token]
            length += 1
        at += prefix.size + length if token == 0 else 0
        tokens[at] = 0
        at += 1
        number += 1
    return number, at


def look(table, states, b, contexts, at, reached, value):
    """Look at what each token leads to from N pairs of a context and a state (`contexts` and `at`).

    Writes the contexts after each token to reached and b of the pairs there to value, (N, V); b is (Q, C).
    """
    delta, classes, V = states.delta, states.classes, states.classes.size
    p, after = np.zeros(V), np.zeros(V, np.int32)
    for i in range(contexts.size):
        continuations(table, contexts[i], p, after)
        for v in range(V):
            q = delta[at[i], classes[v]]
            reached[i, v], value[i, v] = after[v], b[q, after[v]] if q >= 0 else 0.0


SIGNATURES = {
    expect: "void(Table, States, int64, float64, float64[:, ::1], float64[::1])",
    draw: "UniTuple(int64, 2)(Table, States, float64[:, ::1], int64, Words, int32[::1])",
    look: "void(Table, States, float64[:, ::1], int64[::1], int64[::1], int32[:, ::1], float64[:, ::1])",
}
compiled = compiler(SIGNATURES, "constrained sampling")
