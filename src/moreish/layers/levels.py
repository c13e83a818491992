"""Levels: the rows of a batch in the order in which words are read, for layers that go along words.

A row is a prefix of a word: the place after reading some of its characters. The rows of level 0 have read the token 0
before the word, those of level 1 its first character as well, and so on. All rows of a level are computed together,
from those of the level before it. The first rows of a level are the ones that go on: they have children on the next.

    level 0     ""                      children: m, e
    level 1     m, e                    children: ma of m; em of e
    level 2     ma, em, ...

Equal prefixes may be one row. Then it stands for all words that begin so, and the pairs of a row and a token that
follows it have counts. This is exact, as a row depends on its prefix alone.

States go from level to level through `past`: the states that rows continue, level after level, in one array. The first
ones are those that level 0 continues: the start of a word, or states from outside.

A layer that looks back at all rows before a row, as attention does, follows `before` from row to row. Where the levels
of a batch are computed one by one, as they are to draw words, such a layer remembers the rows of the levels before.
"""

# pyright: reportMissingParameterType=false

from typing import NamedTuple

import numpy as np

from .jit import register_jitable
from .maths import kernel
from .random import CHANCES, bits, chance
from .spec import MEMORY, ROWS, X
from .views import block, matrix

# The numbers at the head of a shard's levels, in ints.
KEY = 0  # of the random numbers of this step
N_LEVELS, N_PAIRS = 1, 2
STRIDE = 3  # from a row to the next one on its level
GIVEN = 4  # states that level 0 continues
FROM_START = 5  # 1 if these are the start of a word, 0 if they are in STATES
TRAINING = 6  # 1 in training, where dropout is on
MAX_LEVELS, MAX_ROWS = 7, 8  # room
MEMORY_ROWS = 9  # rows that layers which look back have room for, where levels are computed one by one; 0 elsewhere
REMEMBERED, DEPTH = 10, 11  # rows and levels before level 0
HEAD = 12
USUAL_LENGTH = 8  # rows of a word before one of its rows: a guess, for estimates of cost


class Levels(NamedTuple):
    """The levels of a shard's rows; all arrays are views of ints.

    head        the numbers above
    begins      (levels,): the first row of each level
    sizes       (levels,): its rows
    alive       (levels,): those that have children, which are the first ones
    parents     (rows,): the place in `past` of the state that a row continues
    keys        (rows,): a random number for each row; where equal prefixes may share rows, they have the same one
    rows, targets, counts   (pairs,): a row, a token that follows it, and how often
    before      (rows,), or those remembered: the row before each row in its word; -1 for the first one
    """

    head: np.ndarray
    begins: np.ndarray
    sizes: np.ndarray
    alive: np.ndarray
    parents: np.ndarray
    keys: np.ndarray
    rows: np.ndarray
    targets: np.ndarray
    counts: np.ndarray
    before: np.ndarray


@register_jitable
def levels_size(max_levels, max_rows, memory=0):
    """The integers that levels take, with room for a number of levels and of rows."""
    return HEAD + 3 * max_levels + 5 * max_rows + max(max_rows, memory)


@register_jitable
def levels_of(ints, start):
    """The levels that begin at `start` in ints."""
    levels, rows, memory = ints[start + MAX_LEVELS], ints[start + MAX_ROWS], ints[start + MEMORY_ROWS]
    at = start + HEAD
    of_rows = at + 3 * levels
    return Levels(
        ints[start : start + HEAD],
        ints[at : at + levels],
        ints[at + levels : at + 2 * levels],
        ints[at + 2 * levels : at + 3 * levels],
        ints[of_rows : of_rows + rows],
        ints[of_rows + rows : of_rows + 2 * rows],
        ints[of_rows + 2 * rows : of_rows + 3 * rows],
        ints[of_rows + 3 * rows : of_rows + 4 * rows],
        ints[of_rows + 4 * rows : of_rows + 5 * rows],
        ints[of_rows + 5 * rows : of_rows + 5 * rows + max(rows, memory)],
    )


def regular_levels(ints: np.ndarray, start: int, first: int, examples: int, T: int) -> None:
    """Write the levels of contexts of T positions, a number of examples from `first` on.

    Row b T + t is on level t, and continues row b T + t - 1.
    """
    ints[start + MAX_LEVELS], ints[start + MAX_ROWS], ints[start + MEMORY_ROWS] = T, examples * T, 0
    levels = levels_of(ints, start)
    levels.head[[N_LEVELS, STRIDE, GIVEN, FROM_START]] = T, T, 1, 1
    levels.begins[:], levels.sizes[:], levels.alive[:-1] = np.arange(T), examples, examples
    number, position = np.divmod(np.arange(examples * T), T)
    levels.parents[:] = np.where(position > 0, 1 + (position - 1) * examples + number, 0)
    levels.keys[:] = first * T + np.arange(examples * T)
    levels.before[:] = np.where(position > 0, np.arange(examples * T) - 1, -1)


