"""Views of a flat array as vectors and matrices."""

# pyright: reportMissingParameterType=false

import numpy as np

from .jit import arrayobj, intrinsic, ir, overload, types


def vector(array, start, n):
    """A view of `n` elements of a flat array from `start`, as (n,)."""
    return array[start : start + n]


def matrix(array, start, n, m):
    """A view of `n * m` elements of a flat array from `start`, as (n, m)."""
    return array[start : start + n * m].reshape(n, m)


def block(array, n, number, size):
    """A view of block `number`, of `size` numbers, in row n of an array (N, M): (size,)."""
    return array[n, number * size : (number + 1) * size]


# In compiled code a reshape takes 50 ns and counts references. These views are plain pointers. They are safe, as the
# caller of a kernel holds the arrays until it returns.


@intrinsic
def _view(typing_context, array, start, shape):
    kind = types.Array(array.dtype, len(shape), "C")

    def generate(context, builder, signature, args):
        source = arrayobj.make_array(array)(context, builder, args[0])
        view = arrayobj.make_array(kind)(context, builder)
        sizes = [builder.extract_value(args[2], i) for i in range(len(shape))]
        strides = [source.itemsize]
        for size in reversed(sizes[1:]):
            strides.insert(0, builder.mul(strides[0], size))
        data = builder.gep(source.data, [args[1]], source_etype=context.get_data_type(array.dtype))
        arrayobj.populate_array(view, data, sizes, strides, source.itemsize, ir.Constant(view.meminfo.type, None))
        return view._getvalue()

    return kind(array, start, shape), generate


@overload(vector)
def _vector(array, start, n):
    return lambda array, start, n: _view(array, start, (n,))


@overload(matrix)
def _matrix(array, start, n, m):
    return lambda array, start, n, m: _view(array, start, (n, m))


@overload(block)
def _block(array, n, number, size):
    return lambda array, n, number, size: _view(array, np.intp(n) * array.shape[1] + number * size, (size,))
