"""A barrier for the threads that make a training step together.

Each thread of a group has a row of numbers: its index, the size of the group, the number of barriers that it has
reached, and the address of the rows of all. Compiled code reads and writes these rows without a lock.
"""

# pyright: reportMissingParameterType=false

import ctypes
import platform
import sys

import numpy as np

from ...layers.jit import COMPILES, cgutils, intrinsic, ir, llvm, njit, overload, types, with_numba

THREAD, THREADS, ARRIVALS, ADDRESS = 0, 1, 2, 3  # the columns of a thread's row
CACHE_LINE = 8  # int64 numbers: each row has a cache line of its own, which avoids false sharing
SPINS = 2000  # reads of another thread's count, about 30 us, before a waiting thread offers its core to others


def thread_group(size: int) -> np.ndarray:
    """The rows of a group of threads: (size, CACHE_LINE) int64. In plain Python the size is 1."""
    size = size if COMPILES else 1
    raw = np.zeros((size + 1) * CACHE_LINE, np.int64)
    skip = -raw.ctypes.data % (8 * CACHE_LINE) // 8
    rows = raw[skip : skip + size * CACHE_LINE].reshape(size, CACHE_LINE)
    rows[:, THREAD], rows[:, THREADS], rows[:, ADDRESS] = np.arange(size), size, rows.ctypes.data
    return rows


SINGLE_THREAD = thread_group(1)[0]


@njit
def single_thread():
    """The row of a thread that works alone, for compiled code."""
    row = np.zeros(CACHE_LINE, np.int64)
    row[THREADS] = 1
    return row


def barrier(thread):
    """Wait until every thread of the group is here. After that, each sees everything that the others wrote before."""


@njit
def _wait(thread):
    arrivals = thread[ARRIVALS] + 1
    _store(thread[ADDRESS] + 8 * (CACHE_LINE * thread[THREAD] + ARRIVALS), arrivals)
    for other in range(thread[THREADS]):
        spins = 0
        while _load(thread[ADDRESS] + 8 * (CACHE_LINE * other + ARRIVALS)) < arrivals:
            spins += 1
            if spins < SPINS:
                _pause()
            else:
                _yield_core()


@overload(barrier)
def _barrier(thread):
    def barrier(thread):
        if thread[THREADS] > 1:
            _wait(thread)

    return barrier


@intrinsic
def _store(typing_context, address, number):
    """Store a number atomically, with release order: a thread that loads it sees all that was written before it."""

    def generate(context, builder, signature, args):
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        builder.store_atomic(args[1], place, "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), generate


@intrinsic
def _load(typing_context, address):
    """Load a number atomically, with acquire order."""

    def generate(context, builder, signature, args):
        place = builder.inttoptr(args[0], ir.IntType(64).as_pointer())
        return builder.load_atomic(place, "acquire", 8, typ=ir.IntType(64))

    return types.int64(types.int64), generate


# The hint to a core that it is in a spin loop: LLVM's name for it, and its arguments.
_X86, _ARM = ("llvm.x86.sse2.pause", ()), ("llvm.aarch64.hint", (1,))
_HINTS = {"x86_64": _X86, "amd64": _X86, "aarch64": _ARM, "arm64": _ARM}


@intrinsic
def _pause(typing_context):
    """Tell the core that this is a spin loop."""

    def generate(context, builder, signature, args):
        name, numbers = _HINTS.get(platform.machine().lower(), (None, ()))
        if name is not None:
            given = [ir.Constant(ir.IntType(32), n) for n in numbers]
            kind = ir.FunctionType(ir.VoidType(), [n.type for n in given])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)
        return context.get_dummy_value()

    return types.void(), generate


# The operating system's function has a name of our own, by which compiled code that comes from the disk finds it.
_yield = ctypes.windll.kernel32.SwitchToThread if sys.platform == "win32" else ctypes.CDLL(None).sched_yield
with_numba(lambda: llvm.add_symbol("moreish_yield_core", ctypes.cast(_yield, ctypes.c_void_p).value))


@intrinsic
def _yield_core(typing_context):
    """Let another thread that waits for a core use this one."""

    def generate(context, builder, signature, args):
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "moreish_yield_core"), [])
        return context.get_dummy_value()

    return types.void(), generate
