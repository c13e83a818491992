"""ChoGRU: a GRU that resets its state before the product (Cho et al. 2014, equations 5 to 8).

The form of PyTorch, in gru.py, resets after it, so that one product is enough. From x = e W + b of a Linear before this
layer and the state h' after the character before, along each word:

    r = sigmoid(x_r + h' U_r)           z = sigmoid(x_z + h' U_z)       u = h' U, with U of two blocks, U_r and U_z
    v = r h'
    n = tanh(x_n + v V)                 candidate, from what the reset leaves of the state
    h = n + z (h' - n)

Back through time: dh of a row is dy, from the layers above, plus what its children send back:

    dn = dh (1 - z)                     dx_n = dn (1 - n**2)
    dz = dh (h' - n)                    dx_z = dz z (1 - z)
    dv = dx_n V^T
    dr = dv h'                          dx_r = dr r (1 - r)
    du = dx_r, dx_z

h' reaches h in three ways: directly, through v, and through u. So a row sends back

    dh' = dh z + dv r + du U^T

Rows with the same parent share h' and u: their du and the other two terms are added first. Over all rows,
dU = sum of h'^T du and dV = sum of v^T dx_n.

With dropout of the state, the rows of U and of V are multiplied by the mask s (H,) of the batch.
"""

# pyright: reportMissingParameterType=false

from dataclasses import dataclass
from typing import ClassVar

from .init import Normal
from .levels import GIVEN, N_LEVELS, STRIDE, begin_past, copy_past, levels_of, mask_gradient, masked, past_size
from .maths import index, kernel, sigmoid, tanh
from .matmul import dot, transpose
from .recurrent import SATURATION, Recurrent, add_past, first_states, gradient_of_row, start_gradient
from .spec import (
    AUX0,
    AUX1,
    AUX2,
    AUX3,
    AUX4,
    AUX5,
    AUX6,
    AUX7,
    AUX8,
    AUX9,
    DX,
    DY,
    LEVELS,
    P0,
    P1,
    P2,
    ROWS,
    S0,
    S1,
    S2,
    STATE0,
    Kernels,
    Parameter,
    Shape,
    X,
    Y,
)
from .views import matrix, vector

# Scratch: DU is the gradient of u, and V_OF_ROWS holds v in the order of levels; RESET is v V, and later dx_n. MASKED
# and TRANSPOSED hold U and after it V.
GATES, PAST, DU, V_OF_ROWS, RESET, MASKED, TRANSPOSED, DPAST, PRODUCT, DH = (
    *(AUX0, AUX1, AUX2, AUX3, AUX4, AUX5, AUX6, AUX7, AUX8, AUX9),
)


@dataclass(frozen=True)
class ChoGRU(Recurrent):
    """Gates and state of a GRU with its reset before: (..., 3 n_hidden) becomes (..., n_hidden); see `Recurrent`."""

    blocks: ClassVar[int] = 3

    def parameters(self) -> tuple[Parameter, ...]:
        H = self.n_hidden
        products = (Parameter("U", (H, 2 * H), self.weight), Parameter("V", (H, H), self.weight))
        return (*products, *self.starts("start"))


@kernel
def forward(levels, x, U, V, gates, past, u, v, reset, y):
    """x (N, 3H), U (H, 2H), V (H, H) -> y (N, H); also gates r, z, n (N, 3H), past (Q, H), v (N, H) by level.

    u (Q, 2H) and reset (N, H) are scratch.
    """
    H, stride, place, first = y.shape[1], levels.head[STRIDE], 0, 0
    for level in range(levels.head[N_LEVELS]):
        count, size = copy_past(levels, level, y, past, place), levels.sizes[level]
        dot(past[place : place + count], U, u[place : place + count])
        for i in range(size):
            n = index(levels.begins[level] + i * stride)
            q, k = index(levels.parents[n]), index(first + i)
            for j in range(2 * H):
                gates[n, j] = sigmoid(x[n, j] + u[q, j])
            for j in range(H):
                v[k, j] = gates[n, j] * past[q, j]
        dot(v[first : first + size], V, reset[:size])
        for i in range(size):
            n = index(levels.begins[level] + i * stride)
            q = index(levels.parents[n])
            for j in range(H):
                gates[n, 2 * H + j] = tanh(x[n, 2 * H + j] + reset[i, j])
            for j in range(H):
                candidate = gates[n, 2 * H + j]
                y[n, j] = candidate + gates[n, H + j] * (past[q, j] - candidate)
        place += count
        first += size


