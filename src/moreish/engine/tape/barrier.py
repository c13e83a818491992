"""A team of threads that take a training step together: how each knows its place, and how they wait for each other.

A thread knows its team by a row of numbers: its own place, how many they are, how often it has come to a meeting, and
where the rows of all lie.
"""

# pyright: reportMissingParameterType=false

import ctypes
import platform
import sys

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, config
from numba.extending import overload

from ...layers.maths import intrinsic

PLACE, SIZE, MEETINGS, ROWS = 0, 1, 2, 3
LINE = 8  # numbers: each row fills a cache line, or to count a meeting would slow down those who read the next row
PATIENCE = 2000  # looks at another's count, some 30 us, after which the core is offered to others at every look


def make_team(size: int) -> np.ndarray:
    """The row of each thread of a team, as int64 (size, LINE). Python, where nothing is compiled, works alone."""
    size = 1 if config.DISABLE_JIT else size  # type: ignore[attr-defined]
    raw = np.zeros((size + 1) * LINE, np.int64)
    skip = -raw.ctypes.data % (8 * LINE) // 8
    rows = raw[skip : skip + size * LINE].reshape(size, LINE)
    rows[:, PLACE], rows[:, SIZE], rows[:, ROWS] = np.arange(size), size, rows.ctypes.data
    return rows


ALONE = make_team(1)[0]


@njit
def alone():
    """The row of a thread that works alone, for compiled code."""
    row = np.zeros(LINE, np.int64)
    row[SIZE] = 1
    return row


def meet(team):
    """Wait until every thread of the team has come here: then each sees all that the others wrote before."""


@njit
def _wait(team):
    meetings = team[MEETINGS] + 1
    _publish(team[ROWS] + 8 * (LINE * team[PLACE] + MEETINGS), meetings)
    for place in range(team[SIZE]):
        looks = 0
        while _published(team[ROWS] + 8 * (LINE * place + MEETINGS)) < meetings:
            looks += 1
            if looks < PATIENCE:
                _pause()
            else:
                _offer_core()


@overload(meet)
def _meet(team):
    def meet(team):
        if team[SIZE] > 1:
            _wait(team)

    return meet


@intrinsic
def _publish(typing_context, address, number):
    """Write a number at an address: who reads it with _published sees all that was written before it."""

    def generate(context, builder, signature, args):
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        builder.store_atomic(args[1], place, "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def _published(typing_context, address):
    def generate(context, builder, signature, args):
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(place, "acquire", 8, typ=ir.IntType(64))

    return types.int64(types.int64), generate


# What a core is told while it waits for another: LLVM's name for it, and its arguments.
_HINTS = {"x86_64": ("llvm.x86.sse2.pause", ()), "aarch64": ("llvm.aarch64.hint", (1,))}
_HINTS |= {"amd64": _HINTS["x86_64"], "arm64": _HINTS["aarch64"]}


@intrinsic
def _pause(typing_context):
    def generate(context, builder, signature, args):
        name, numbers = _HINTS.get(platform.machine().lower(), (None, ()))
        if name is not None:
            given = [ir.Constant(ir.IntType(32), n) for n in numbers]
            kind = ir.FunctionType(ir.VoidType(), [n.type for n in given])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)
        return context.get_dummy_value()

    return types.void(), generate


# The operating system's function for it, under a name of our own: compiled code that was kept finds it again.
_offer = ctypes.windll.kernel32.SwitchToThread if sys.platform == "win32" else ctypes.CDLL(None).sched_yield
llvm.add_symbol("moreish_offer_core", ctypes.cast(_offer, ctypes.c_void_p).value)


@intrinsic
def _offer_core(typing_context):
    """Let other threads that wait for a core have this one."""

    def generate(context, builder, signature, args):
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "moreish_offer_core"), [])
        return context.get_dummy_value()

    return types.void(), generate
