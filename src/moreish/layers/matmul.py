"""Matrix products for the small matrices of these models.

A BLAS is made for large matrices, and is slower on some shapes as small as 32 x 200 by 200 x 27. Here a tile of
`tile_rows()` rows and one or two vectors of columns is in registers while k runs over the inner dimension:

    out[i, j] = bias[j] + sum over k of a[i, k] b[k, j]

This is the innermost scheme of Goto and van de Geijn 2008. They also copy b into panels of two vectors of columns,
which are read in one go. That pays for a matrix that is multiplied many times, as the weights of a recurrent layer are,
or by many rows (`pack_panels` and `dot_packed`). It is no part of `dot`, which every kernel compiles anew.

Every element is summed in the order of k, whatever the tile. So a row of the result depends neither on the other rows
of the batch nor on the number of threads.
"""

# pyright: reportMissingParameterType=false

from functools import cache, reduce

import numpy as np

from .jit import arrayobj, cgutils, intrinsic, ir, llvm, overload, register_jitable, types
from .maths import kernel
from .views import matrix

MAX_PANEL = 32  # columns of a panel at most: two of the widest vectors, of float32


@cache
def vector_bytes():
    """The bytes of a vector of this processor. Only compilation asks, as LLVM takes long to load."""
    return 64 if llvm.get_host_cpu_features().get("avx512f") else 32


def tile_rows():
    """The rows of a tile: with two vectors a row, it takes half of the registers."""
    return 8 if vector_bytes() == 64 else 4


@overload(tile_rows)
def _tile_rows():
    rows = tile_rows()
    return lambda: rows


def dot(a, b, out):
    """a (M, K) times b (K, N) -> out (M, N). a and b may be transposed views; out is row-major."""
    np.dot(a, b, out)


def affine(a, b, bias, out):
    """a (M, K) times b (K, N), plus bias (N,) in every row -> out (M, N), row-major."""
    np.dot(a, b, out)
    out += bias


@overload(dot)
def _dot(a, b, out):
    wide = vector_bytes() // (out.dtype.bitwidth // 8)
    if b.layout == "C":
        return lambda a, b, out: _multiply(a, b, np.zeros(b.shape[1], b.dtype), out, wide)
    return lambda a, b, out: _multiply_transposed(a, b.T, np.zeros(b.shape[1], b.dtype), out, wide)


@overload(affine)
def _affine(a, b, bias, out):
    wide = vector_bytes() // (out.dtype.bitwidth // 8)
    return lambda a, b, bias, out: _multiply(a, b, bias, out, wide)


@kernel
def _multiply(a, b, bias, out, wide):
    M, N = out.shape
    if wide <= N:
        # The last vector ends with the row, so it may overlap the one before it: both give the same numbers there.
        for j in range(0, N, 2 * wide):
            left, right = min(j, N - wide), min(j + wide, N - wide)
            if left == right:
                for i in range(0, M, tile_rows()):
                    _wide_tile(a, b, bias, out, i, 0, (left,))
            else:
                for i in range(0, M, tile_rows()):
                    _wide_tile(a, b, bias, out, i, 0, (left, right))
    elif N >= 8:
        for i in range(0, M, tile_rows()):
            _tile_of_8(a, b, bias, out, i, 0, (0, N - 8))
    elif N >= 4:
        for i in range(0, M, tile_rows()):
            _tile_of_4(a, b, bias, out, i, 0, (0, N - 4))
    else:
        for j in range(N):
            for i in range(0, M, tile_rows()):
                _tile_of_1(a, b, bias, out, i, 0, (j,))


@kernel
def _copy_columns(b, first, panel):
    """Columns `first`, ... of b (K, N) -> panel (K, width)."""
    for k in range(panel.shape[0]):
        for c in range(panel.shape[1]):
            panel[k, c] = b[k, first + c]


def pack_panels(b, panels):
    """b (K, N) -> panels, flat: the columns in groups, group after group. b may be transposed; see `packed_size`."""
    panels[: b.size] = b.ravel()


def dot_packed(a, panels, out):
    """a (M, K) times b (K, N), which `pack_panels` has packed -> out (M, N), row-major."""
    K, N = a.shape[1], out.shape[1]
    np.dot(a, panels[: K * N].reshape(K, N), out)