def rows_before(levels: Levels, n: int) -> np.ndarray:
    """Return the rows from each of n rows, itself first, to the start of its word (n, D), -1 where there is none."""
    found = [np.arange(n)]
    while True:
        last = found[-1]
        more = np.where(last >= 0, levels.before[last], -1)
        if (more < 0).all():
            return np.stack(found, 1)
        found.append(more)


@kernel
def copy_past(levels, level, y, past, place):
    """Copy the states that a level continues, rows of y on the level before it that go on, to past[place], ...

    Returns the number of states. Those of level 0 are there already.
    """
    if level == 0:
        return levels.head[GIVEN]
    first, stride, H = levels.begins[level - 1], levels.head[STRIDE], past.shape[1]
    for i in range(levels.alive[level - 1]):
        state, kept_state = block(y, first + i * stride, 0, H), block(past, place + i, 0, H)
        for j in range(H):
            kept_state[j] = state[j]
    return levels.alive[level - 1]


@kernel
def past_size(levels):
    """The number of states that the rows of all levels continue."""
    n = levels.head[GIVEN]
    for level in range(levels.head[N_LEVELS] - 1):
        n += levels.alive[level]
    return n


@kernel
def begin_past(levels, given, start, past):
    """Write the states that level 0 continues to past: start (H,), zero if it has no elements, or given (n, H)."""
    if levels.head[FROM_START]:
        for j in range(past.shape[1]):
            past[0, j] = start[j] if start.size else 0
    else:
        for i in range(levels.head[GIVEN]):
            for j in range(past.shape[1]):
                past[i, j] = given[i, j]


@kernel
def with_remembered(row, arena, levels, C):
    """All rows that a layer may look back at (M, C), the new ones last.

    These are the rows of the input. Where levels are computed one by one, they are first added to those in memory.
    """
    N, first = row[ROWS], levels.head[REMEMBERED]
    x = matrix(arena, row[X], N, C)
    if row[MEMORY] < 0:
        return x
    memory = matrix(arena, row[MEMORY], first + N, C)
    for n in range(N):
        for c in range(C):
            memory[first + n, c] = x[n, c]
    return memory


@kernel
def pairs_of(ints, start):
    """The rows, targets and counts of the pairs of the levels that begin at `start` in ints: (P,) each."""
    levels = levels_of(ints, start)
    n = levels.head[N_PAIRS]
    return levels.rows[:n], levels.targets[:n], levels.counts[:n]


@kernel
def layer_key(levels, salt):
    """The key of a layer's random numbers in this step."""
    return np.int64(bits(levels.head[KEY], salt))


@kernel
def kept(key, unit, dropped):
    """True if dropout keeps a unit; `dropped` of CHANCES are dropped."""
    return chance(key, unit) >= dropped


@kernel
def state_factor(levels, salt, dropped, unit, like):
    """The number by which dropout multiplies a unit of the state in this step, the same for all rows; like is U."""
    if not kept(layer_key(levels, salt), unit, dropped):
        return like.dtype.type(0)
    return like.dtype.type(CHANCES / (CHANCES - dropped))


@kernel
def weight_factor(levels, key, n, unit, dropped, like):
    """The number by which dropout multiplies a weight of attention of row n, the same for equal prefixes."""
    if dropped == 0 or not levels.head[TRAINING]:
        return like.dtype.type(1)
    of_row = np.int64(bits(key, levels.keys[n]))
    return like.dtype.type(CHANCES / (CHANCES - dropped) if kept(of_row, unit, dropped) else 0)


@kernel
def masked(U, levels, salt, dropped, out):
    """U (H, M) with its rows multiplied by the mask of the state, in out (H, M); U itself without dropout."""
    if dropped == 0 or not levels.head[TRAINING]:
        return U
    for h in range(U.shape[0]):
        factor = state_factor(levels, salt, dropped, h, U)
        for m in range(U.shape[1]):
            out[h, m] = U[h, m] * factor
    return out


@kernel
def mask_gradient(dU, levels, salt, dropped):
    """Multiply the rows of dU (H, M) by the mask of the state: u = (h' s) U."""
    if dropped:
        for h in range(dU.shape[0]):
            factor = state_factor(levels, salt, dropped, h, dU)
            for m in range(dU.shape[1]):
                dU[h, m] *= factor
