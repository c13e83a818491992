"""The types of the machine's functions, with which Numba compiles them."""

from functools import cache

import numpy as np

from ...layers.jit import numba, types
from ...layers.levels import Levels
from ..batches import Source
from ..packing import SortedWords
from ..words import WordSource
from . import generate
from .batch import Program
from .update import Update


class Signatures:
    """The types of the machine's functions by their roles, for one float type."""

    def __init__(self, dtype: type):
        real, count, number = numba.from_dtype(np.dtype(dtype)), types.int64, types.float64
        reals, reals2, ints, ops = real[::1], real[:, ::1], count[::1], count[:, :, ::1]
        numbers, tokens, tokens2 = number[::1], types.int32[::1], types.int32[:, ::1]
        self.kernel = types.void(ints, reals, reals, reals, ints)
        self.optimizer = types.void(reals, reals, reals2, number, count, numbers, count, count)
        program = types.NamedTuple(
            (types.FunctionType(self.kernel), ints, ops, reals, ints, types.UniTuple(count, 3), ints), Program
        )
        source = types.NamedTuple((tokens, ints, tokens, numbers, count), Source)
        word_source = types.NamedTuple((tokens, ints, ints, numbers, ints, count, types.boolean, count), WordSource)
        of_words = types.NamedTuple((tokens, *5 * (ints,)), SortedWords)
        update = types.NamedTuple(
            (types.FunctionType(self.optimizer), reals2, ints, numbers, number, numbers, reals, number), Update
        )
        settings = types.NamedTuple((tokens, number, count, number, count, count, count), generate.Settings)
        self.train = count(program, reals, reals, source, update, count, numbers, numbers, ints)
        self.evaluate = types.void(program, reals, tokens, count, count, numbers)
        self.draw_batch = types.void(source, count, *3 * (count[:, ::1],))
        self.generate = types.void(program, reals, reals2, settings, tokens2, ints)
        self.train_words = count(program, reals, reals, word_source, update, count, numbers, numbers, ints)
        self.evaluate_words = types.void(program, reals, of_words, count, count, numbers)
        self.words_of_step = of_words(word_source, count)
        self.sort_words = types.void(of_words, ints)
        levels = types.NamedUniTuple(ints, 10, Levels)
        self.pack = count(of_words, count, count, types.boolean, count[:, ::1], levels, count[:, ::1], ints)
        self.walk = types.void(program, reals, reals, ints)


@cache
def signatures_for(dtype: type) -> Signatures:
    """The types of the machine's functions for a float type."""
    return Signatures(dtype)