@register_jitable
def packed_size(K, N):
    """The numbers that a packed matrix (K, N) takes."""
    return K * (N + MAX_PANEL)


@overload(pack_panels)
def _pack(b, panels):
    width = 2 * (vector_bytes() // (panels.dtype.bitwidth // 8))
    if b.layout == "C":
        return lambda b, panels: _pack_columns(b, panels, width)
    return lambda b, panels: _pack_rows(b.T, panels, width)


@overload(dot_packed)
def _dot_packed(a, panels, out):
    wide = vector_bytes() // (out.dtype.bitwidth // 8)
    return lambda a, panels, out: _multiply_packed(a, panels, np.zeros(out.shape[1], out.dtype), out, wide)


@kernel
def _pack_columns(b, panels, width):
    K, N = b.shape
    if width > N:
        whole = matrix(panels, 0, K, N)
        _copy_columns(b, 0, whole)
    else:
        for j in range(0, N, width):  # the last panel ends with the row
            _copy_columns(b, min(j, N - width), matrix(panels, j * K, K, width))


@kernel
def _pack_rows(b, panels, width):
    """The same for the transpose of b (N, K)."""
    N, K = b.shape
    if width > N:
        transpose(b, matrix(panels, 0, K, N))
    else:
        for j in range(0, N, width):
            first = min(j, N - width)
            transpose(b[first : first + width], matrix(panels, j * K, K, width))


@kernel
def _multiply_packed(a, panels, bias, out, wide):
    (M, N), K, width = out.shape, a.shape[1], 2 * wide
    if width > N:
        _multiply(a, matrix(panels, 0, K, N), bias, out, wide)
    else:
        for j in range(0, N, width):
            first, panel = min(j, N - width), matrix(panels, j * K, K, width)
            whole = M - M % tile_rows() if 2 * (M % tile_rows()) <= tile_rows() else M
            for i in range(0, whole, tile_rows()):
                _wide_tile(a, panel, bias, out, i, first, (0, wide))
            if whole < M:  # few rows are left, as on most levels of a batch of words
                _half_tile(a, panel, bias, out, whole, first, (0, wide))


@kernel
def _multiply_transposed(a, b, bias, out, wide):
    """a (M, K) times the transpose of b (N, K). b is transposed in panels of columns, which fit the cache."""
    (M, N), K, width = out.shape, b.shape[1], 2 * wide
    if width >= N:
        transposed = np.empty((K, N), b.dtype)
        transpose(b, transposed)
        _multiply(a, transposed, bias, out, wide)
    else:
        panel = np.empty((K, width), b.dtype)
        for j in range(0, N, width):
            if N - j > wide:
                first = min(j, N - width)
                transpose(b[first : first + width], panel)
                for i in range(0, M, tile_rows()):
                    _wide_tile(a, panel, bias, out, i, first, (0, wide))
            else:
                first = N - wide
                transpose(b[first:], panel)
                for i in range(0, M, tile_rows()):
                    _wide_tile(a, panel, bias, out, i, first, (0,))


@kernel
def transpose(b, out):
    """b (N, K) -> the first N columns of out (K, >= N), both row-major."""
    N, K = b.shape
    if N >= 8 and K >= 8:
        for i in range(0, N, 8):
            for j in range(0, K, 8):
                _transpose_tile(b, out, min(i, N - 8), min(j, K - 8))
    else:
        for j in range(K):
            for i in range(N):
                out[j, i] = b[i, j]


class _Array:
    """An array in generated code, with access to elements and to vectors of neighbours in the last dimension."""

    def __init__(self, context, builder, kind, value, lanes: int):
        array = arrayobj.make_array(kind)(context, builder, value)
        self.builder, self.align = builder, kind.dtype.bitwidth // 8
        self.start = builder.bitcast(array.data, ir.IntType(8).as_pointer())
        self.shape, self.strides = (cgutils.unpack_tuple(builder, t) for t in (array.shape, array.strides))
        self.scalar = context.get_value_type(kind.dtype)
        self.vector = ir.VectorType(self.scalar, lanes)

    def _place(self, index, kind):
        offset = reduce(self.builder.add, map(self.builder.mul, index, self.strides))
        pointer = self.builder.gep(self.start, [offset], source_etype=ir.IntType(8))
        return self.builder.bitcast(pointer, kind.as_pointer())

    def load(self, *index):
        return self.builder.load(self._place(index, self.scalar), typ=self.scalar)

    def load_vector(self, *index):
        return self.builder.load(self._place(index, self.vector), align=self.align, typ=self.vector)

    def store_vector(self, vector, *index):
        self.builder.store(vector, self._place(index, self.vector), align=self.align)


def _lanes(numbers):
    numbers = list(numbers)
    return ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), numbers)


