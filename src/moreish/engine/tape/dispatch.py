"""Calling a compiled kernel by its number, at a few nanoseconds a call.

A kernel compiled by `numba.cfunc` is one of Numba's first-class functions. A tuple of them could serve as the table,
but picking from it costs time in proportion to its length, and its length would be part of the machine's type. So the
table is an array of addresses, and `pick` makes a first-class function out of one.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import overload

from ...layers.maths import intrinsic


def pick(like, table, code):
    """The function at table[code]. In Python the table holds functions; compiled, their addresses, of `like`'s type."""
    return table[code]


@intrinsic
def _function_at(typing_context, like, address):
    def generate(context, builder, signature, args):
        function = cgutils.create_struct_proxy(signature.return_type)(context, builder)
        pointer = context.get_value_type(types.voidptr)
        function.c_addr = builder.inttoptr(args[1], pointer)
        function.jit_addr = function.py_addr = ir.Constant(pointer, None)
        return function._getvalue()

    return like(like, address), generate


@overload(pick)
def _pick(like, table, code):
    return lambda like, table, code: _function_at(like, table[code])