@kernel
def backward(levels, UT, VT, gates, past, dy, du, dpast, product, dxn, dh, dx):
    """dy (N, H), the transposes of U (2H, H) and V (H, H) -> dx (N, 3H); also du (Q, 2H), dpast (Q, H), of past.

    dxn (N, H) is the last block of dx, in the order of levels.
    """
    H, stride, place, first = dy.shape[1], levels.head[STRIDE], past_size(levels), dy.shape[0]
    du[:place].fill(0)
    dpast[:place].fill(0)
    one = dh.dtype.type(1)
    for level in range(levels.head[N_LEVELS] - 1, -1, -1):
        count, size = levels.alive[level - 1] if level else levels.head[GIVEN], levels.sizes[level]
        first -= size
        for i in range(size):
            n = index(levels.begins[level] + i * stride)
            q, k = index(levels.parents[n]), index(first + i)
            gradient_of_row(levels, level, i, n, dy, dpast, place, dh)
            # h = n + z (h' - n), n = tanh(x_n + v V), z = sigmoid(x_z + u_z)
            for j in range(H):
                z, candidate = gates[n, H + j], gates[n, 2 * H + j]
                dxn[k, j] = dh[j] * (one - z) * (one - candidate * candidate)
            for j in range(H):
                z, candidate = gates[n, H + j], gates[n, 2 * H + j]
                dx[n, H + j] = dh[j] * (past[q, j] - candidate) * z * (one - z)
            for j in range(H):
                dpast[q, j] += dh[j] * gates[n, H + j]
        # v V
        dot(dxn[first : first + size], VT, product[:size])
        for i in range(size):
            n = index(levels.begins[level] + i * stride)
            q, k = index(levels.parents[n]), index(first + i)
            # v = r h', r = sigmoid(x_r + u_r)
            for j in range(H):
                r = gates[n, j]
                dx[n, j] = product[i, j] * past[q, j] * r * (one - r)
            for j in range(H):
                dpast[q, j] += product[i, j] * gates[n, j]
            for j in range(H):
                dx[n, 2 * H + j] = dxn[k, j]
            for j in range(2 * H):
                du[q, j] += dx[n, j]
        place -= count
        # u = h' U
        dot(du[place : place + count], UT, product[:count])
        add_past(dpast, place, count, product)


def forward_op(row, arena, params, grads, ints):
    N, H, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    Q = past_size(levels)
    past, start = matrix(arena, row[PAST], Q, H), vector(params, row[P2], H * (row[P2] >= 0))
    begin_past(levels, matrix(arena, row[STATE0], levels.head[GIVEN], H), start, past)
    to_u, to_v = matrix(arena, row[MASKED], H, 2 * H), matrix(arena, row[MASKED] + 2 * H * H, H, H)
    forward(
        levels,
        matrix(arena, row[X], N, 3 * H),
        masked(matrix(params, row[P0], H, 2 * H), levels, row[S2], row[S1], to_u),
        masked(matrix(params, row[P1], H, H), levels, row[S2], row[S1], to_v),
        matrix(arena, row[GATES], N, 3 * H),
        past,
        matrix(arena, row[DU], Q, 2 * H),
        matrix(arena, row[V_OF_ROWS], N, H),
        matrix(arena, row[RESET], N, H),
        matrix(arena, row[Y], N, H),
    )


def backward_op(row, arena, params, grads, ints):
    N, H, levels = row[ROWS], row[S0], levels_of(ints, row[LEVELS])
    Q = past_size(levels)
    past, du = matrix(arena, row[PAST], Q, H), matrix(arena, row[DU], Q, 2 * H)
    v, dxn = matrix(arena, row[V_OF_ROWS], N, H), matrix(arena, row[RESET], N, H)
    dU, dV = matrix(grads, row[P0], H, 2 * H), matrix(grads, row[P1], H, H)
    UT, VT = matrix(arena, row[TRANSPOSED], 2 * H, H), matrix(arena, row[TRANSPOSED] + 2 * H * H, H, H)
    dpast = matrix(arena, row[DPAST], Q, H)
    transpose(matrix(arena, row[MASKED], H, 2 * H) if row[S1] else matrix(params, row[P0], H, 2 * H), UT)
    transpose(matrix(arena, row[MASKED] + 2 * H * H, H, H) if row[S1] else matrix(params, row[P1], H, H), VT)
    backward(
        levels,
        UT,
        VT,
        matrix(arena, row[GATES], N, 3 * H),
        past,
        matrix(arena, row[DY], N, H),
        du,
        dpast,
        matrix(arena, row[PRODUCT], max(N, Q), H),
        dxn,
        vector(arena, row[DH], H),
        matrix(arena, row[DX], N, 3 * H),
    )
    dot(past.T, du, dU)
    dot(v.T, dxn, dV)
    mask_gradient(dU, levels, row[S2], row[S1])
    mask_gradient(dV, levels, row[S2], row[S1])
    start_gradient(dpast, vector(grads, row[P2], H * (row[P2] >= 0)))


def scratch(layer: ChoGRU, in_shape: Shape, rows: int) -> tuple[int, ...]:
    H, Q = layer.n_hidden, rows + 1
    masked = 3 * H * H * (layer.dropout > 0)
    return (3 * rows * H, Q * H, 2 * Q * H, rows * H, rows * H, masked, 3 * H * H, Q * H, Q * H, H)


def torch_forward(module, x, levels):
    from torch import sigmoid, tanh

    U, V = (levels.mask_state(weight, module.layer) for weight in (module.U, module.V))

    def step(x, h):
        H = module.layer.n_hidden
        r, z = sigmoid(x[:, : 2 * H] + h @ U).split(H, 1)
        n = tanh(x[:, 2 * H :] + (r * h) @ V)
        return (n + z * (h - n),)

    return levels.walk(step, x, first_states(module, "start"))


KERNELS = Kernels(
    forward_op,
    backward_op,
    torch=torch_forward,
    example=ChoGRU(4, Normal(0.4), learn_start=True),
    scratch=scratch,
    saturation=SATURATION,
    levels=True,
    state=lambda layer: (layer.n_hidden,),
)
