"""Matrix products for the small matrices of these models.

A BLAS is made for large ones; on a 32 x 200 by 200 x 27 product it spends its time on getting ready. Here a tile of
`ROWS` rows and one or two vectors of columns is held in registers while k runs over the inner dimension, the innermost
scheme of Goto and van de Geijn 2008, without the packing that only large matrices repay:

    out[i, j] = bias[j] + sum over k of a[i, k] b[k, j]

Every element is summed in the order of k, whatever the tile and the width of a vector: results do not depend on the
shape of the batch, on threads or on how wide the processor's registers are.
"""

import functools

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.base import BaseContext
from numba.extending import intrinsic, overload
from numba.np.arrayobj import make_array

from .maths import kernel

_WIDE = bool(llvm.get_host_cpu_features().get("avx512f"))
VECTOR_BYTES = 64 if _WIDE else 32
ROWS = 8 if _WIDE else 4  # two vectors a row: as many registers as half of the register file


def dot(a, b, out):
    """a (M, K) times b (K, N) -> out (M, N). a and b may be transposed views; out is row-major."""
    np.dot(a, b, out)


def affine(a, b, bias, out):
    """a (M, K) times b (K, N), plus bias (N,) in every row -> out (M, N), row-major."""
    np.dot(a, b, out)
    out += bias


@overload(dot)
def _dot(a, b, out):
    wide = VECTOR_BYTES // (out.dtype.bitwidth // 8)
    if b.layout == "C":
        return lambda a, b, out: _multiply(a, b, np.zeros(b.shape[1], b.dtype), out, wide)
    return lambda a, b, out: _multiply(a, _copy(b), np.zeros(b.shape[1], b.dtype), out, wide)


@overload(affine)
def _affine(a, b, bias, out):
    wide = VECTOR_BYTES // (out.dtype.bitwidth // 8)
    return lambda a, b, bias, out: _multiply(a, b, bias, out, wide)


@kernel
def _copy(b):
    """b (K, N) with its rows contiguous."""
    copy = np.empty(b.shape, b.dtype)
    for k in range(b.shape[0]):
        for j in range(b.shape[1]):
            copy[k, j] = b[k, j]
    return copy


@kernel
def _multiply(a, b, bias, out, wide):
    M, N = out.shape
    if wide <= N:
        # The last vector begins early enough to end with the row: what it shares with another comes out the same.
        for j in range(0, N, 2 * wide):
            left, right = min(j, N - wide), min(j + wide, N - wide)
            if left == right:
                for i in range(0, M, ROWS):
                    _wide_tile(a, b, bias, out, i, (left,))
            else:
                for i in range(0, M, ROWS):
                    _wide_tile(a, b, bias, out, i, (left, right))
    elif N >= 8:
        for i in range(0, M, ROWS):
            _tile_of_8(a, b, bias, out, i, (0, N - 8))
    elif N >= 4:
        for i in range(0, M, ROWS):
            _tile_of_4(a, b, bias, out, i, (0, N - 4))
    else:
        for i in range(M):
            for j in range(N):
                total = bias[j]
                for k in range(a.shape[1]):
                    total += a[i, k] * b[k, j]
                out[i, j] = total


def _tile(lanes_of):
    """An intrinsic that fills rows i ... i + ROWS - 1 of out, in a vector of columns from each of `columns` on.

    Rows past the last are the last one again.
    """

    @intrinsic
    def tile(typing_context, a, b, bias, out, i, columns):
        lanes = lanes_of(out.dtype)

        def generate(context: BaseContext, builder: ir.IRBuilder, signature, args):
            arrays = [make_array(t)(context, builder, v) for t, v in zip(signature.args[:4], args[:4], strict=True)]
            strides = [cgutils.unpack_tuple(builder, array.strides) for array in arrays]
            A, B, BIAS, OUT = range(4)
            scalar = context.get_value_type(out.dtype)
            vector = ir.VectorType(scalar, lanes)
            bytes_ = ir.IntType(8).as_pointer()
            align = out.dtype.bitwidth // 8

            def place(which, kind, *index):
                offset = functools.reduce(builder.add, map(builder.mul, index, strides[which]))
                start = builder.bitcast(arrays[which].data, bytes_)
                return builder.bitcast(builder.gep(start, [offset], source_etype=ir.IntType(8)), kind.as_pointer())

            rows, inner = cgutils.unpack_tuple(builder, arrays[A].shape, 2)
            last = builder.sub(rows, ir.Constant(rows.type, 1))
            tile_rows = []
            for r in range(ROWS):
                row = builder.add(args[4], ir.Constant(rows.type, r))
                tile_rows.append(builder.select(builder.icmp_signed("<", row, last), row, last))
            columns = cgutils.unpack_tuple(builder, args[5])
            biases = [builder.load(place(BIAS, vector, c), align=align, typ=vector) for c in columns]
            sums = [[cgutils.alloca_once_value(builder, bias) for bias in biases] for _ in tile_rows]
            name = f"llvm.fmuladd.v{lanes}f{out.dtype.bitwidth}"
            fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
            undefined = ir.Constant(vector, ir.Undefined)
            first = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
            with cgutils.for_range(builder, inner) as loop:
                b_k = [builder.load(place(B, vector, loop.index, c), align=align, typ=vector) for c in columns]
                for row, row_sums in zip(tile_rows, sums, strict=True):
                    x = builder.load(place(A, scalar, row, loop.index), typ=scalar)
                    spread = builder.insert_element(undefined, x, ir.Constant(ir.IntType(32), 0))
                    spread = builder.shuffle_vector(spread, undefined, first)
                    for total, b_kj in zip(row_sums, b_k, strict=True):
                        builder.store(builder.call(fma, [spread, b_kj, builder.load(total, typ=vector)]), total)
            for row, row_sums in zip(tile_rows, sums, strict=True):
                for total, c in zip(row_sums, columns, strict=True):
                    builder.store(builder.load(total, typ=vector), place(OUT, vector, row, c), align=align)
            return context.get_dummy_value()

        return types.void(a, b, bias, out, i, columns), generate

    return tile


_wide_tile = _tile(lambda dtype: VECTOR_BYTES // (dtype.bitwidth // 8))
_tile_of_8 = _tile(lambda dtype: 8)
_tile_of_4 = _tile(lambda dtype: 4)
