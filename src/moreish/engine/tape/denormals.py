"""Denormal numbers, flushed to zero while a thread trains.

The moments of a weight whose gradient has vanished shrink at every step. In float32, a number below 1.2e-38 is
denormal: many processors take a hundred times as long for it, and it changes no weight. Two bits of a processor's
floating-point control register (one on ARM64) make such numbers zero. Each thread has a register of its own.
"""

# pyright: reportMissingParameterType=false

import platform

from ...layers.jit import cgutils, intrinsic, ir, overload, types

_X86, _ARM = platform.machine().lower() in ("x86_64", "amd64"), platform.machine().lower() in ("aarch64", "arm64")
FLUSH = 0x8040 if _X86 else 1 << 24 if _ARM else 0  # FTZ and DAZ in MXCSR; FZ in FPCR


def set_flushing(bits):
    """Make this thread flush denormal numbers (bits FLUSH) or keep them (0). Returns the bits before.

    In plain Python, and on other processors than x86-64 and ARM64, nothing changes.
    """
    return 0


@overload(set_flushing)
def _set_flushing(bits):
    return lambda bits: _exchange(bits)


@intrinsic
def _exchange(typing_context, bits):
    """Replace the bits FLUSH of the control register. Returns those before."""

    def generate(context, builder, signature, args):
        int32, int64, nothing = ir.IntType(32), ir.IntType(64), ir.VoidType()

        def call(name, result, *given):
            kind = ir.FunctionType(result, [value.type for value in given])
            return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), given)

        def changed(control):
            kept, flush = ir.Constant(control.type, ~FLUSH), ir.Constant(control.type, FLUSH)
            wanted = builder.and_(builder.trunc(args[0], int32) if control.type == int32 else args[0], flush)
            return builder.or_(builder.and_(control, kept), wanted)

        before = ir.Constant(int64, 0)
        if _X86:
            place = cgutils.alloca_once(builder, int32)
            address = builder.bitcast(place, ir.IntType(8).as_pointer())
            call("llvm.x86.sse.stmxcsr", nothing, address)
            control = builder.load(place)
            builder.store(changed(control), place)
            call("llvm.x86.sse.ldmxcsr", nothing, address)
            before = builder.zext(control, int64)
        elif _ARM:
            before = call("llvm.aarch64.get.fpcr", int64)
            call("llvm.aarch64.set.fpcr", nothing, changed(before))
        return builder.and_(before, ir.Constant(int64, FLUSH))

    return types.int64(types.int64), generate
