"""Calls of a compiled kernel by its number, at a few nanoseconds a call.

A kernel compiled by `numba.cfunc` is one of Numba's first-class functions. A tuple of them could serve as the table,
but picking from a tuple takes time in proportion to its length, and the length would be part of the machine's type. So
the table is an array of addresses, and `pick` makes a first-class function from one of them.
"""

# pyright: reportMissingParameterType=false

from ...layers.jit import cgutils, intrinsic, ir, overload, types


def pick(like, table, code):
    """Return the kernel at table[code].

    In plain Python the table holds functions. Compiled, it holds addresses, and the result has the type of `like`.
    """
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
