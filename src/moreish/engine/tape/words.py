"""Whole words on the compiled machine: evaluation and drawing."""

# pyright: reportMissingParameterType=false

import numpy as np

from ...layers.jit import njit
from ...layers.levels import (
    DEPTH,
    FROM_START,
    GIVEN,
    MEMORY_ROWS,
    N_LEVELS,
    N_PAIRS,
    REMEMBERED,
    STRIDE,
    levels_of,
)
from ...layers.spec import AUX0, S0, STATE0, STATE1, Y
from ..packing import pack, pairs_from
from ..picking import pick_token, weights
from ..rng import bits, draw_number
from .barrier import single_thread
from .batch import contexts_of, set_rows
from .machine import forward


def evaluate_words(program, params, words, first, last, nll):
    """Write the nll in nats of every token of words `first` ... `last` - 1, in sorted order, to nll (M - 1,) float64.

    The words are computed in parts that fit the program; equal prefixes of a part are one row.
    """
    levels, thread = levels_of(program.ints, program.levels[0]), single_thread()
    path = np.empty((4, levels.begins.size), np.int64)
    pairs, start = np.empty(nll.size, np.int64), program.ops[-1, 0, Y]
    while first < last:
        stop, room = first, program.shape[0]
        while stop < last:
            room -= pairs_from(words, stop, first, True)
            if room < 0:
                break
            stop += 1
        set_rows(program, 0, pack(words, first, stop, True, contexts_of(program, 0), levels, path, pairs))
        forward(program, params, params, thread)
        for k in range(first, stop):
            place = words.begins[words.order[k]] - 1
            while True:
                nll[place] = program.arena[start + pairs[place]]
                place += 1
                if words.stream[place] == 0:
                    break
        first = stop


@njit
def begin_level(program, n, given, length):
    """Let the program compute the level of n rows after `length` characters, which continue `given` states.

    Their parents and tokens are set elsewhere. The rows of the levels before are remembered, if there is memory.
    """
    levels = levels_of(program.ints, program.levels[0])
    head = levels.head
    head[N_LEVELS], head[STRIDE], head[GIVEN], head[FROM_START], head[N_PAIRS] = 1, 1, given, length == 0, 0
    if length == 0:
        head[REMEMBERED] = 0
    elif head[MEMORY_ROWS]:
        head[REMEMBERED] += levels.sizes[0]
    head[DEPTH] = length
    levels.begins[0], levels.sizes[0], levels.alive[0] = 0, n, 0
    set_rows(program, 0, n)


@njit
def keep_states(program, rows):
    """Make the states after some rows (n,) those that the next level continues."""
    arena, ops = program.arena, program.ops
    for i in range(ops.shape[0]):
        H = ops[i, 0, S0]
        if ops[i, 0, STATE0] >= 0:
            copy_rows(arena, ops[i, 0, Y], ops[i, 0, STATE0], H, rows)
        if ops[i, 0, STATE1] >= 0:
            copy_rows(arena, ops[i, 0, AUX0], ops[i, 0, STATE1], H, rows)


@njit
def copy_rows(arena, source, target, H, rows):
    """Copy rows of H numbers of the array at `source` in arena to the array at `target`, one after another."""
    for k in range(rows.size):
        for h in range(H):
            arena[target + k * H + h] = arena[source + rows[k] * H + h]


def generate_words(program, params, logits, settings, words, lengths):
    """Draw n words -> words (n, max_length + 1) int32 tokens, lengths (n,) characters: see `generate.generate`.

    logits (B, V) is the program's output. Up to B words grow at the same time, level by level. Words that are equal so
    far share a row; each draws its next token with a number of its own. If there is too little memory for the rows of
    all levels, half as many words begin again.
    """
    contexts, levels = contexts_of(program, 0), levels_of(program.ints, program.levels[0])
    prefix, max_length, thread = settings.prefix, settings.max_length, single_thread()
    (B, V), n, P, head = logits.shape, lengths.size, settings.prefix.size, levels.head
    row_of, weight = np.empty(B, np.int64), np.empty(V, logits.dtype)
    growing, place = np.empty(B, np.int64), np.empty(B, np.int64)  # rows with children, and their numbers among these
    size = 2
    while size < 2 * B:
        size *= 2
    slots, keys = np.empty(size, np.int64), np.empty(size, np.int64)
    first, most = 0, B
    while first < n:
        count, rows, given, fits = min(most, n - first), 1, 1, True
        contexts[0, 0], levels.parents[0], levels.before[0] = 0, 0, -1
        for i in range(count):
            row_of[i] = 0
        for length in range(max_length + 1):
            begin_level(program, rows, given, length)
            forward(program, params, params, thread)
            for row in range(rows):
                place[row] = -1
            after = head[REMEMBERED] + rows  # the number of the first row of the next level, if rows are remembered
            given = rows = 0
            for slot in range(size):
                slots[slot] = -1
            for i in range(count):
                row, j = row_of[i], first + i
                if row < 0:
                    continue
                token = 0
                if length < P:
                    token = prefix[length]
                elif length < max_length:
                    total = weights(
                        logits[row], settings.temperature, settings.top_k, settings.top_p, length > 0, weight
                    )
                    token = pick_token(weight, total, draw_number(settings.seed, settings.first + j, length))
                words[j, length] = token
                if token == 0:
                    lengths[j], row_of[i] = length, -1
                    continue
                key = row * V + token
                slot = np.int64(bits(0, key) & np.uint64(size - 1))
                while slots[slot] >= 0 and keys[slot] != key:
                    slot = (slot + 1) & (size - 1)
                if slots[slot] < 0:
                    if head[MEMORY_ROWS] and after + rows == head[MEMORY_ROWS]:
                        fits = False
                        break
                    if place[row] < 0:
                        growing[given], place[row] = row, given
                        given += 1
                    slots[slot], keys[slot] = rows, key
                    contexts[rows, 0], levels.parents[rows] = token, place[row]
                    if head[MEMORY_ROWS]:
                        levels.before[after + rows] = head[REMEMBERED] + row
                    rows += 1
                row_of[i] = slots[slot]
            if rows == 0 or not fits:
                break
            keep_states(program, growing[:given])
        if fits:
            first += count
        else:
            most = count // 2