def _tile(lanes_of, rows_of=tile_rows):
    """Make an intrinsic that fills rows i ... i + rows_of() - 1 of out, for a vector of columns from each of `columns`.

    Column c of b is column first + c of out. A row past the last is the last row.
    """

    @intrinsic
    def tile(typing_context, a, b, bias, out, i, first, columns):
        lanes = lanes_of(out.dtype)

        def generate(context, builder, signature, args):
            A, B, BIAS, OUT = (
                _Array(context, builder, kind, value, lanes)
                for kind, value in zip(signature.args[:4], args[:4], strict=True)
            )
            vector, (rows, inner) = OUT.vector, A.shape
            last = builder.sub(rows, ir.Constant(rows.type, 1))
            tile_rows = []
            for r in range(rows_of()):
                row = builder.add(args[4], ir.Constant(rows.type, r))
                tile_rows.append(builder.select(builder.icmp_signed("<", row, last), row, last))
            columns = cgutils.unpack_tuple(builder, args[6])
            places = [builder.add(args[5], c) for c in columns]
            biases = [BIAS.load_vector(c) for c in places]
            sums = [[cgutils.alloca_once_value(builder, bias) for bias in biases] for _ in tile_rows]
            name = f"llvm.fmuladd.v{lanes}f{out.dtype.bitwidth}"
            fma = cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), name)
            undefined, spread_first = ir.Constant(vector, ir.Undefined), _lanes([0] * lanes)
            with cgutils.for_range(builder, inner) as loop:
                b_k = [B.load_vector(loop.index, c) for c in columns]
                for row, row_sums in zip(tile_rows, sums, strict=True):
                    a_ik = builder.insert_element(undefined, A.load(row, loop.index), ir.Constant(ir.IntType(32), 0))
                    spread = builder.shuffle_vector(a_ik, undefined, spread_first)
                    for total, b_kj in zip(row_sums, b_k, strict=True):
                        builder.store(builder.call(fma, [spread, b_kj, builder.load(total, typ=vector)]), total)
            for row, row_sums in zip(tile_rows, sums, strict=True):
                for total, c in zip(row_sums, places, strict=True):
                    OUT.store_vector(builder.load(total, typ=vector), row, c)
            return context.get_dummy_value()

        return types.void(a, b, bias, out, i, first, columns), generate

    return tile


@intrinsic
def _transpose_tile(typing_context, source, target, i, j):
    """target[j : j + 8, i : i + 8] = source[i : i + 8, j : j + 8].T, in registers.

    Three rounds exchange blocks of 1, 2 and 4 across the diagonal of a block twice as large.
    """

    def generate(context, builder, signature, args):
        S, T = (_Array(context, builder, signature.args[n], args[n], 8) for n in (0, 1))
        at = [[builder.add(arg, ir.Constant(arg.type, n)) for n in range(8)] for arg in args[2:]]
        rows = [S.load_vector(row, at[1][0]) for row in at[0]]
        for size in (1, 2, 4):
            low = _lanes(n if not n & size else 8 + n - size for n in range(8))
            high = _lanes(n + size if not n & size else 8 + n for n in range(8))
            pairs = [(rows[n & ~size], rows[n | size], high if n & size else low) for n in range(8)]
            rows = [builder.shuffle_vector(*pair) for pair in pairs]
        for column, row in zip(at[1], rows, strict=True):
            T.store_vector(row, column, at[0][0])
        return context.get_dummy_value()

    return types.void(source, target, i, j), generate


_wide_tile = _tile(lambda dtype: vector_bytes() // (dtype.bitwidth // 8))
_half_tile = _tile(lambda dtype: vector_bytes() // (dtype.bitwidth // 8), lambda: tile_rows() // 2)
_tile_of_8 = _tile(lambda dtype: 8)
_tile_of_4 = _tile(lambda dtype: 4)
_tile_of_1 = _tile(lambda dtype: 1)
